#include "fib.h"

#include <bit>

namespace sluice {
Fib::Fib(const FibInput& input, uint16_t generation)
    : ports_(input.ports),
      own_(input.ports.size(), 0),
      addresses_(input.addresses),
      generation_(generation),
      six_(input.six, input.ports) {
  auto add_route = [this](FibRoute route) {
    route.network &= prefix_mask(route.length);
    routes_[route.length][route.network] = route;
    lengths_ |= uint64_t{1} << route.length;
  };
  for (const FibAddress& own : input.addresses) {
    if (own_[own.port] == 0) own_[own.port] = own.address;
    add_route({own.address, own.length, own.port, 0});
  }
  for (const FibRoute& route : input.routes) add_route(route);
  next_hops_.reserve(input.neighbours.size() + 1);
  next_hops_.emplace_back();  // kNoHop
  for (const FibNeighbour& n : input.neighbours) {
    const NextHop hop{{n.mac, ports_[n.port].mac, net::kEtherIpv4},
                      n.port,
                      ports_[n.port].mtu,
                      n.address,
                      source_towards(n.port, n.address),
                      uint32_t{1} << n.port};
    auto [at, fresh] = by_neighbour_.try_emplace(key(n.port, n.address), next_hops_.size());
    if (fresh) {
      next_hops_.push_back(hop);
    } else {
      next_hops_[at->second] = hop;
    }
  }
  owns_.resize(std::bit_ceil(addresses_.size() * 2 + 2));
  own_mask_ = owns_.size() - 1;
  for (const FibAddress& own : addresses_) {
    size_t at = spread(own.address) & own_mask_;
    while (owns_[at] != 0) at = (at + 1) & own_mask_;
    owns_[at] = own.address;
  }
  hosts_.resize(std::bit_ceil(next_hops_.size() * 2 + 2));
  host_mask_ = hosts_.size() - 1;
  for (const NextHop& hop : next_hops_) {
    const Answer answer = walk(hop.address);
    if (answer.next_hop > UINT16_MAX) continue;
    size_t at = host_of(hop.address);
    while (hosts_[at].next_hop != kNoHop) at = (at + 1) & host_mask_;
    hosts_[at] = {hop.address, static_cast<uint16_t>(answer.next_hop)};
  }
}

// By the routes, the longest prefix first.
Fib::Answer Fib::walk(be32 destination) const {
  for (uint64_t left = lengths_; left != 0;) {
    const uint8_t length = static_cast<uint8_t>(63 - __builtin_clzll(left));
    left &= ~(uint64_t{1} << length);
    const auto found = routes_[length].find(destination & prefix_mask(length));
    if (found == routes_[length].end()) continue;
    const FibRoute& route = found->second;
    const be32 gateway = route.via == 0 ? destination : route.via;
    const auto hop = by_neighbour_.find(key(route.port, gateway));
    if (hop == by_neighbour_.end()) return {kNone, true, route.port, gateway};
    return {hop->second, true, route.port, 0};
  }
  return {kNone, false, 0, 0};
}

be32 Fib::source_towards(uint8_t port, be32 neighbour) const {
  for (const FibAddress& own : addresses_) {
    if (own.port == port && ((own.address ^ neighbour) & prefix_mask(own.length)) == 0) {
      return own.address;
    }
  }
  return own_[port];
}

}  // namespace sluice
