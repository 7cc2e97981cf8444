#include "watch.h"

#include <algorithm>

namespace sluice {

Watch::Watch(WatchSpec given, unsigned workers) : spec(std::move(given)) {
  for (unsigned w = 0; w < workers; ++w) lanes.push_back(std::make_unique<Lane>(spec.spool));
}

// A record costs 1 / rate of a second; up to a tenth of one may be saved for a burst.
bool Watch::Lane::admit(const WatchSpec& spec, uint64_t now_ns, uint16_t port, uint32_t bytes) {
  constexpr uint64_t kMostSaved = 100'000'000;
  WatchCounts& count = counts[port];
  if (spec.count != 0 && written >= spec.count) return false;
  count.matched.add();
  const uint64_t cost = 1'000'000'000 / spec.rate;
  const uint64_t most = std::max(kMostSaved, cost);
  const uint64_t passed = filled_ns == 0 ? most : now_ns > filled_ns ? now_ns - filled_ns : 0;
  tokens_ns = std::min(tokens_ns + passed, most);
  filled_ns = now_ns;
  if (tokens_ns < cost) {
    count.over_rate.add();
    return false;
  }
  if (!spool.has_room(bytes)) {
    count.no_room.add();
    return false;
  }
  tokens_ns -= cost;
  count.taken.add();
  ++written;
  return true;
}

void Watch::Lane::take_back(uint16_t port, uint64_t at) {
  spool.rewind(at);
  --written;
  counts[port].matched.take_back();
  counts[port].taken.take_back();
}

}  // namespace sluice
