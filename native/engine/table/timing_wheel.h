// Expiry of idle connections. Packets only write last_seen; the wheel finds out when it visits a
// record whether it is really idle, and puts it at its new deadline if not. One lap is 4096 slots
// of 256 ms (17.5 minutes, above LVS's longest default); longer timeouts go round again.
//
// Slots are doubly linked through the records, so that a state change that shortens the timeout
// moves its record in constant time. A list can only be followed a miss at a time: each slot is
// several lists, walked in turn, so that as many records are on their way from memory at once.
#pragma once

#include <cstdint>

#include "../types.h"
#include "memory.h"

namespace sluice {

template <class Table>
class TimingWheel {
 public:
  static constexpr unsigned kSlots = 4096;
  static constexpr unsigned kSlotShift = 8;  // 256 ms
  // A visit that ends a connection takes some 20 ns, a miss to a large table 140 to 170.
  static constexpr unsigned kLanes = 8;

  explicit TimingWheel(Table& table) : table_(table), heads_(kSlots * kLanes) {
    for (unsigned i = 0; i < kSlots * kLanes; ++i) heads_[i] = kNone;
  }

  // Starts the wheel at a time; before any add.
  void start(uint64_t now_ms) { hand_ = now_ms >> kSlotShift; }

  void add(uint32_t record, uint64_t deadline_ms) {
    uint64_t tick = (deadline_ms >> kSlotShift) + 1;  // visited when surely past
    if (tick <= hand_) tick = hand_ + 1;
    if (tick >= hand_ + kSlots) tick = hand_ + kSlots - 1;
    const uint32_t list = (tick & (kSlots - 1)) * kLanes + lane_;
    lane_ = (lane_ + 1) % kLanes;
    auto& entry = table_[record];
    entry.next = heads_[list];
    entry.prev = kHead | list;
    if (entry.next != kNone) table_[entry.next].prev = record;
    heads_[list] = record;
  }

  void remove(uint32_t record) {
    auto& entry = table_[record];
    // The first of a list that is being emptied: what was before it has gone, and said nothing.
    uint32_t* const lists = lists_at(hand_);
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      if (lists[lane] != record) continue;
      lists[lane] = entry.next;
      return;
    }
    if (entry.prev & kHead) {
      heads_[entry.prev & ~kHead] = entry.next;
    } else {
      table_[entry.prev].next = entry.next;
    }
    if (entry.next != kNone) table_[entry.next].prev = entry.prev;
  }

  // Visits due records, at most `budget`; `visit(record)` finds it off the wheel and may add it
  // again. True when the hand has reached now.
  //
  // Nothing is written into the next record of a list: it has only just been asked for, and as
  // stores are made in order all that follow would wait for it.
  template <class Visit>
  bool advance(uint64_t now_ms, unsigned budget, Visit&& visit) {
    const uint64_t target = now_ms >> kSlotShift;
    for (;;) {
      uint32_t* const lists = lists_at(hand_);
      for (unsigned empty = 0; empty < kLanes; next_lane_ = (next_lane_ + 1) % kLanes) {
        const uint32_t record = lists[next_lane_];
        if (record == kNone) {
          ++empty;
          continue;
        }
        if (budget-- == 0) return false;
        empty = 0;
        const uint32_t next = table_[record].next;
        lists[next_lane_] = next;
        ask_for(next);  // long before its turn
        visit(record);  // never lands in this slot again: add() goes behind the hand
      }
      if (hand_ >= target) return true;
      if (budget-- == 0) return false;
      ++hand_;
      for (unsigned lane = 0; lane < kLanes; ++lane) ask_for(lists_at(hand_)[lane]);
    }
  }

 private:
  uint32_t* lists_at(uint64_t tick) { return &heads_[(tick & (kSlots - 1)) * kLanes]; }
  void ask_for(uint32_t record) {
    if (record != kNone) __builtin_prefetch(&table_[record], 1);
  }

  static constexpr uint32_t kHead = 0x80000000;
  static_assert(kSlots * kLanes < kHead);
  Table& table_;
  TableMemory<uint32_t> heads_;  // kLanes a slot
  uint64_t hand_ = 0;            // slot being emptied, in ticks
  unsigned lane_ = 0;            // of the next add
  unsigned next_lane_ = 0;       // to be visited next
};

}  // namespace sluice
