// Which records of a connection table may have to give way when a new connection finds no room: a
// bit a record, and a hand that goes round over them, as a clock's.
//
// The bit is set when a connection is made and cleared when its state says that it is in use, both
// off the way of an established connection's packets; what nobody tells (a UDP flow that lasts, a
// record that was released) is found out when the hand, or the timing wheel, comes by. So every
// connection is looked at once for nothing at the most.
//
// Who takes a victim's record lies right behind the hand and is safe for a lap: victims are the
// oldest ones to within a lap, without any list to keep.
#pragma once

#include <cstdint>

#include "../types.h"
#include "memory.h"

namespace sluice {

class Expendables {
 public:
  explicit Expendables(uint32_t records) : words_(uint64_t{records} / 64 + 1) {}

  void ask_for(uint32_t record) const { __builtin_prefetch(&words_[record / 64], 1); }
  void add(uint32_t record) { words_[record / 64] |= uint64_t{1} << (record % 64); }
  void remove(uint32_t record) { words_[record / 64] &= ~(uint64_t{1} << (record % 64)); }

  // The next one at the hand, which moves past it. At most `words` words (64 records each) without
  // one are passed, counted down; then kNone.
  uint32_t next(unsigned& words) {
    uint64_t word = words_[at_] & ~passed_;
    while (word == 0) {
      if (words == 0) return kNone;
      --words;
      at_ = at_ + 1 == words_.size() ? 0 : at_ + 1;
      passed_ = 0;
      word = words_[at_];
    }
    const uint64_t bit = word & -word;
    passed_ |= bit | (bit - 1);
    return static_cast<uint32_t>(at_ * 64) + static_cast<uint32_t>(__builtin_ctzll(bit));
  }
  // What next() would find without passing a word, to prefetch it; kNone otherwise.
  uint32_t peek() const {
    const uint64_t word = words_[at_] & ~passed_;
    if (word == 0) return kNone;
    return static_cast<uint32_t>(at_ * 64) + static_cast<uint32_t>(__builtin_ctzll(word));
  }

 private:
  TableMemory<uint64_t> words_;
  size_t at_ = 0;        // word under the hand
  uint64_t passed_ = 0;  // its bits that the hand has gone past
};

}  // namespace sluice
