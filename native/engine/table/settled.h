// What a connection's record says of itself so that most packets need no other check: one word
// that is compared once.
//
// A worker counts the publications it has seen (snapshot or fib, whichever changes). A connection
// whose packet has passed every check of the full way (5_forward.cc) gets the count together with
// its Way; the next packet that finds both unchanged needs none of these checks: the real server
// is served, next hops hold, the client's address has been told, TCP is established.
#pragma once

#include <cstdint>

#include "connection.h"

namespace sluice {

// How a settled connection's packets are forwarded: its mode + 1, TUN's other wraps behind the
// modes, and kUdpBit for UDP. unsettled: the full way.
enum class Way : uint8_t { unsettled };
inline constexpr unsigned kRoutes = kModes + kWraps;
inline constexpr unsigned kWays = kUdpBit + kRoutes;
static_assert(kRoutes <= kUdpBit);

constexpr Way way_of(Mode mode, Wrap wrap, uint8_t protocol) {
  const unsigned route = mode == Mode::tun && wrap != Wrap::ipip
                             ? kModes + static_cast<unsigned>(wrap)
                             : 1u + static_cast<unsigned>(mode);
  return static_cast<Way>(route + (protocol & kUdpBit));
}
static_assert(static_cast<unsigned>(way_of(Mode::tun, Wrap::gue_checked, kUdp)) < kWays);

// Publications in the upper 27 bits, the way in the lower 5. A record would have to sleep for 2^27
// publications to be taken for current again; 0 is no publication, so a zeroed record is never.
class Epoch {
 public:
  // A new snapshot, or a new fib, which makes next hops void.
  void advance(bool fib_changed) {
    now_ += 1u << kWayBits;
    if (now_ == 0) now_ = 1u << kWayBits;
    if (fib_changed) fib_since_ = now_;
  }
  uint32_t settled(Way way) const { return now_ | static_cast<uint32_t>(way); }
  // Of a record's word: its way as long as nothing was published since, else unsettled.
  Way way(uint32_t settled) const {
    const uint32_t way = settled - now_;
    return way < kWays ? static_cast<Way>(way) : Way::unsettled;
  }
  // Has the connection been looked at since the last publication?
  bool is_current(uint32_t settled) const { return (settled & ~kWayMask) == now_; }
  static uint32_t unsettled(uint32_t settled) { return settled & ~kWayMask; }
  // Does a record's word say that its next hops are of the fib now read?
  bool hops_hold(uint32_t settled) const {
    return now_ - (settled & ~kWayMask) <= now_ - fib_since_;
  }

 private:
  static constexpr unsigned kWayBits = 5;
  static constexpr uint32_t kWayMask = (1u << kWayBits) - 1;
  static_assert(kWays <= kWayMask);
  uint32_t now_ = 0, fib_since_ = 0;
};

}  // namespace sluice
