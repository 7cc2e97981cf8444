// How many resets and ICMP errors a worker makes, so that a flood of packets that nobody wants is
// not answered by another one (RFC 4443 section 2.4 f, RFC 1812 section 4.3.2.8): a bucket of a
// tenth of a second's, filled by the worker's clock.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sluice {

class AnswerLimit {
 public:
  // May one more be made? `rate`: a second; 0: as many as are asked for.
  bool take(uint64_t now_ms, uint32_t rate) {
    if (rate == 0) return true;
    const uint64_t most = std::max<uint64_t>(uint64_t{rate} * kBurstMs, kOne);
    const uint64_t elapsed = std::min<uint64_t>(now_ms - at_ms_, kLongMs);
    tokens_ = std::min(most, tokens_ + elapsed * rate);
    at_ms_ = now_ms;
    if (tokens_ < kOne) return false;
    tokens_ -= kOne;
    return true;
  }

 private:
  static constexpr uint64_t kOne = 1000;  // a token, as a rate a second times a millisecond is
  static constexpr uint64_t kBurstMs = 100;
  static constexpr uint64_t kLongMs = 1000;  // fills it at any rate
  uint64_t tokens_ = UINT64_MAX / 2;         // full
  uint64_t at_ms_ = 0;
};

}  // namespace sluice
