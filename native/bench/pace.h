// Packets that arrive when they arrive, whether or not somebody polls: a Poisson process on a clock
// that stands still while other programs have the core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::bench {

// The TSC, less the time in which others had the core. /proc/thread-self/schedstat tells for how
// long the thread was ready to run and did not; it is looked up only where more than a gap has
// passed since the last call, so that looking costs nothing. A thread that polls always loses
// nothing else in such a gap than what the switch there and back cost, so it is left out as a
// whole; of one that sleeps (`sleep_us` at a time) just the wait is.
class OwnClock {
 public:
  explicit OwnClock(unsigned sleep_us);
  ~OwnClock();
  OwnClock(const OwnClock&) = delete;

  uint64_t now();
  // Cycles that others have had so far.
  uint64_t stolen() const { return stolen_; }

 private:
  uint64_t waited_ns() const;

  const bool sleeps_;
  const uint64_t gap_;  // cycles
  int file_ = -1;       // of the thread that asks first
  uint64_t last_ = 0, told_ = 0, stolen_ = 0, waited_before_ = 0;
};

class Pace {
 public:
  Pace();
  // `cycles`: from one arrival to the next, in the mean.
  void start(uint64_t now, double cycles);
  uint64_t arrival() const { return static_cast<uint64_t>(at_); }  // of the next packet
  void next() {
    at_ += gaps_[turn_] * mean_;
    turn_ = turn_ + 1 == gaps_.size() ? 0 : turn_ + 1;
  }
  double mean() const { return mean_; }

 private:
  std::vector<double> gaps_;  // exponentially distributed, of mean 1
  size_t turn_ = 0;
  double at_ = 0, mean_ = 1;
};

}  // namespace sluice::bench
