// Expiry of idle connections. Packets only write last_seen; the wheel finds out when it visits a
// record whether it is really idle, and puts it at its new deadline if not. One lap is 4096 slots
// of 256 ms (17.5 minutes, above LVS's longest default); longer timeouts go round again.
//
// Slots are doubly linked through the records, so that a state change that shortens the timeout
// moves its record in constant time.
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

  explicit TimingWheel(Table& table) : table_(table), heads_(kSlots) {
    for (unsigned i = 0; i < kSlots; ++i) heads_[i] = kNone;
  }

  // Starts the wheel at a time; before any add.
  void start(uint64_t now_ms) { hand_ = now_ms >> kSlotShift; }

  void add(uint32_t record, uint64_t deadline_ms) {
    uint64_t tick = (deadline_ms >> kSlotShift) + 1;  // visited when surely past
    if (tick <= hand_) tick = hand_ + 1;
    if (tick >= hand_ + kSlots) tick = hand_ + kSlots - 1;
    const uint32_t slot = tick & (kSlots - 1);
    auto& entry = table_[record];
    entry.next = heads_[slot];
    entry.prev = kHead | slot;
    if (entry.next != kNone) table_[entry.next].prev = record;
    heads_[slot] = record;
  }

  void remove(uint32_t record) {
    auto& entry = table_[record];
    if (entry.prev & kHead) {
      heads_[entry.prev & ~kHead] = entry.next;
    } else {
      table_[entry.prev].next = entry.next;
    }
    if (entry.next != kNone) table_[entry.next].prev = entry.prev;
  }

  // Visits due records, at most `budget`; `visit(record)` must remove or re-add it and returns
  // nothing. True when the hand has reached now.
  template <class Visit>
  bool advance(uint64_t now_ms, unsigned budget, Visit&& visit) {
    const uint64_t target = now_ms >> kSlotShift;
    for (;;) {
      uint32_t& head = heads_[hand_ & (kSlots - 1)];
      while (head != kNone) {
        if (budget-- == 0) return false;
        const uint32_t record = head;
        if (table_[record].next != kNone) __builtin_prefetch(&table_[table_[record].next], 1);
        remove(record);
        visit(record);  // never lands in this slot again: add() goes behind the hand
      }
      if (hand_ >= target) return true;
      if (budget-- == 0) return false;
      ++hand_;
    }
  }

 private:
  static constexpr uint32_t kHead = 0x80000000;
  Table& table_;
  TableMemory<uint32_t> heads_;
  uint64_t hand_ = 0;  // slot being emptied, in ticks
};

}  // namespace sluice
