// Zeroed memory for tables: anonymous, transparent huge pages asked for, committed when touched.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace sluice {

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
