// Stage 3: two passes over the burst, so that the misses of up to 32 lookups overlap. The first
// (in stage 1) asked for the buckets; this one reads the tags and asks for the records.
#include "../worker.h"

namespace sluice {

void Worker::lookup(Burst& burst) {
  for (uint16_t i = 0; i < burst.n; ++i) {
    Packet& packet = burst.packets[i];
    if (packet.concern != Concern::flow && packet.concern != Concern::icmp_error) continue;
    packet.candidate = table_.candidate(packet.hash);
    if (packet.candidate != kNone) table_.prefetch_record(packet.candidate >> 1);
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
