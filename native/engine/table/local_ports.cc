#include "local_ports.h"

#include <bit>
#include <utility>

namespace sluice {
namespace {

bool same(const LocalPorts::Set& a, const LocalPorts::Set& b) {
  return a.local == b.local && a.server == b.server && a.server_port == b.server_port &&
         a.protocol == b.protocol;
}

}  // namespace

LocalPorts::LocalPorts(PortShare share, uint32_t max_sets, uint32_t max_connections, uint64_t seed)
    : share_(std::move(share)),
      count_(share_.count()),
      mask_(std::bit_ceil(max_sets * 2) - 1),
      max_sets_(max_sets),
      random_(seed),
      index_(mask_ + 1),
      entries_(max_sets),
      // A set that holds any port commits at least one chunk; beyond that, full ones.
      chunks_(uint64_t{max_sets} + max_connections / kChunkPorts * 2 + kChunks) {}

uint32_t LocalPorts::home(const Set& set) const {
  const uint64_t a = uint64_t{set.local} << 32 | set.server;
  const uint64_t b = uint64_t{set.server_port} << 8 | set.protocol;
  return static_cast<uint32_t>(mum(a ^ 0x9e3779b97f4a7c15u, b ^ 0x8ebc6af09c88c6e3u)) & mask_;
}

LocalPorts::Entry* LocalPorts::find(const Set& set, bool make) {
  uint32_t at = home(set);
  for (; index_[at] != 0; at = (at + 1) & mask_) {
    Entry& entry = entries_[index_[at] - 1];
    if (same(entry.key, set)) return &entry;
  }
  if (!make || live_ == max_sets_) return nullptr;
  uint32_t fresh = free_entry_;
  if (fresh != kNone) {
    free_entry_ = entries_[fresh].used;
  } else {
    fresh = entries_used_++;
  }
  Entry& entry = entries_[fresh];
  entry = Entry{};
  entry.key = set;
  entry.base = share_.base(set.local, set.server, set.server_port);
  entry.cursor = static_cast<uint32_t>(mix64(random_) % count_);
  index_[at] = fresh + 1;
  ++live_;
  return &entry;
}

be16 LocalPorts::take(const Set& set) {
  Entry* entry = find(set, true);
  if (entry == nullptr || entry->used == count_) return 0;
  uint32_t chunk = entry->cursor / kChunkPorts;
  uint32_t from = entry->cursor % kChunkPorts;
  const uint32_t chunks = (count_ + kChunkPorts - 1) / kChunkPorts;
  // The cursor's chunk from the cursor on, the others whole, the cursor's again from its start.
  for (uint32_t turn = 0; turn <= chunks;
       ++turn, chunk = chunk + 1 == chunks ? 0 : chunk + 1, from = 0) {
    if (entry->full[chunk / 64] >> (chunk % 64) & 1) continue;
    if (entry->chunk[chunk] == 0) entry->chunk[chunk] = take_chunk();
    if (entry->chunk[chunk] == 0) return 0;
    Chunk& bits = chunks_[entry->chunk[chunk] - 1];
    const uint32_t end = std::min(kChunkPorts, count_ - chunk * kChunkPorts);
    for (uint32_t word = from / 64; word * 64 < end; ++word) {
      uint64_t free = ~bits.taken[word];
      if (word == from / 64) free &= ~uint64_t{0} << (from % 64);
      if (end - word * 64 < 64) free &= (uint64_t{1} << (end - word * 64)) - 1;
      if (free == 0) continue;
      const uint32_t at = chunk * kChunkPorts + word * 64 + std::countr_zero(free);
      bits.taken[word] |= free & -free;
      ++entry->used;
      entry->cursor = at + 1 == count_ ? 0 : at + 1;
      return to_be(share_.port(entry->base, at));
    }
    if (from == 0) entry->full[chunk / 64] |= uint64_t{1} << (chunk % 64);
  }
  return 0;
}

void LocalPorts::give(const Set& set, be16 port) {
  Entry* entry = find(set, false);
  if (entry == nullptr) return;
  const uint32_t at = share_.number(entry->base, from_be(port));
  const uint32_t chunk = at / kChunkPorts;
  chunks_[entry->chunk[chunk] - 1].taken[at % kChunkPorts / 64] &= ~(uint64_t{1} << (at % 64));
  entry->full[chunk / 64] &= ~(uint64_t{1} << (chunk % 64));
  if (--entry->used == 0) drop(static_cast<uint32_t>(entry - entries_.data()));
}

// Gives an empty set's chunks and entry back and closes the gap in the index (backward shift).
void LocalPorts::drop(uint32_t dropped) {
  Entry& entry = entries_[dropped];
  for (uint32_t& chunk : entry.chunk) {
    if (chunk == 0) continue;
    chunks_[chunk - 1].taken[0] = free_chunk_;
    free_chunk_ = chunk;
    chunk = 0;
  }
  uint32_t gap = home(entry.key);
  while (index_[gap] != dropped + 1) gap = (gap + 1) & mask_;
  for (uint32_t at = (gap + 1) & mask_; index_[at] != 0; at = (at + 1) & mask_) {
    const uint32_t wanted = home(entries_[index_[at] - 1].key);
    if (((at - wanted) & mask_) < ((at - gap) & mask_)) continue;
    index_[gap] = index_[at];
    gap = at;
  }
  index_[gap] = 0;
  entry.used = free_entry_;
  free_entry_ = dropped;
  --live_;
}

uint32_t LocalPorts::take_chunk() {
  if (free_chunk_ != 0) {
    const uint32_t chunk = free_chunk_;
    free_chunk_ = static_cast<uint32_t>(chunks_[chunk - 1].taken[0]);
    chunks_[chunk - 1] = Chunk{};
    return chunk;
  }
  return chunks_used_ < chunks_.size() ? ++chunks_used_ : 0;
}

}  // namespace sluice
