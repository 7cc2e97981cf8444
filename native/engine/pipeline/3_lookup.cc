// Stage 3: the buckets asked for in stage 1 are there by now; their tags name the records, which
// are asked for in turn.
#include "../worker.h"

namespace sluice {

void Worker::lookup(const Group& group) {
  for (uint16_t i = 0; i < group.n; ++i) {
    Packet& packet = group.packets[i];
    const uint32_t* const candidate = Table::candidate(packet.bucket, packet.hash);
    if (candidate == nullptr) [[unlikely]] {
      packet.candidate = kNone;
      packet.record = &nobody_;
      continue;
    }
    packet.candidate = *candidate;
    packet.record = &table_[*candidate >> 1];
    prefetch_far(packet.record);
  }
}

// The packet's connection, confirmed now: an earlier packet of the same burst may have made or
// ended it. An idle connection whose time is up is gone, whether or not the wheel came by.
uint32_t Worker::find_live(const Packet& packet, Direction& direction) {
  Found found;
  if (packet.candidate != kNone && table_.confirm(packet.candidate, packet.key)) [[likely]] {
    found = {packet.candidate >> 1, static_cast<Direction>(packet.candidate & 1)};
  } else {
    found = table_.find(packet.key, packet.hash);
    if (!found) return kNone;
  }
  if (is_idle(table_[found.record])) {
    destroy(found.record, Extra::connections_expired);
    return kNone;
  }
  direction = found.direction;
  return found.record;
}

}  // namespace sluice
