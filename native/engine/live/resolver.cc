#include "resolver.h"

namespace sluice {
namespace {

constexpr uint64_t kIntervalMs = 1000;
constexpr uint64_t kForgetMs = 60'000;

}  // namespace

template <class Address>
void Resolver::ask(Asked<Address>& asked, uint8_t port, const Address& address, uint64_t now_ms) {
  const unsigned interface_index = mirror_.interface_of(port);
  if (interface_index == 0) return;
  const auto [at, fresh] = asked.try_emplace({port, address}, now_ms);
  // A tick that is a little early must not skip to the next one.
  if (!fresh && now_ms - at->second < kIntervalMs - 10) return;
  at->second = now_ms;
  mirror_.requests().use_neighbour(interface_index, address);
}

void Resolver::tick(uint64_t now_ms) {
  const auto fib = routing_.current();
  tick<V4>(four_, *fib, routing_.wanted(), now_ms);
  tick<V6>(six_, fib->six(), routing_.wanted6(), now_ms);
}

template <class Family, class Fib>
void Resolver::tick(Asked<typename Family::Address>& asked, const Fib& fib,
                    const std::vector<typename Family::Address>& wanted, uint64_t now_ms) {
  using Address = typename Family::Address;
  for (const Address& address : wanted) {
    const auto answer = fib.lookup(address);
    if (answer.unresolved != Address{}) ask(asked, answer.port, answer.unresolved, now_ms);
    if (answer.next_hop == kNone) continue;
    const auto& hop = fib[answer.next_hop];
    if (mirror_.neighbour(hop.port, hop.address) == Mirror::Freshness::stale) {
      ask(asked, hop.port, hop.address, now_ms);
    }
  }
  // On-link clients and others that a packet has once been sent to.
  for (const auto& [port, address] : mirror_.stale<Family>()) {
    if (asked.contains({port, address})) ask(asked, port, address, now_ms);
  }
  std::erase_if(asked, [&](const auto& entry) {
    const auto& [port, address] = entry.first;
    return now_ms - entry.second > kForgetMs &&
           mirror_.neighbour(port, address) == Mirror::Freshness::absent;
  });
}

}  // namespace sluice
