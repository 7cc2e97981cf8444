// SPDX-License-Identifier: Apache-2.0
// The real server's agent for JavaScript: arguments in, plain values out. Types: RealserverNative
// in src/realserver/types.ts.
#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "../realserver/agent.h"

namespace sluice::addon {
namespace {

using realserver::Agent;

// Throws a JavaScript error whose `code` is the agent's.
[[noreturn]] void Throw(Napi::Env env, const realserver::Error& error) {
  Napi::Error thrown = Napi::Error::New(env, error.what());
  thrown.Set("code", Napi::String::New(env, error.code));
  throw thrown;
}

std::vector<std::string> Strings(const Napi::Object& from, const char* name) {
  std::vector<std::string> strings;
  if (!from.Get(name).IsArray()) return strings;
  const Napi::Array array = from.Get(name).As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++)
    strings.push_back(array.Get(i).ToString().Utf8Value());
  return strings;
}

std::string Text(const Napi::Object& from, const char* name) {
  return from.Get(name).IsString() ? from.Get(name).ToString().Utf8Value() : "";
}

uint32_t Number(const Napi::Object& from, const char* name, uint32_t otherwise) {
  return from.Get(name).IsNumber() ? from.Get(name).ToNumber().Uint32Value() : otherwise;
}

uint32_t Modes(Napi::Env env, const Napi::Object& from) {
  uint32_t modes = 0;
  for (const std::string& mode : Strings(from, "modes")) {
    if (mode == "tun")
      modes |= SLUICE_RS_MODE_TUN;
    else if (mode == "toa")
      modes |= SLUICE_RS_MODE_TOA;
    else if (mode == "enat")
      modes |= SLUICE_RS_MODE_ENAT;
    else
      Throw(env, {"ERR_REALSERVER_OPTIONS", "'" + mode + "' is none of tun, toa, enat"});
  }
  return modes;
}

realserver::Means Means(Napi::Env env, const Napi::Object& from) {
  const std::string means = Text(from, "attach");
  if (means == "tcx") return realserver::Means::kTcx;
  if (means == "clsact") return realserver::Means::kClsact;
  if (!means.empty() && means != "auto")
    Throw(env, {"ERR_REALSERVER_OPTIONS", "'" + means + "' is none of auto, tcx, clsact"});
  return realserver::Means::kAuto;
}

realserver::Options ReadOptions(Napi::Env env, const Napi::Object& from) {
  realserver::Options options;
  options.interfaces = Strings(from, "interfaces");
  options.object_dir = Text(from, "objectDir");
  for (const std::string& text : Strings(from, "directors"))
    options.directors.push_back(realserver::ParsePrefix(text));
  for (const std::string& text : Strings(from, "vips"))
    options.vips.push_back(realserver::ParsePrefix(text).address);
  options.modes = Modes(env, from);
  options.toa_kind = static_cast<uint8_t>(Number(from, "toaKind", options.toa_kind));
  options.cgroup = Text(from, "cgroup");
  options.means = Means(env, from);
  options.pin_dir = Text(from, "pin");
  options.max_flows = Number(from, "maxFlows", options.max_flows);
  options.tcp_idle_ms = Number(from, "tcpIdleMs", options.tcp_idle_ms);
  options.udp_idle_ms = Number(from, "udpIdleMs", options.udp_idle_ms);
  return options;
}

// The handle: an External that owns the agent until it is detached or collected.
using Handle = std::unique_ptr<Agent>;

Handle& Held(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsExternal())
    Throw(env, {"ERR_REALSERVER_HANDLE", "expected what realserverAttach returned"});
  Handle& handle = *info[0].As<Napi::External<Handle>>().Data();
  if (!handle) Throw(env, {"ERR_REALSERVER_HANDLE", "the agent is detached already"});
  return handle;
}

Napi::Value Attach(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsObject())
    Throw(env, {"ERR_REALSERVER_OPTIONS", "expected an object of options"});
  try {
    auto handle =
        std::make_unique<Handle>(Agent::Attach(ReadOptions(env, info[0].As<Napi::Object>())));
    return Napi::External<Handle>::New(env, handle.release(),
                                       [](Napi::Env, Handle* data) { delete data; });
  } catch (const realserver::Error& error) {
    Throw(env, error);
  }
}

Napi::Value Attachments(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto& attachments = Held(info)->attachments();
  Napi::Array list = Napi::Array::New(env, attachments.size());
  for (uint32_t i = 0; i < attachments.size(); i++) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("program", attachments[i].program);
    entry.Set("where", attachments[i].where);
    entry.Set("how", attachments[i].how);
    list.Set(i, entry);
  }
  return list;
}

Napi::Value Counters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto counters = Held(info)->Counters();
  Napi::Array list = Napi::Array::New(env, counters.size());
  for (uint32_t i = 0; i < counters.size(); i++) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", counters[i].name);
    entry.Set("help", counters[i].help);
    entry.Set("value", static_cast<double>(counters[i].value));
    list.Set(i, entry);
  }
  return list;
}

Napi::Value RefreshAddresses(const Napi::CallbackInfo& info) {
  try {
    return Napi::Number::New(info.Env(), static_cast<double>(Held(info)->RefreshAddresses()));
  } catch (const realserver::Error& error) {
    Throw(info.Env(), error);
  }
}

void Detach(const Napi::CallbackInfo& info) {
  Held(info).reset();
}

}  // namespace
}  // namespace sluice::addon

Napi::Object InitRealserver(Napi::Env env, Napi::Object exports) {
  exports.Set("realserverAttach", Napi::Function::New<sluice::addon::Attach>(env));
  exports.Set("realserverAttachments", Napi::Function::New<sluice::addon::Attachments>(env));
  exports.Set("realserverCounters", Napi::Function::New<sluice::addon::Counters>(env));
  exports.Set("realserverRefreshAddresses",
              Napi::Function::New<sluice::addon::RefreshAddresses>(env));
  exports.Set("realserverDetach", Napi::Function::New<sluice::addon::Detach>(env));
  return exports;
}
