// A trace and a capture, read while workers fill them, stopped and begun again.
#pragma once

#include <cstddef>

#include "engine/watch/watches.h"

namespace sluice::stress {

class Onlookers {
 public:
  // `watches` have to outlive this.
  explicit Onlookers(Watches& watches) : watches_(watches) {
    trace_.wants.rate = capture_.wants.rate = 1'000'000;
    trace_.wants.seconds = capture_.wants.seconds = 3600;
    capture_.wants.kind = WatchSpec::Kind::capture;
    capture_.wants.expression = "udp or icmp";
    capture_.wants.ports = ~0u;
  }

  // Called by the control thread, again and again.
  void look() {
    for (Seat* seat : {&trace_, &capture_}) {
      const uint64_t now = Watcher::now().steady;
      if (seat->watch == 0) seat->watch = watches_.start(seat->wants, now);
      seat->bytes += watches_.read(seat->watch, now).records.size();
      if (++seat->looks % kLooks != 0) continue;
      watches_.stop(seat->watch);
      seat->watch = 0;
    }
  }
  // Bytes of records.
  size_t traced() const { return trace_.bytes; }
  size_t captured() const { return capture_.bytes; }

 private:
  static constexpr unsigned kLooks = 16;  // before it is stopped
  struct Seat {
    WatchRequest wants;
    unsigned watch = 0;  // 0: none is open
    unsigned looks = 0;
    size_t bytes = 0;
  };
  Watches& watches_;
  Seat trace_, capture_;
};

}  // namespace sluice::stress
