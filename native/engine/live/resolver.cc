#include "resolver.h"

namespace sluice {
namespace {

constexpr uint64_t kIntervalMs = 1000;
constexpr uint64_t kForgetMs = 60'000;

}  // namespace

void Resolver::ask(uint8_t port, be32 address, uint64_t now_ms) {
  const unsigned interface_index = mirror_.interface_of(port);
  if (interface_index == 0) return;
  const uint64_t key = uint64_t{port} << 32 | address;
  const auto [at, fresh] = asked_ms_.try_emplace(key, now_ms);
  // A tick that is a little early must not skip to the next one.
  if (!fresh && now_ms - at->second < kIntervalMs - 10) return;
  at->second = now_ms;
  mirror_.requests().use_neighbour(interface_index, address);
}

void Resolver::tick(uint64_t now_ms) {
  const auto fib = routing_.current();
  for (const be32 address : routing_.wanted()) {
    const Fib::Answer answer = fib->lookup(address);
    if (answer.unresolved != 0) ask(answer.port, answer.unresolved, now_ms);
    if (answer.next_hop == kNone) continue;
    const NextHop& hop = (*fib)[answer.next_hop];
    if (mirror_.neighbour(hop.port, hop.address) == Mirror::Freshness::stale) {
      ask(hop.port, hop.address, now_ms);
    }
  }
  // On-link clients and others that a packet has once been sent to.
  for (const auto& [port, address] : mirror_.stale()) {
    if (asked_ms_.contains(uint64_t{port} << 32 | address)) ask(port, address, now_ms);
  }
  std::erase_if(asked_ms_, [&](const auto& entry) {
    const auto port = static_cast<uint8_t>(entry.first >> 32);
    return now_ms - entry.second > kForgetMs &&
           mirror_.neighbour(port, static_cast<be32>(entry.first)) == Mirror::Freshness::absent;
  });
}

}  // namespace sluice
