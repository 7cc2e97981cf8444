// The Fib's IPv6 half: routes, neighbours and own addresses, immutable like the rest of it.
//
// Connections remember an index into its next hops together with the Fib's generation, so that a
// route is looked up once a connection and publication.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "../net/headers.h"
#include "../types.h"
#include "hash.h"

namespace sluice {

struct FibPort;

struct Fib6Route {
  WideAddress network;
  uint8_t length;  // 0 … 128
  uint8_t port;
  WideAddress via;  // all zero: on link; may be link-local
  bool operator==(const Fib6Route&) const = default;
};

struct Fib6Neighbour {
  WideAddress address;
  uint8_t port;
  Mac mac;
  bool operator==(const Fib6Neighbour&) const = default;
};

struct Fib6Address {
  WideAddress address;
  uint8_t length;
  uint8_t port;
  bool operator==(const Fib6Address&) const = default;
};

struct Fib6Input {
  std::vector<Fib6Route> routes;  // connected ones are added from addresses
  std::vector<Fib6Neighbour> neighbours;
  std::vector<Fib6Address> addresses;
  bool operator==(const Fib6Input&) const = default;
};

// Everything needed to send IPv6 to one neighbour.
struct NextHop6 {
  net::Ethernet header;  // destination, source, IPv6: stored as it is
  uint8_t port = 0;
  uint16_t mtu = 0;
  WideAddress address{};  // the neighbour's
  WideAddress own{};      // the director's on that port towards it; all zero if it has none
};

class Fib6 {
 public:
  // Later routes win over earlier ones of the same network and length; so do neighbours.
  Fib6(const Fib6Input& input, const std::vector<FibPort>& ports);

  static constexpr uint16_t kNoHop = 0;

  struct Answer {
    uint32_t next_hop;  // kNone: no route, or its neighbour is not known
    bool has_route;
    uint8_t port;            // of the route
    WideAddress unresolved;  // to be asked for on that port; all zero: nothing
  };
  Answer lookup(const WideAddress& destination) const;

  const NextHop6& operator[](uint32_t index) const { return next_hops_[index]; }
  bool is_own(const WideAddress& address) const { return owns_.contains(address); }
  // An own address of the port that routers may speak from; nullptr if it has none.
  const WideAddress* own_address(uint16_t port) const;

 private:
  struct Hash {
    size_t operator()(const WideAddress& a) const {
      return mum(load<uint64_t>(a.data()) ^ 0x9e3779b97f4a7c15u,
                 load<uint64_t>(a.data() + 8) ^ 0xbf58476d1ce4e5b9u);
    }
  };
  // A neighbour is one on its port: link-local addresses are each link's own.
  struct Station {
    WideAddress address;
    uint8_t port;
    bool operator==(const Station&) const = default;
  };
  struct StationHash {
    size_t operator()(const Station& s) const { return Hash{}(s.address) + s.port; }
  };
  WideAddress source_towards(uint8_t port, const WideAddress& neighbour) const;

  std::vector<Fib6Address> addresses_;
  std::vector<NextHop6> next_hops_;
  std::unordered_map<Station, uint32_t, StationHash> by_neighbour_;
  std::array<std::unordered_map<WideAddress, Fib6Route, Hash>, 129> routes_;  // by length
  std::vector<uint8_t> lengths_;                                              // longest first
  std::unordered_map<WideAddress, uint8_t, Hash> owns_;
};

}  // namespace sluice
