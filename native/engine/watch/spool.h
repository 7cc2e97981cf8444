// A ring of bytes from one worker to one reader, and what was counted beside it. Records are
// published a burst at a time, so that the writer may still correct one that nobody has seen.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../types.h"

namespace sluice {

class Spool {
 public:
  // `bytes`: a power of two. The memory is touched here, not by the worker.
  explicit Spool(uint32_t bytes) : memory_(bytes, uint8_t{0}), mask_(bytes - 1) {}
  Spool(const Spool&) = delete;

  // Writer.
  bool has_room(uint32_t bytes) {
    if (memory_.size() - (head_ - tail_seen_) >= bytes) return true;
    tail_seen_ = tail_.load(std::memory_order_acquire);
    return memory_.size() - (head_ - tail_seen_) >= bytes;
  }
  // Where the next byte goes, to patch it later.
  uint64_t at() const { return head_; }
  void write(const void* from, uint32_t bytes) {
    put(head_, from, bytes);
    head_ += bytes;
  }
  void patch(uint64_t at, const void* from, uint32_t bytes) { put(at, from, bytes); }
  void rewind(uint64_t at) { head_ = at; }
  void publish() { published_.store(head_, std::memory_order_release); }

  // Reader: appends at most `most` bytes of what is there. Records may be cut; the rest follows.
  size_t read(std::vector<uint8_t>& out, size_t most) {
    const uint64_t from = tail_.load(std::memory_order_relaxed);
    const uint64_t there = published_.load(std::memory_order_acquire) - from;
    const size_t n = there < most ? there : most;
    const size_t start = out.size();
    out.resize(start + n);
    const size_t first = std::min<size_t>(n, memory_.size() - (from & mask_));
    std::memcpy(out.data() + start, memory_.data() + (from & mask_), first);
    std::memcpy(out.data() + start + first, memory_.data(), n - first);
    tail_.store(from + n, std::memory_order_release);
    return n;
  }

 private:
  void put(uint64_t at, const void* from, uint32_t bytes) {
    const auto first =
        static_cast<uint32_t>(std::min<size_t>(bytes, memory_.size() - (at & mask_)));
    std::memcpy(memory_.data() + (at & mask_), from, first);
    std::memcpy(memory_.data(), static_cast<const uint8_t*>(from) + first, bytes - first);
  }

  std::vector<uint8_t> memory_;
  const uint64_t mask_;
  uint64_t head_ = 0, tail_seen_ = 0;  // the writer's
  alignas(64) std::atomic<uint64_t> published_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
};

// A count that one thread writes and another reads.
class Tally {
 public:
  void add(uint64_t n = 1) {
    count_.store(count_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void take_back() { add(static_cast<uint64_t>(-1)); }
  uint64_t value() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> count_{0};
};

}  // namespace sluice
