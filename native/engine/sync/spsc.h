// A bounded ring of values for one writer and one reader on different threads. Each side keeps the
// other's end in a line of its own and looks again only when it seems full or empty.
#pragma once

#include <atomic>
#include <cstdint>

#include "../table/memory.h"

namespace sluice::sync {

template <class T>
class Spsc {
 public:
  // `size` is a power of two.
  explicit Spsc(uint32_t size) : items_(size), mask_(size - 1) {}

  // Writer. False: full.
  bool push(const T& item) {
    if (room() == 0) return false;
    items_[tail_.at & mask_] = item;
    tail_.published.store(++tail_.at, std::memory_order_release);
    return true;
  }
  // Writer: how many more it takes, at least.
  uint32_t room() {
    const uint32_t size = mask_ + 1;
    if (tail_.at - tail_.other == size) {
      tail_.other = head_.published.load(std::memory_order_acquire);
    }
    return size - (tail_.at - tail_.other);
  }
  // Writer: as room(), but looked at now.
  uint32_t room_now() {
    tail_.other = head_.published.load(std::memory_order_acquire);
    return room();
  }

  // Reader: the oldest, nullptr when there is none; valid until drop().
  const T* peek() {
    if (head_.at == head_.other) head_.other = tail_.published.load(std::memory_order_acquire);
    return head_.at == head_.other ? nullptr : &items_[head_.at & mask_];
  }
  void drop() { head_.published.store(++head_.at, std::memory_order_release); }

  // Any thread.
  uint32_t size() const {
    const uint32_t head = head_.published.load(std::memory_order_acquire);
    return tail_.published.load(std::memory_order_acquire) - head;
  }
  bool empty() const { return size() == 0; }

 private:
  struct alignas(64) End {
    std::atomic<uint32_t> published{0};
    uint32_t at = 0;     // this side's
    uint32_t other = 0;  // the other's, as last seen
  };
  TableMemory<T> items_;
  const uint32_t mask_;
  End head_, tail_;
};

}  // namespace sluice::sync
