// Routes and neighbours of the director as a worker reads them: immutable, swapped whole by RCU.
//
// A worker does not look routes up per packet: connections remember a next-hop index together with
// the generation of the Fib it came from. Neighbours are few, so the array stays in L1.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "../net/headers.h"
#include "../types.h"
#include "fib6.h"

namespace sluice {

struct FibRoute {
  be32 network;
  uint8_t length;  // 0 … 32
  uint8_t port;
  be32 via;  // 0: on link
  bool operator==(const FibRoute&) const = default;
};

struct FibNeighbour {
  be32 address;
  uint8_t port;
  Mac mac;
  bool operator==(const FibNeighbour&) const = default;
};

struct FibAddress {
  be32 address;
  uint8_t length;
  uint8_t port;
  bool operator==(const FibAddress&) const = default;
};

struct FibPort {
  Mac mac;
  uint16_t mtu;  // IP MTU in bytes
  bool operator==(const FibPort&) const = default;
};
static_assert(sizeof(FibPort) == 8, "a worker compares MACs with one load");

// Everything needed to send to one neighbour. Half a cache line, so that an index becomes an
// address by a shift.
struct alignas(32) NextHop {
  net::Ethernet header;  // destination, source, IPv4: stored as it is
  uint8_t port;
  uint32_t mtu;
  be32 address;        // the neighbour's
  be32 own;            // the director's address on that port towards it (DIP); 0 if it has none
  uint32_t ports = 0;  // a bit: `port`'s
};
static_assert(sizeof(NextHop) == 32);

struct FibInput {
  std::vector<FibPort> ports;
  std::vector<FibRoute> routes;  // connected ones are added from addresses
  std::vector<FibNeighbour> neighbours;
  std::vector<FibAddress> addresses;
  Fib6Input six;
  bool operator==(const FibInput&) const = default;
};

// A family's own of all that.
template <class Family>
struct FibOf;
template <>
struct FibOf<V4> {
  using Input = FibInput;
  using Route = FibRoute;
  using Neighbour = FibNeighbour;
  using Address = FibAddress;
};
template <>
struct FibOf<V6> {
  using Input = Fib6Input;
  using Route = Fib6Route;
  using Neighbour = Fib6Neighbour;
  using Address = Fib6Address;
};

class Fib {
 public:
  // Later routes win over earlier ones of the same network and length; so do neighbours.
  Fib(const FibInput& input, uint16_t generation);

  // The next hop that is none: nothing fits its MTU.
  static constexpr uint16_t kNoHop = 0;

  // Index of the next hop towards an address; kNone when no route leads there, or when its
  // neighbour is not known: then `unresolved` is what must be asked for.
  struct Answer {
    uint32_t next_hop;
    bool has_route;
    uint8_t port;     // of the route
    be32 unresolved;  // address to resolve on that port, 0 if none
  };
  Answer lookup(be32 destination) const {
    const uint16_t hop = host(destination);
    if (hop != kNoHop) return {hop, true, next_hops_[hop].port, 0};
    return walk(destination);
  }
  // Of a neighbour itself, found at once: most real servers are on link. kNoHop for any other.
  uint16_t host(be32 address) const {
    for (size_t at = host_of(address);; at = (at + 1) & host_mask_) {
      const Host& host = hosts_[at];
      if (host.next_hop == kNoHop || host.address == address) return host.next_hop;
    }
  }

  const NextHop& operator[](uint32_t index) const { return next_hops_[index]; }
  const NextHop* next_hops() const { return next_hops_.data(); }
  uint16_t generation() const { return generation_; }
  const FibPort& port(uint16_t index) const { return ports_[index]; }
  const Fib6& six() const { return six_; }
  size_t port_count() const { return ports_.size(); }
  // First own address of a port, 0 if none.
  be32 own_address(uint16_t port) const { return own_[port]; }
  bool is_own(be32 address) const {
    for (size_t at = spread(address) & own_mask_;; at = (at + 1) & own_mask_) {
      if (owns_[at] == address) return address != 0;
      if (owns_[at] == 0) return false;
    }
  }

 private:
  static uint64_t key(uint8_t port, be32 address) { return (uint64_t{port} << 32) | address; }
  Answer walk(be32 destination) const;
  static size_t spread(be32 address) { return address * uint64_t{0x9e3779b97f4a7c15u} >> 32; }
  size_t host_of(be32 address) const { return spread(address) & host_mask_; }
  be32 source_towards(uint8_t port, be32 neighbour) const;

  std::vector<FibPort> ports_;
  std::vector<be32> own_;
  std::vector<FibAddress> addresses_;
  std::vector<NextHop> next_hops_;
  std::unordered_map<uint64_t, uint32_t> by_neighbour_;  // (port, address) → next hop
  std::unordered_map<uint64_t, FibRoute> routes_[33];    // by prefix length
  // Answers for neighbours themselves.
  struct Host {
    be32 address;
    uint16_t next_hop;  // kNoHop: empty
  };
  std::vector<Host> hosts_;  // open addressing, half full at most
  size_t host_mask_;
  std::vector<be32> owns_;  // addresses_ without their ports; open addressing, 0: empty
  size_t own_mask_;
  uint64_t lengths_ = 0;  // bit n: routes_[n] not empty
  uint16_t generation_;
  Fib6 six_;
};

}  // namespace sluice
