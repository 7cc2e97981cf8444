#include "fib6.h"

#include "../net/ipv6.h"
#include "fib.h"

namespace sluice {

Fib6::Fib6(const Fib6Input& input, const std::vector<FibPort>& ports)
    : addresses_(input.addresses) {
  auto add_route = [this](Fib6Route route) {
    route.network = net::masked(route.network, route.length);
    routes_[route.length][route.network] = route;
  };
  for (const Fib6Address& own : input.addresses) {
    owns_[own.address] = own.port;
    add_route({own.address, own.length, own.port, {}});
  }
  for (const Fib6Route& route : input.routes) add_route(route);
  for (unsigned length = 129; length-- > 0;) {
    if (!routes_[length].empty()) lengths_.push_back(static_cast<uint8_t>(length));
  }
  next_hops_.reserve(input.neighbours.size() + 1);
  next_hops_.emplace_back();  // kNoHop
  for (const Fib6Neighbour& n : input.neighbours) {
    const FibPort& port = ports[n.port];
    const NextHop6 hop{{n.mac, port.mac, net::kEtherIpv6},
                       n.port,
                       port.mtu,
                       n.address,
                       source_towards(n.port, n.address)};
    const auto [at, fresh] = by_neighbour_.try_emplace({n.address, n.port}, next_hops_.size());
    if (fresh) {
      next_hops_.push_back(hop);
    } else {
      next_hops_[at->second] = hop;
    }
  }
}

Fib6::Answer Fib6::lookup(const WideAddress& destination) const {
  for (const uint8_t length : lengths_) {
    const auto found = routes_[length].find(net::masked(destination, length));
    if (found == routes_[length].end()) continue;
    const Fib6Route& route = found->second;
    const WideAddress& gateway = net::is_unspecified(route.via) ? destination : route.via;
    const auto hop = by_neighbour_.find({gateway, route.port});
    if (hop == by_neighbour_.end()) return {kNone, true, route.port, gateway};
    return {hop->second, true, route.port, {}};
  }
  return {kNone, false, 0, {}};
}

const WideAddress* Fib6::own_address(uint16_t port) const {
  for (const Fib6Address& own : addresses_) {
    if (own.port == port && !net::is_link_local(own.address)) return &own.address;
  }
  return nullptr;
}

WideAddress Fib6::source_towards(uint8_t port, const WideAddress& neighbour) const {
  for (const Fib6Address& own : addresses_) {
    if (own.port == port && !net::is_link_local(own.address) &&
        net::masked(own.address, own.length) == net::masked(neighbour, own.length)) {
      return own.address;
    }
  }
  const WideAddress* any = own_address(port);
  return any == nullptr ? WideAddress{} : *any;
}

}  // namespace sluice
