// Keeps next hops resolved through the kernel: those that packets miss, and before they do those
// of every real server and gateway. The kernel doesn't see our packets, so its entries go stale
// while they are in use; it is told to check them again.
#pragma once

#include <map>
#include <utility>

#include "mirror.h"
#include "routing.h"

namespace sluice {

class Resolver {
 public:
  Resolver(Mirror& mirror, Routing& routing) : mirror_(mirror), routing_(routing) {}

  // A worker had a packet for it. The kernel is asked at most once a second and address.
  void ask(uint8_t port, be32 address, uint64_t now_ms) { ask(four_, port, address, now_ms); }
  void ask(uint8_t port, const WideAddress& address, uint64_t now_ms) {
    ask(six_, port, address, now_ms);
  }
  // Once a second, and after a new configuration.
  void tick(uint64_t now_ms);

 private:
  // (port, address) → when last.
  template <class Address>
  using Asked = std::map<std::pair<uint8_t, Address>, uint64_t>;
  template <class Address>
  void ask(Asked<Address>& asked, uint8_t port, const Address& address, uint64_t now_ms);
  template <class Family, class Fib>
  void tick(Asked<typename Family::Address>& asked, const Fib& fib,
            const std::vector<typename Family::Address>& wanted, uint64_t now_ms);

  Mirror& mirror_;
  Routing& routing_;
  Asked<be32> four_;
  Asked<WideAddress> six_;
};

}  // namespace sluice
