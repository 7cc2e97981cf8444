#include "pace.h"

#include <fcntl.h>
#include <rte_cycles.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>

namespace sluice::bench {

namespace {

constexpr unsigned kGapUs = 20;  // longer than a turn of the loop

}  // namespace

OwnClock::OwnClock(unsigned sleep_us)
    : sleeps_(sleep_us != 0), gap_((kGapUs + 2 * sleep_us) * (rte_get_tsc_hz() / 1'000'000)) {}

OwnClock::~OwnClock() {
  if (file_ >= 0) close(file_);
}

// 0 for ever where the kernel keeps no such account: then nothing counts as stolen.
uint64_t OwnClock::waited_ns() const {
  char text[96] = {};
  if (file_ < 0 || pread(file_, text, sizeof text - 1, 0) <= 0) return 0;
  char* end = text;
  std::strtoull(end, &end, 10);  // time on the CPU
  return std::strtoull(end, nullptr, 10);
}

uint64_t OwnClock::now() {
  if (last_ == 0) {
    file_ = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    waited_before_ = waited_ns();
    last_ = rte_rdtsc();
  }
  const uint64_t now = rte_rdtsc();
  if (now - last_ > gap_) [[unlikely]] {
    const uint64_t waited = waited_ns();
    const uint64_t cycles = (waited - waited_before_) * (rte_get_tsc_hz() / 1'000'000) / 1000;
    const uint64_t gap = now - last_;
    stolen_ += !sleeps_ && cycles > gap / 2 ? gap : cycles;
    waited_before_ = waited;
  }
  last_ = now;
  // The two clocks are not read at one moment; what is told never goes back.
  told_ = std::max(told_, now - stolen_);
  return told_;
}

Pace::Pace() : gaps_(1 << 16) {
  std::mt19937_64 random(1);
  std::exponential_distribution<double> gap(1);
  double sum = 0;
  for (double& each : gaps_) sum += each = gap(random);
  for (double& each : gaps_) each *= static_cast<double>(gaps_.size()) / sum;
}

void Pace::start(uint64_t now, double cycles) {
  mean_ = cycles;
  at_ = static_cast<double>(now);
  next();
}

}  // namespace sluice::bench
