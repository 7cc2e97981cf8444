// Keeps next hops resolved through the kernel: those that packets miss, and before they do those
// of every real server and gateway. The kernel doesn't see our packets, so its entries go stale
// while they are in use; it is told to check them again.
#pragma once

#include <unordered_map>

#include "mirror.h"
#include "routing.h"

namespace sluice {

class Resolver {
 public:
  Resolver(Mirror& mirror, Routing& routing) : mirror_(mirror), routing_(routing) {}

  // A worker had a packet for it. The kernel is asked at most once a second and address.
  void ask(uint8_t port, be32 address, uint64_t now_ms);
  // Once a second, and after a new configuration.
  void tick(uint64_t now_ms);

 private:
  Mirror& mirror_;
  Routing& routing_;
  std::unordered_map<uint64_t, uint64_t> asked_ms_;  // (port, address) → when last
};

}  // namespace sluice
