#include "watch.h"

#include <cstring>

#include "arguments.h"
#include "engine/counters.h"

namespace sluice {
namespace {

constexpr uint32_t kMostRate = 10'000'000;
constexpr uint32_t kMostSeconds = 86'400;
constexpr uint32_t kMostBytes = 65'535;

// 16 bytes, as the boundary has addresses, or none.
WideAddress address_or_any(const Argument& address) {
  if (address.is_absent()) return {};
  const auto [bytes, n] = address.bytes();
  if (n != sizeof(WideAddress)) address.fail("16 bytes");
  return load<WideAddress>(bytes);
}

be16 port_or_any(const Argument& port) {
  return to_be(port.integer_or<uint16_t>(0, 1, UINT16_MAX));
}

WatchRequest read_request(const Argument& options) {
  WatchRequest request;
  if (const Argument flow = options["flow"]; !flow.is_absent()) {
    request.flow = {address_or_any(flow["client"]), address_or_any(flow["service"]),
                    port_or_any(flow["clientPort"]), port_or_any(flow["servicePort"]),
                    flow["protocol"].integer_or<uint8_t>(0, 1, UINT8_MAX)};
  } else {
    request.kind = WatchSpec::Kind::capture;
    request.expression = options["filter"].text();
    request.ports = options["ports"].integer<uint32_t>(1, (1u << kMaxPorts) - 1);
    request.in = options["in"].boolean();
    request.out = options["out"].boolean();
    request.bytes = options["snaplen"].integer<uint32_t>(1, kMostBytes);
  }
  request.rate = options["rate"].integer<uint32_t>(1, kMostRate);
  request.count = options["count"].integer_or<uint32_t>(0, 1, UINT32_MAX);
  request.seconds = options["seconds"].integer<uint32_t>(1, kMostSeconds);
  return request;
}

}  // namespace

Napi::Value start_watch(const Napi::CallbackInfo& info, Watches& watches, uint64_t steady_ns) {
  const WatchRequest request = read_request(argument(info, 0, "options"));
  const unsigned number = guarded(info.Env(), [&] { return watches.start(request, steady_ns); });
  return Napi::Number::New(info.Env(), number);
}

Napi::Value read_watch(const Napi::CallbackInfo& info, Watches& watches, uint64_t steady_ns) {
  const Napi::Env env = info.Env();
  const auto number = argument(info, 0, "watch").integer<uint32_t>(1, UINT32_MAX);
  const WatchPage page = guarded(env, [&] { return watches.read(number, steady_ns); });
  auto o = Napi::Object::New(env);
  auto bytes = Napi::Uint8Array::New(env, page.records.size());
  if (!page.records.empty()) {
    std::memcpy(bytes.Data(), page.records.data(), page.records.size());
  }
  o.Set("records", bytes);
  o.Set("ended", Napi::Boolean::New(env, page.ended));
  o.Set("machineCode", Napi::Boolean::New(env, page.machine_code));
  constexpr size_t kWords = sizeof(WatchPage::Counts) / sizeof(uint64_t);
  auto counts = Napi::BigUint64Array::New(env, page.ports.size() * kWords, napi_biguint64_array);
  std::memcpy(counts.Data(), page.ports.data(), page.ports.size() * sizeof(WatchPage::Counts));
  o.Set("counts", counts);
  return o;
}

void stop_watch(const Napi::CallbackInfo& info, Watches& watches) {
  watches.stop(argument(info, 0, "watch").integer<uint32_t>(1, UINT32_MAX));
}

}  // namespace sluice
