// How a worker waits when no packet has come for a while. Where the kernel can tell that a frame
// has arrived (af_packet's sockets) it waits for that; where nothing can, it looks again after a
// time that the user sets. A bell wakes it for what other threads leave in its rings and mailbox.
#pragma once

#include <poll.h>
#include <time.h>

#include <vector>

#include "bell.h"

namespace sluice {

class Nap {
 public:
  // `sockets`: what the worker's receive queues can be waited for with; -1 among them: not at all.
  // `blind_us`: the longest wait where one of them can't.
  Nap(Bell& bell, const std::vector<int>& sockets, unsigned blind_us) : bell_(bell) {
    polled_.push_back({bell.fd(), POLLIN, 0});
    long nanoseconds = kLongestNs;
    for (const int socket : sockets) {
      if (socket >= 0) polled_.push_back({socket, POLLIN, 0});
      if (socket < 0) nanoseconds = long{blind_us} * 1000;
    }
    length_ = {0, nanoseconds};
  }

  // `is_waiting()`: something lies in a ring or in the mailbox already.
  template <class IsWaiting>
  void take(IsWaiting is_waiting) {
    bell_.listen();
    const bool woken =
        !is_waiting() && ppoll(polled_.data(), polled_.size(), &length_, nullptr) > 0;
    bell_.hush();
    if (woken && polled_[0].revents != 0) bell_.answer();
  }

 private:
  // Timers and the heartbeat go on meanwhile, at this step.
  static constexpr long kLongestNs = 10'000'000;

  Bell& bell_;
  std::vector<pollfd> polled_;
  timespec length_;
};

}  // namespace sluice
