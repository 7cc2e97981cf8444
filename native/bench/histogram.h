// Counts by size, 32 classes to each doubling: a quantile is right to 3 %, at any size.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace sluice::bench {

class Histogram {
 public:
  void add(uint64_t value) {
    ++counts_[index_of(value)];
    ++total_;
    most_ = std::max(most_, value);
  }
  uint64_t total() const { return total_; }
  uint64_t most() const { return most_; }
  // The least value that a share `part` of all is not above; 0 of none.
  uint64_t quantile(double part) const {
    const auto wanted = static_cast<uint64_t>(part * static_cast<double>(total_));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return std::min(top_of(i), most_);
    }
    return most_;
  }

 private:
  static constexpr unsigned kBits = 5;
  static size_t index_of(uint64_t value) {
    if (value < 1u << kBits) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kBits - 1;
    return (size_t{shift} << kBits) + (value >> shift);
  }
  // The largest value that falls into a class.
  static uint64_t top_of(size_t index) {
    if (index < 1u << kBits) return index;
    const size_t shift = (index >> kBits) - 1;
    const uint64_t first = (index & ((1u << kBits) - 1)) | 1u << kBits;
    return ((first + 1) << shift) - 1;
  }

  std::vector<uint64_t> counts_ = std::vector<uint64_t>((64 - kBits + 1) << kBits);
  uint64_t total_ = 0, most_ = 0;
};

}  // namespace sluice::bench
