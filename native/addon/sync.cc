#include "sync.h"

#include <arpa/inet.h>

#include <algorithm>

#include "module.h"

namespace sluice {
namespace {

constexpr uint32_t kDayMs = 86'400'000;

be32 read_address(const Argument& address) {
  in_addr parsed{};
  if (inet_pton(AF_INET, address.text().c_str(), &parsed) != 1) address.fail("an IPv4 address");
  return parsed.s_addr;
}

double number(const std::atomic<uint64_t>& figure) {
  return static_cast<double>(figure.load(std::memory_order_relaxed));
}

Napi::Value figure_help(const Napi::CallbackInfo& info) {
  auto o = Napi::Object::New(info.Env());
#define FIGURE(name, help) o.Set(#name, help);
  SLUICE_FEED_FIGURES(FIGURE)
  SLUICE_EXCHANGE_FIGURES(FIGURE)
#undef FIGURE
  o.Set("waiting", "records that wait in workers' rings");
  o.Set("send_errors", "datagrams that the interface did not take");
  return o;
}

}  // namespace

sync::Settings read_sync_settings(const Argument& settings) {
  sync::Settings s;
  const std::string protocol = settings["protocol"].text();
  if (protocol != "sluice" && protocol != "ipvs") {
    settings["protocol"].fail("'sluice' or 'ipvs'");
  }
  s.protocol = protocol == "ipvs" ? sync::Protocol::ipvs : sync::Protocol::sluice;
  s.tells = settings["tells"].boolean();
  s.adopts = settings["adopts"].boolean();
  if (s.protocol == sync::Protocol::sluice) {
    const auto [bytes, n] = settings["key"].bytes();
    if (n != s.key.size()) settings["key"].fail("16 bytes");
    std::copy_n(bytes, n, s.key.begin());
  } else {
    s.syncid = settings["syncid"].integer<uint8_t>(0, 255);
  }
  s.rate = settings["rate"].integer<uint32_t>(1000, 100'000'000);
  s.feed.after_ms = settings["afterMs"].integer<uint32_t>(0, 60'000);
  s.feed.refresh_ms = settings["refreshMs"].integer<uint32_t>(100, kDayMs);
  if (const Argument session = settings["session"]; !session.is_absent()) {
    s.session = session.integer<uint64_t>(1, (uint64_t{1} << 53) - 1);
  }
  return s;
}

SyncOptions read_sync_options(const Argument& options) {
  SyncOptions o;
  o.settings = read_sync_settings(options);
  o.socket.interface = options["interface"].text();
  if (o.socket.interface.empty() || o.socket.interface.size() > 15) {
    options["interface"].fail("the name of an interface");
  }
  o.socket.destination = read_address(options["destination"]);
  o.socket.port = options["port"].integer<uint16_t>(1, 65535);
  o.socket.ttl = options["ttl"].integer_or<uint8_t>(1, 1, 255);
  o.socket.datagram_bytes = options["datagramBytes"].integer_or<uint32_t>(0, 128, 65507);
  return o;
}

Napi::Object sync_figures(Napi::Env env, const sync::ExchangeFigures& exchange,
                          const std::vector<sync::Feeds>& workers) {
  auto o = Napi::Object::New(env);
#define FIGURE(name, help)                                                         \
  {                                                                                \
    double sum = 0;                                                                \
    for (const sync::Feeds& worker : workers) {                                    \
      sum += number(worker.four->figures.name) + number(worker.six->figures.name); \
    }                                                                              \
    o.Set(#name, Napi::Number::New(env, sum));                                     \
  }
  SLUICE_FEED_FIGURES(FIGURE)
#undef FIGURE
#define FIGURE(name, help) o.Set(#name, Napi::Number::New(env, number(exchange.name)));
  SLUICE_EXCHANGE_FIGURES(FIGURE)
#undef FIGURE
  return o;
}

Napi::Value sync_object(Napi::Env env, const Engine& engine) {
  const SyncThread* thread = engine.sync();
  if (thread == nullptr) return env.Null();
  std::vector<sync::Feeds> workers;
  double waiting = 0;
  for (unsigned w = 0; w < engine.workers(); ++w) {
    workers.push_back(engine.feeds(w));
    waiting += workers.back().four->out.size() + workers.back().six->out.size();
  }
  Napi::Object o = sync_figures(env, thread->figures(), workers);
  o.Set("waiting", Napi::Number::New(env, waiting));
  o.Set("send_errors", Napi::Number::New(env, static_cast<double>(thread->send_errors())));
  return o;
}

void register_sync(Napi::Env env, Napi::Object exports) {
  exports.Set("syncFigureHelp", Napi::Function::New(env, figure_help, "syncFigureHelp"));
}

}  // namespace sluice
