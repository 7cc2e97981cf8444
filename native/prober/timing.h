// Deadlines of conversations: a wheel of lists that costs the same for one and for ten thousand.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

// Items are small numbers, each with one deadline at most. A deadline is met up to kTickMs late.
class Deadlines {
 public:
  static constexpr uint64_t kTickMs = 4;
  static constexpr uint32_t kSlots = 4096;  // 16 s a turn; a later one waits for its turn

  Deadlines() : heads_(kSlots, kNobody) {}

  void set(uint32_t item, uint64_t at_ms) {
    if (item >= links_.size()) links_.resize(item + 1);
    remove(item);
    // Rounded up: never early.
    const uint64_t tick = at_ms / kTickMs + 1;
    const auto slot = static_cast<uint32_t>(tick % kSlots);
    Link& link = links_[item];
    link = {tick, heads_[slot], kNobody, slot, true};
    if (link.next != kNobody) links_[link.next].previous = item;
    heads_[slot] = item;
    if (count_++ == 0 || tick < next_tick_) next_tick_ = tick;
  }

  void remove(uint32_t item) {
    if (item >= links_.size() || !links_[item].is_set) return;
    Link& link = links_[item];
    link.is_set = false;
    --count_;
    if (link.next != kNobody) links_[link.next].previous = link.previous;
    if (link.previous != kNobody) {
      links_[link.previous].next = link.next;
    } else {
      heads_[link.slot] = link.next;
    }
  }

  // Calls `due(item)` for each deadline that has passed; it is not set any more then. `due` may set
  // and remove any.
  template <class Due>
  void advance(uint64_t now_ms, Due&& due) {
    const uint64_t now = now_ms / kTickMs;
    if (count_ == 0) {
      done_ = now;
      return;
    }
    if (now - done_ > kSlots) done_ = now - kSlots;
    while (done_ < now) {
      const uint32_t slot = static_cast<uint32_t>(++done_ % kSlots);
      passed_.clear();
      for (uint32_t item = heads_[slot]; item != kNobody; item = links_[item].next) {
        if (links_[item].tick <= done_) passed_.push_back(item);
      }
      for (const uint32_t item : passed_) {
        if (!links_[item].is_set || links_[item].tick > done_) continue;
        remove(item);
        due(item);
      }
    }
    next_tick_ = done_ + 1;
    while (count_ != 0 && next_tick_ < done_ + kSlots && heads_[next_tick_ % kSlots] == kNobody) {
      ++next_tick_;
    }
  }

  // How long nothing falls due, in ms; -1: for ever.
  int idle_ms(uint64_t now_ms) const {
    if (count_ == 0) return -1;
    const uint64_t at = next_tick_ * kTickMs;
    return at <= now_ms ? 0 : static_cast<int>(at - now_ms);
  }

 private:
  static constexpr uint32_t kNobody = UINT32_MAX;

  struct Link {
    uint64_t tick;
    uint32_t next, previous, slot;
    bool is_set;
  };

  std::vector<uint32_t> heads_, passed_;
  std::vector<Link> links_;
  uint64_t done_ = 0;       // the last tick that was looked at
  uint64_t next_tick_ = 0;  // nothing falls due before
  uint32_t count_ = 0;
};

}  // namespace sluice
