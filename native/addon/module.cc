#include "module.h"

#include <rte_version.h>

#include <cstring>

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "0.1.0"
#endif

namespace sluice {
namespace {

Napi::Value versions(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto o = Napi::Object::New(env);
  o.Set("dpdk", rte_version());
  o.Set("addon", SLUICE_VERSION);
  return o;
}

}  // namespace

Napi::Object page_object(Napi::Env env, uint32_t cursor, const std::vector<uint8_t>& records) {
  auto page = Napi::Object::New(env);
  auto bytes = Napi::Uint8Array::New(env, records.size());
  if (!records.empty()) std::memcpy(bytes.Data(), records.data(), records.size());
  page.Set("cursor", Napi::Number::New(env, cursor));
  page.Set("records", bytes);
  return page;
}

}  // namespace sluice

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("versions", Napi::Function::New(env, sluice::versions, "versions"));
  sluice::register_layout(env, exports);
  sluice::register_engine(env, exports);
  sluice::register_herald(env, exports);
  sluice::register_replay(env, exports);
  sluice::register_process(env, exports);
  sluice::register_socket(env, exports);
  sluice::register_twin(env, exports);
  sluice::register_prober(env, exports);
  sluice::register_sync(env, exports);
  sluice::register_upgrade(env, exports);
#if __has_include("realserver.cc")
  InitRealserver(env, exports);
#endif
  return exports;
}

NODE_API_MODULE(sluice, init)
