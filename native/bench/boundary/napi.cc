// The functions of scenario `boundary` by node-addon-api; nan.cc has the same ones.
#include <napi.h>

#include <algorithm>
#include <cstring>

#include "counters.h"

namespace sluice::bench {
namespace {

size_t bytes_of(const Napi::CallbackInfo& info) {
  return std::min<size_t>(info[0].As<Napi::Number>().Uint32Value(), kWords * sizeof(uint64_t));
}

// A copy in an array of its own.
Napi::Value snapshot(const Napi::CallbackInfo& info) {
  const size_t bytes = bytes_of(info);
  auto buffer = Napi::ArrayBuffer::New(info.Env(), bytes);
  std::memcpy(buffer.Data(), counters(), bytes);
  return Napi::BigUint64Array::New(info.Env(), bytes / sizeof(uint64_t), buffer, 0);
}

// A copy in an array that is there.
void fill(const Napi::CallbackInfo& info) {
  auto array = info[0].As<Napi::BigUint64Array>();
  std::memcpy(array.Data(), counters(), std::min(array.ByteLength(), kWords * sizeof(uint64_t)));
}

Napi::Value word(const Napi::CallbackInfo& info) {
  return Napi::BigInt::New(info.Env(), counter(info[0].As<Napi::Number>().Uint32Value()));
}

Napi::Value object(const Napi::CallbackInfo& info) {
  auto result = Napi::Object::New(info.Env());
  for (size_t i = 0; i < kNamed; ++i) {
    result.Set(kNames[i], Napi::BigInt::New(info.Env(), counter(i)));
  }
  return result;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("snapshot", Napi::Function::New<snapshot>(env, "snapshot"));
  exports.Set("fill", Napi::Function::New<fill>(env, "fill"));
  exports.Set("word", Napi::Function::New<word>(env, "word"));
  exports.Set("object", Napi::Function::New<object>(env, "object"));
  return exports;
}

}  // namespace
}  // namespace sluice::bench

using sluice::bench::init;
NODE_API_MODULE(sluice_boundary_napi, init)
