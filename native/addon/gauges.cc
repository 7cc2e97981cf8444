#include "gauges.h"

#include <cstring>

namespace sluice {
namespace {

Napi::Value address(Napi::Env env, be32 v4) {
  auto bytes = Napi::Uint8Array::New(env, sizeof v4);
  std::memcpy(bytes.Data(), &v4, sizeof v4);
  return bytes;
}

}  // namespace

Napi::Object gauges_object(Napi::Env env, const Gauges& gauges) {
  auto o = Napi::Object::New(env);
  o.Set("mbufs", Napi::Number::New(env, gauges.mbufs));
  o.Set("mbufsInUse", Napi::Number::New(env, gauges.mbufs_in_use));
  auto workers = Napi::Array::New(env, gauges.ports.size());
  for (uint32_t w = 0; w < gauges.ports.size(); ++w) {
    const auto& [fullest, a_set] = gauges.ports[w];
    auto set = Napi::Object::New(env);
    set.Set("used", Napi::Number::New(env, fullest.used));
    set.Set("ports", Napi::Number::New(env, a_set));
    set.Set("local", address(env, fullest.set.local()));
    set.Set("server", address(env, fullest.set.server()));
    set.Set("serverPort", Napi::Number::New(env, from_be(fullest.set.server_port())));
    set.Set("protocol", Napi::Number::New(env, fullest.set.protocol()));
    workers.Set(w, set);
  }
  o.Set("localPorts", workers);
  return o;
}

}  // namespace sluice
