// Stage 5, beside the way of most packets: what a server makes of SYNs, for passive health checks.
// Only SYNs, resets and ends of half-open connections come by here.
#include "../worker.h"

namespace sluice {

namespace {

// A client repeats a SYN after a second (RFC 6298 section 2); one who does it sooner is no
// evidence.
constexpr uint32_t kRepeatedMs = 500;

}  // namespace

// Half-open, its server's answer would pass here, and none has.
bool Worker::is_unanswered(const Record& c) const {
  return c.state == State::syn_recv && !c.has(kServerIsnKnown) &&
         (c.mode() == Mode::nat || c.mode() == Mode::fullnat);
}

void Worker::note_repeated_syn(uint32_t record) {
  Record& c = table_[record];
  if (idle_ms(c) < kRepeatedMs || (c.packets & kFailureCounted) || !is_unanswered(c)) return;
  c.packets |= kFailureCounted;
  ++counters_.handshakes(c.server)[kUnanswered];
}

void Worker::note_first_answer(uint32_t record, uint8_t flags) {
  const Record& c = table_[record];
  if (!is_unanswered(c)) return;
  ++counters_.handshakes(c.server)[flags & net::kRst ? kRefused : kAnswered];
}

void Worker::note_refusal(uint32_t record) {
  const Record& c = table_[record];
  if (is_unanswered(c)) ++counters_.handshakes(c.server)[kRefused];
}

void Worker::note_half_open_end(uint32_t record, Extra why) {
  const Record& c = table_[record];
  // One that gave way to others has had no time to be answered.
  if (why != Extra::connections_expired || (c.packets & kFailureCounted) || !is_unanswered(c)) {
    return;
  }
  ++counters_.handshakes(c.server)[kUnanswered];
}

}  // namespace sluice
