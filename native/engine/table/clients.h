// Which clients a service has on one of its lists: addresses of one family, immutable, shared by
// all services and snapshots that have the same list.
//
// Networks are laid down as the points where the set begins and ends, nested and adjoining ones as
// one. Sorted, an address is in the set when an odd number of points is not above it. They are
// found through nodes of a cache line (two for IPv6) whose levels above repeat the first point of
// each node below: four or five lines for a hundred thousand networks of IPv4, the upper ones in
// the cache, and at most 9.2 bytes a network (IPv6: 37).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "../types.h"

namespace sluice {

// Addresses as numbers in host order: the order that networks have.
inline uint32_t number_of(be32 address) {
  return from_be(address);
}
inline unsigned __int128 number_of(const WideAddress& address) {
  const auto half = [&](unsigned at) {
    return static_cast<unsigned __int128>(__builtin_bswap64(load<uint64_t>(address.data() + at)));
  };
  return half(0) << 64 | half(8);
}

template <class Number>
class AddressSet {
 public:
  struct Network {
    Number first;     // an address of it
    unsigned length;  // bits that all of them share
  };

  AddressSet() : AddressSet(std::vector<Network>{}) {}
  // In any order, nested, overlapping or repeated.
  explicit AddressSet(std::vector<Network> networks) {
    std::vector<std::pair<Number, Number>> ranges;
    ranges.reserve(networks.size());
    for (const Network& network : networks) {
      const Number host = network.length >= kBits ? 0 : kLast >> network.length;
      const Number first = network.first & ~host;
      ranges.emplace_back(first, first | host);
    }
    std::sort(ranges.begin(), ranges.end());
    std::vector<Number>& points = levels_.emplace_back(1, Number{0});
    points.reserve(ranges.size() * 2 + kNode);
    for (size_t i = 0; i < ranges.size();) {
      auto [first, last] = ranges[i];
      for (++i; i < ranges.size() && (last == kLast || ranges[i].first <= last + 1); ++i) {
        last = std::max(last, ranges[i].second);
      }
      points.push_back(first);
      if (last != kLast) points.push_back(static_cast<Number>(last + 1));
    }
    while (levels_.back().size() > kNode) {
      std::vector<Number> above;
      for (size_t at = 0; at < levels_.back().size(); at += kNode) {
        above.push_back(levels_.back()[at]);
      }
      levels_.push_back(std::move(above));
    }
    // What fills a node up is never below an address that is looked for, but for the last one.
    for (std::vector<Number>& level : levels_) {
      counts_.push_back(level.size());
      level.resize((level.size() + kNode - 1) / kNode * kNode, kLast);
      level.shrink_to_fit();
    }
  }

  bool contains(Number address) const {
    size_t at = 0;
    for (size_t level = levels_.size(); level-- > 0;) {
      const Number* node = levels_[level].data() + at * kNode;
      size_t below = 0;
      for (size_t i = 0; i < kNode; ++i) below += node[i] <= address;
      at = std::min(at * kNode + below, counts_[level]) - 1;
    }
    return (at & 1) != 0;
  }
  size_t bytes() const {
    size_t bytes = 0;
    for (const std::vector<Number>& level : levels_) bytes += level.size() * sizeof(Number);
    return bytes;
  }

 private:
  static constexpr unsigned kBits = sizeof(Number) * 8;
  static constexpr Number kLast = static_cast<Number>(~Number{0});
  static constexpr size_t kNode = sizeof(Number) == 4 ? 16 : 8;

  // The first is of the points, before them one at 0 that begins nothing.
  std::vector<std::vector<Number>> levels_;
  std::vector<size_t> counts_;  // of each level, without what fills it up
};

using ClientNetwork = AddressSet<uint32_t>::Network;
using ClientNetwork6 = AddressSet<unsigned __int128>::Network;

// Of one family; the other's set is empty.
struct ClientList {
  uint64_t fingerprint;  // of its networks: two that have the same are the same
  size_t networks;
  uint8_t family;
  AddressSet<uint32_t> four;
  AddressSet<unsigned __int128> six;
  bool has(be32 client) const { return four.contains(number_of(client)); }
  bool has(const WideAddress& client) const { return six.contains(number_of(client)); }
};

}  // namespace sluice
