#include "local_ports.h"

#include <bit>
#include <utility>

namespace sluice {
namespace {

// First clear bit from `at` on, going round. There has to be one.
uint32_t next_clear(const uint64_t (&bits)[2], uint32_t at) {
  for (at %= 128;; at = (at / 64 + 1) % 2 * 64) {
    const uint64_t clear = ~bits[at / 64] >> (at % 64);
    if (clear != 0) return at + static_cast<uint32_t>(std::countr_zero(clear));
  }
}

}  // namespace

LocalPorts::LocalPorts(PortShare share, uint32_t max_sets, uint64_t seed)
    : share_(std::move(share)),
      count_(share_.count()),
      usable_(count_),
      mask_(std::bit_ceil(max_sets * 2) - 1),
      max_sets_(max_sets),
      random_(seed),
      index_(mask_ + 1),
      entries_(max_sets),
      chunks_(size_t{max_sets} * kChunks) {}

void LocalPorts::slice(unsigned half) {
  foreign_.assign(kChunks * kChunkPorts / 64, 0);
  uint32_t ours[kChunks]{};
  usable_ = 0;
  for (uint32_t number = 0; number < count_; ++number) {
    if (share_.port(0, number) >> 15 == half) {
      ++ours[number / kChunkPorts];
      ++usable_;
    } else {
      foreign_[number / 64] |= uint64_t{1} << (number % 64);
    }
  }
  for (uint32_t chunk = 0; chunk < kChunks; ++chunk) {
    if (ours[chunk] == 0) foreign_chunks_[chunk / 64] |= uint64_t{1} << (chunk % 64);
  }
}

// Of a set that has none. kNone when there are as many sets as may be.
uint32_t LocalPorts::make(Set set) {
  if (live_ == max_sets_) return kNone;
  uint32_t fresh = free_entry_;
  if (fresh != kNone) {
    free_entry_ = entries_[fresh].used;
  } else {
    fresh = entries_used_++;
  }
  Entry& entry = entries_[fresh];
  entry = Entry{};
  entry.key = set;
  entry.base = share_.base(set.local(), set.server(), set.server_port());
  entry.cursor = static_cast<uint32_t>(mix64(random_) % count_);
  for (uint32_t chunk = (count_ + kChunkPorts - 1) / kChunkPorts; chunk < kChunks; ++chunk) {
    entry.full[chunk / 64] |= uint64_t{1} << (chunk % 64);
  }
  for (unsigned i = 0; i < 2; ++i) entry.full[i] |= foreign_chunks_[i];
  uint32_t at = home(set);
  while (index_[at].entry != 0) at = (at + 1) & mask_;
  index_[at] = {set.addresses, set.service, fresh + 1};
  ++live_;
  return fresh;
}

be16 LocalPorts::take_anywhere(Set set) {
  uint32_t found = entry_of(set);
  if (found == kNone) found = make(set);
  if (found == kNone || entries_[found].used == usable_) return 0;
  Entry& entry = entries_[found];
  // None is held ahead, so one of the chunks has a free port.
  // The cursor's chunk from the cursor on, else the next that has a free port; which may be the
  // cursor's own again, for what lies before it.
  uint32_t at = entry.cursor / kChunkPorts;
  uint32_t from = entry.cursor % kChunkPorts;
  if (entry.full[at / 64] >> (at % 64) & 1) {
    at = next_clear(entry.full, at);
    from = 0;
  }
  for (;; at = next_clear(entry.full, at + 1), from = 0) {
    uint32_t& block = entry.block[at / kBlockChunks];
    if (block == 0) block = make_block(at / kBlockChunks);
    uint64_t(&taken)[kChunkPorts / 64] = chunk(entry, at).taken;
    uint64_t mask = ~uint64_t{0} << (from % 64);
    for (uint32_t word = from / 64; word < std::size(taken); ++word, mask = ~uint64_t{0}) {
      const uint64_t free = ~taken[word] & mask;
      if (free == 0) continue;
      taken[word] |= free;
      if (taken[word] == ~uint64_t{0}) note_if_full(entry, at);
      entry.word = at * (kChunkPorts / 64) + word;
      entry.ahead = free & (free - 1);
      entry.cursor = (entry.word + 1) * 64 < count_ ? (entry.word + 1) * 64 : 0;
      return give_out(entry, entry.word * 64 + static_cast<uint32_t>(std::countr_zero(free)));
    }
  }
}

void LocalPorts::note_if_full(Entry& entry, uint32_t at) {
  for (const uint64_t bits : chunk(entry, at).taken) {
    if (bits != ~uint64_t{0}) return;
  }
  entry.full[at / 64] |= uint64_t{1} << (at % 64);
}

bool LocalPorts::reserve(Set set, be16 port) {
  uint32_t found = entry_of(set);
  const uint32_t base = share_.base(set.local(), set.server(), set.server_port());
  if (!share_.has(base, from_be(port))) return false;
  const uint32_t number = share_.number(base, from_be(port));
  if (!foreign_.empty() && (foreign_[number / 64] >> (number % 64) & 1) != 0) return false;
  if (found == kNone) found = make(set);
  if (found == kNone) return false;
  Entry& entry = entries_[found];
  const uint32_t at = number / kChunkPorts;
  uint32_t& block = entry.block[at / kBlockChunks];
  if (block == 0) block = make_block(at / kBlockChunks);
  uint64_t& taken = chunk(entry, at).taken[number % kChunkPorts / 64];
  const uint64_t bit = uint64_t{1} << (number % 64);
  if ((taken & bit) != 0) {
    if (entry.word != number / 64 || (entry.ahead & bit) == 0) return false;
    entry.ahead &= ~bit;
  }
  taken |= bit;
  ++entry.used;
  if (taken == ~uint64_t{0}) note_if_full(entry, at);
  return true;
}

bool LocalPorts::survey(uint32_t& at, uint32_t slots, Fill& fullest) const {
  for (; slots != 0 && at <= mask_; --slots, ++at) {
    if (index_[at].entry == 0) continue;
    const Entry& entry = entries_[index_[at].entry - 1];
    if (entry.used > fullest.used) fullest = {entry.key, entry.used};
  }
  if (at <= mask_) return false;
  at = 0;
  return true;
}

// Gives an empty set's blocks and entry back and closes the gap in the index (backward shift).
void LocalPorts::drop(uint32_t dropped) {
  Entry& entry = entries_[dropped];
  for (uint32_t& block : entry.block) {
    if (block == 0) continue;
    chunks_[size_t{block - 1} * kBlockChunks].taken[0] = free_block_;
    free_block_ = block;
    block = 0;
  }
  uint32_t gap = home(entry.key);
  while (index_[gap].entry != dropped + 1) gap = (gap + 1) & mask_;
  for (uint32_t at = (gap + 1) & mask_; index_[at].entry != 0; at = (at + 1) & mask_) {
    const uint32_t wanted = home(entries_[index_[at].entry - 1].key);
    if (((at - wanted) & mask_) < ((at - gap) & mask_)) continue;
    index_[gap] = index_[at];
    gap = at;
  }
  index_[gap].entry = 0;
  entry.used = free_entry_;
  free_entry_ = dropped;
  --live_;
}

// A block for the index-th 4096 ports of a set; those beyond the share count as taken. There are
// as many as all sets can use. Returns its index + 1.
uint32_t LocalPorts::make_block(uint32_t index) {
  uint32_t block = free_block_;
  if (block != 0) {
    free_block_ = static_cast<uint32_t>(chunks_[size_t{block - 1} * kBlockChunks].taken[0]);
  } else {
    block = ++blocks_used_;
  }
  uint32_t number = index * kBlockChunks * kChunkPorts;
  for (unsigned i = 0; i < kBlockChunks; ++i) {
    for (uint64_t& taken : chunks_[size_t{block - 1} * kBlockChunks + i].taken) {
      const uint32_t left = number < count_ ? count_ - number : 0;
      taken = left >= 64 ? 0 : ~uint64_t{0} << left;
      if (!foreign_.empty()) taken |= foreign_[number / 64];
      number += 64;
    }
  }
  return block;
}

}  // namespace sluice
