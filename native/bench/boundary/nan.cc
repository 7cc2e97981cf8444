// The functions of scenario `boundary` by nan; napi.cc has the same ones. And view(), which
// Node-API can't do.
#include <nan.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "counters.h"

namespace sluice::bench {
namespace {

using Info = Nan::FunctionCallbackInfo<v8::Value>;

size_t bytes_of(const Info& info) {
  return std::min<size_t>(Nan::To<uint32_t>(info[0]).FromMaybe(0), kWords * sizeof(uint64_t));
}

void snapshot(const Info& info) {
  const size_t bytes = bytes_of(info);
  const auto buffer = v8::ArrayBuffer::New(info.GetIsolate(), bytes);
  std::memcpy(buffer->Data(), counters(), bytes);
  info.GetReturnValue().Set(v8::BigUint64Array::New(buffer, 0, bytes / sizeof(uint64_t)));
}

void fill(const Info& info) {
  Nan::TypedArrayContents<uint64_t> array(info[0]);
  std::memcpy(*array, counters(), std::min(array.length(), kWords) * sizeof(uint64_t));
}

void word(const Info& info) {
  const size_t index = Nan::To<uint32_t>(info[0]).FromMaybe(0);
  info.GetReturnValue().Set(v8::BigInt::NewFromUnsigned(info.GetIsolate(), counter(index)));
}

void object(const Info& info) {
  const auto result = Nan::New<v8::Object>();
  for (size_t i = 0; i < kNamed; ++i) {
    Nan::Set(result, Nan::New(kNames[i]).ToLocalChecked(),
             v8::BigInt::NewFromUnsigned(info.GetIsolate(), counter(i)));
  }
  info.GetReturnValue().Set(result);
}

// The words themselves.
void view(const Info& info) {
  std::unique_ptr<v8::BackingStore> store = v8::SharedArrayBuffer::NewBackingStore(
      counters(), bytes_of(info), [](void*, size_t, void*) {}, nullptr);
  info.GetReturnValue().Set(v8::SharedArrayBuffer::New(
      info.GetIsolate(), std::shared_ptr<v8::BackingStore>(std::move(store))));
}

NAN_MODULE_INIT(init) {
  Nan::SetMethod(target, "snapshot", snapshot);
  Nan::SetMethod(target, "fill", fill);
  Nan::SetMethod(target, "word", word);
  Nan::SetMethod(target, "object", object);
  Nan::SetMethod(target, "view", view);
}

}  // namespace
}  // namespace sluice::bench

using sluice::bench::init;
NODE_MODULE(sluice_boundary_nan, init)
