// Who gives way when a table, or the local ports towards a real server, are full: the oldest of
// those that are worth least (worth.h). The work a packet may cause is bounded; the next one goes
// on from where it ended.
#pragma once

#include <cstdint>

#include "../counters.h"
#include "worth.h"

namespace sluice {

// 64 looks at neighbouring records cost about what a dropped packet's other misses do; a look at
// one that may go, but unwillingly, counts for eight.
inline constexpr unsigned kMostLooks = 64;
inline constexpr unsigned kReluctance = 8;

// What an eviction of a connection in that state is counted as.
inline Extra evicted_as(State state) {
  switch (state) {
    case State::udp:
      return Extra::evicted_udp;
    case State::syn_sent:
    case State::syn_recv:
    case State::synack:
    case State::sctp_init1:
    case State::sctp_init:
    case State::sctp_cookie_sent:
    case State::sctp_cookie_replied:
    case State::sctp_cookie_wait:
    case State::sctp_cookie:
    case State::sctp_cookie_echoed:
      return Extra::evicted_half_open;
    default:
      return Extra::evicted_closed;
  }
}

// The best of the candidates offered, until one is good enough.
template <class Table>
class Victim {
 public:
  explicit Victim(const Table& table, uint64_t now_ms) : table_(table), now_ms_(now_ms) {}
  // False when no more need to be offered.
  bool offer(uint32_t record) {
    const Worth worth = worth_of(table_[record]);
    if (worth == Worth::least) {
      chosen_ = record;
      return false;
    }
    if (worth != Worth::little) return ++looks_ < kMostLooks;
    looks_ += kReluctance;
    if (chosen_ == kNone || idle_ms(record) > idle_ms(chosen_)) chosen_ = record;
    return looks_ < kMostLooks;
  }
  bool pass() { return ++looks_ < kMostLooks; }  // nobody there
  uint32_t chosen() const { return chosen_; }    // kNone: nobody may go

 private:
  uint32_t idle_ms(uint32_t record) const {
    return static_cast<uint32_t>(now_ms_) - table_[record].last_seen_ms;
  }
  const Table& table_;
  const uint64_t now_ms_;
  uint32_t chosen_ = kNone;
  unsigned looks_ = 0;
};

}  // namespace sluice
