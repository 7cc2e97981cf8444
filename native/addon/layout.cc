// CounterLayout of src/native.ts, from the same tables that the workers count by.
#include <initializer_list>

#include "engine/counters.h"
#include "module.h"
#include "options.h"

namespace sluice {
namespace {

constexpr const char* kExtraNames[] = {
#define EXTRA(name, help) #name,
    SLUICE_EXTRAS(EXTRA)
#undef EXTRA
};
constexpr const char* kKindNames[] = {"forwarded", "answered", "punted", "dropped"};

Napi::Object group(Napi::Env env, size_t offset, size_t stride, size_t count,
                   const std::vector<const char*>& names) {
  auto o = Napi::Object::New(env);
  o.Set("offset", Napi::Number::New(env, static_cast<double>(offset)));
  o.Set("stride", Napi::Number::New(env, static_cast<double>(stride)));
  o.Set("count", Napi::Number::New(env, static_cast<double>(count)));
  auto list = Napi::Array::New(env, stride);
  for (uint32_t i = 0; i < stride; ++i) {
    list.Set(i, Napi::String::New(env, i < names.size() ? names[i] : ""));
  }
  o.Set("names", list);
  return o;
}

Napi::Value counter_layout(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto workers = argument(info, 0, "workers").integer<uint32_t>(1, kMaxWorkers);
  const auto ports = argument(info, 1, "ports").integer<uint32_t>(1, kMaxPorts);
  const Limits limits = read_limits(argument(info, 2, "limits"));
  const CounterOffsets o = CounterOffsets::of(ports, limits);

  std::vector<const char*> ends;
  auto infos = Napi::Array::New(env, kEndCount);
  for (const EndInfo& end : kEnds) {
    auto entry = Napi::Object::New(env);
    entry.Set("kind", kKindNames[static_cast<size_t>(end.kind)]);
    entry.Set("help", end.help);
    infos.Set(static_cast<uint32_t>(ends.size()), entry);
    ends.push_back(end.name);
  }
  const std::vector<const char*> traffic{"conns", "inPkts", "outPkts", "inBytes", "outBytes"};
  std::vector<const char*> server = traffic;
  server.insert(server.end(), {"active", "inactive"});

  auto layout = Napi::Object::New(env);
  layout.Set("workers", Napi::Number::New(env, workers));
  layout.Set("words", Napi::Number::New(env, static_cast<double>(o.words)));
  layout.Set("ends", group(env, o.ends, kEndCount, 1, ends));
  layout.Set("endInfo", infos);
  layout.Set("extra",
             group(env, o.extra, kExtraCount, 1, {std::begin(kExtraNames), std::end(kExtraNames)}));
  layout.Set("ports", group(env, o.ports, kPortWords, ports,
                            {"rxPackets", "rxBytes", "txPackets", "txBytes"}));
  layout.Set("services", group(env, o.services, kServiceWords, limits.max_services, traffic));
  layout.Set("servers", group(env, o.servers, kServerWords, limits.max_servers, server));
  layout.Set("handshakes", group(env, o.handshakes, kHandshakeWords, limits.max_servers,
                                 {"answered", "refused", "unanswered"}));
  return layout;
}

}  // namespace

void register_layout(Napi::Env env, Napi::Object exports) {
  static_assert(kPortWords == 4 && kActive == 5 && kInactive == 6);
  exports.Set("counterLayout", Napi::Function::New(env, counter_layout, "counterLayout"));
}

}  // namespace sluice
