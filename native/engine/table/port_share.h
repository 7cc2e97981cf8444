// Which local ports are a worker's: ports are numbered 0 … count - 1 within a worker's share, for
// each set (LIP, RIP, rport) anew, and LocalPorts keeps its bits by number.
//
// Where packets are handed over by ring the share is a remainder: port % workers == worker.
//
// Where a NIC spreads them it is all ports whose reply RIP:rport → LIP:lport hashes to an entry of
// the worker's queue. The hash is linear, so a set contributes a constant, its base, and the low
// bits of a port's contribution divide the 64 K ports into classes of one size: the cosets of those
// ports that contribute nothing. With 128 entries a class has 512 ports; which class an entry
// means is base ^ entry. Ports and (class, place in it) are the same 16 bits in two bases of GF(2),
// two table look-ups apart. The basis is chosen so that each class has its privileged ports, which
// are left out, first.
#pragma once

#include <cstdint>
#include <vector>

#include "../types.h"

namespace sluice {

class Steering;
namespace net {
class Toeplitz;
}

class PortShare {
 public:
  static constexpr uint32_t kFirst = 1024;  // ports below are privileged

  // `steering` outlives this; nullptr: by remainder.
  PortShare(const Steering* steering, uint16_t worker, uint16_t workers);
  // True when the hash's low bits divide the ports into `entries` (a power of two) classes that
  // share the privileged ports alike.
  static bool divides(const net::Toeplitz& hash, size_t entries);

  // Ports a set has; at most 65536 - kFirst.
  uint32_t count() const { return count_; }
  // What the other two want to know of a set; kept with it.
  uint32_t base(be32 local, be32 server, be16 server_port) const;
  // Host order.
  uint16_t port(uint32_t base, uint32_t number) const {
    if (steering_ == nullptr) return static_cast<uint16_t>(first_ + number * step_);
    const uint32_t entry = number / step_;
    return static_cast<uint16_t>(by_class_[base ^ mine_[entry]] ^
                                 by_place_[first_ + number - entry * step_]);
  }
  // Is it one of this worker's?
  bool has(uint32_t base, uint16_t port) const {
    if (steering_ == nullptr) return port >= first_ && (port - first_) % step_ == 0;
    const uint32_t both = low_[port & 0xff] ^ high_[port >> 8];
    const uint32_t entry = base ^ (both & mask_);
    return mine_[position_[entry]] == entry && both >> bits_ >= first_;
  }
  uint32_t number(uint32_t base, uint16_t port) const {
    if (steering_ == nullptr) {
      return static_cast<uint32_t>(((port - first_) * per_step_) >> 32);
    }
    const uint32_t both = low_[port & 0xff] ^ high_[port >> 8];
    return position_[base ^ (both & mask_)] * step_ + (both >> bits_) - first_;
  }

 private:
  void divide(const Steering& steering, uint16_t worker);

  const Steering* steering_;
  uint32_t count_ = 0;
  // By remainder: port = first + number × step. By hash: places of a class before the first that
  // is not privileged, and places that follow.
  uint32_t first_, step_;
  uint64_t per_step_;                 // 2^32 / step_, rounded up: exact for 16 bits
  uint32_t mask_ = 0, bits_ = 0;      // of a class
  std::vector<uint16_t> mine_;        // entries of this worker
  std::vector<uint16_t> position_;    // by entry: where in mine_
  std::vector<uint16_t> by_class_;    // ports: one of each class …
  std::vector<uint16_t> by_place_;    // … and what to add for its others
  std::vector<uint16_t> low_, high_;  // class | place << bits_, by a port's bytes
};

}  // namespace sluice
