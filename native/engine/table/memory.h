// Zeroed memory for tables: anonymous, transparent huge pages asked for, committed when touched.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace sluice {

// Asks for a line that is needed some hundred cycles later, into L2. L1 has room for some 20 misses
// at once, L2 for two or three times as many: of 85 MB a random line came every 8.3 ns into L1 no
// matter how many were asked for ahead, every 4.8 ns into L2 with 32 and every 3.3 ns with 64.
// A hint only: Zen 4 ignores all of them for milliseconds on end when they come in quick succession
// and memory is busy. What can't bear that asks again, with __builtin_prefetch.
inline void prefetch_far(const void* at) {
  __builtin_prefetch(at, 0, 2);
}

template <class T>
class TableMemory {
 public:
  explicit TableMemory(size_t count) : count_(count) {
    if (count == 0) return;
    constexpr size_t kHuge = size_t{2} << 20;
    bytes_ = (count * sizeof(T) + kHuge - 1) & ~(kHuge - 1);
    // One huge page more than needed, so that the start can be aligned to one.
    void* at = mmap(nullptr, bytes_ + kHuge, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    base_ = at;
    const auto start = (reinterpret_cast<size_t>(at) + kHuge - 1) & ~(kHuge - 1);
    data_ = reinterpret_cast<T*>(start);
    madvise(data_, bytes_, MADV_HUGEPAGE);  // a hint: small pages work too
    bytes_ += kHuge;
  }
  ~TableMemory() {
    if (base_ != nullptr) munmap(base_, bytes_);
  }
  TableMemory(const TableMemory&) = delete;
  TableMemory& operator=(const TableMemory&) = delete;

  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* data() { return data_; }
  size_t size() const { return count_; }

 private:
  size_t count_;
  size_t bytes_ = 0;
  void* base_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace sluice
