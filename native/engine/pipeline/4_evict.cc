// Part of stage 4: a first packet that finds the table, or the local ports towards its real server,
// full takes the place of the least worthy connection (table/worth.h), oldest first. What is
// established never gives way. One order for TCP and UDP: if half-open TCP went before all UDP, a
// flood of UDP would end the handshakes of others.
//
// The work a packet may cause is bounded; where it finds nobody in its reach it is dropped, and the
// next one goes on from there.
#include "../table/eviction.h"
#include "../worker.h"

namespace sluice {
namespace {

constexpr unsigned kMostWords = 512;  // of 64 records each, without a candidate: 4 KiB of bits
constexpr unsigned kMostPorts = 64;
constexpr uint32_t kPorts = 65536 - PortShare::kFirst;

}  // namespace

void Worker::give_way(uint32_t record) {
  const Record& c = table_[record];
  if (is_idle(c)) return destroy(record, Extra::connections_expired);
  note(Note::making_room, c.service);
  destroy(record, evicted_as(c.state));
}

// Frees a record. False when none in reach may go.
bool Worker::evict() {
  uint32_t reluctant = kNone;
  unsigned words = kMostWords;
  for (unsigned looks = 0; looks < kMostLooks; ++looks) {
    const uint32_t record = expendables_.next(words);
    if (record == kNone) break;
    const Worth worth = worth_of(table_[record]);
    if (worth == Worth::least) {
      give_way(record);
      const uint32_t coming = expendables_.peek();
      if (coming != kNone) table_.prefetch_record(coming);
      return true;
    }
    if (worth == Worth::little) {
      looks += kReluctance - 1;
      if (reluctant == kNone || idle_ms(table_[record]) > idle_ms(table_[reluctant])) {
        reluctant = record;
      }
    } else {
      expendables_.remove(record);
    }
  }
  if (reluctant == kNone) return false;
  give_way(reluctant);
  return true;
}

// Frees a local port that `c` can have: every port of these addresses towards its server is in
// somebody's use. They are given out in order, so going over them in order meets the oldest first.
// Writes laddr. False when none in reach may go.
bool Worker::evict_for_port(Record& c, std::span<const be32> locals) {
  uint32_t reluctant = kNone;
  for (unsigned looks = 0; looks < kMostPorts; ++looks) {
    const uint32_t at = port_hand_++;
    c.laddr = locals[at / kPorts % locals.size()];
    c.lport = to_be(static_cast<uint16_t>(PortShare::kFirst + at % kPorts));
    const FlowKey<V4> key{c.reply(), c.protocol()};
    const Found found = table_.find(key, table_.hash(key));
    if (!found) continue;  // another worker's port
    const Worth worth = worth_of(table_[found.record]);
    if (worth == Worth::least) {
      give_way(found.record);
      return true;
    }
    if (worth != Worth::little) continue;
    looks += kReluctance - 1;
    if (reluctant == kNone || idle_ms(table_[found.record]) > idle_ms(table_[reluctant])) {
      reluctant = found.record;
    }
  }
  if (reluctant == kNone) return false;
  c.laddr = table_[reluctant].laddr;
  give_way(reluctant);
  return true;
}

}  // namespace sluice
