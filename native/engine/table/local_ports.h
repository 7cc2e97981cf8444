// Local ports of FullNAT and ENAT: which ports of a LIP are taken towards one real server.
//
// A port may be used once per (LIP, RIP, rport, protocol), so each such set has 64 K less the
// privileged ones: a bit each, in chunks of a cache line. Which chunks have a free port is known
// exactly, so that taking one reads the set's entry and at most two chunks, at any fill; giving one
// back touches the entry and one chunk. Sets are walked onward from where the last port was taken,
// so that a port rests before it is used again; a word's free ports are all held ahead in the
// entry, so that most are given out without a look at a chunk.
//
// Memory follows use: a set takes an entry (128 bytes) and a block (512 bytes) for each 4096 ports
// that its walk has come to; a full one 8 KiB, a bit more than an eighth of a byte a port.
//
// Each worker has a share of every set's ports, which tells where replies arrive (port_share.h);
// bits stand for the share's numbers.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <vector>

#include "../types.h"
#include "hash.h"
#include "memory.h"
#include "port_share.h"

namespace sluice {

class LocalPorts {
 public:
  // max_sets: (LIP, RIP, rport, protocol) combinations at once.
  LocalPorts(PortShare share, uint32_t max_sets, uint64_t seed);

  // In two words, which stay in registers from whoever asks to the comparison.
  struct Set {
    uint64_t addresses;
    uint32_t service;
    Set() = default;
    Set(be32 local, be32 server, be16 server_port, uint8_t protocol)
        : addresses(uint64_t{local} << 32 | server),
          service(uint32_t{server_port} << 8 | protocol) {}
    be32 local() const { return static_cast<be32>(addresses >> 32); }
    be32 server() const { return static_cast<be32>(addresses); }
    be16 server_port() const { return static_cast<be16>(service >> 8); }
    uint8_t protocol() const { return static_cast<uint8_t>(service); }
    bool operator==(const Set&) const = default;
  };
  // A free port (network order), or 0 when all are taken.
  [[gnu::always_inline]] be16 take(Set set) {
    const uint32_t found = entry_of(set);
    if (found == kNone) [[unlikely]]
      return take_anywhere(set);
    Entry& entry = entries_[found];
    if (entry.ahead == 0) [[unlikely]]
      return take_anywhere(set);
    const auto bit = static_cast<uint32_t>(__builtin_ctzll(entry.ahead));
    entry.ahead &= entry.ahead - 1;
    return give_out(entry, entry.word * 64 + bit);
  }
  // Takes this very port. False when it is not to be given back: taken already, or never given out
  // by this worker (another worker's or another director's, see slice()), or no set is left.
  bool reserve(Set set, be16 port);
  // Two directors that share local addresses give out ports of one half each, told apart by the
  // ports' highest bit: 0 is the lower. Before the first take().
  void slice(unsigned half);

  // Where a taken port is kept; holds until it is given back.
  struct Place {
    uint32_t entry = kNone;
    uint32_t number = 0;
    uint64_t* taken = nullptr;
  };
  // Asks the memory for what give() will touch.
  [[gnu::always_inline]] Place find(Set set, be16 port) {
    const uint32_t found = entry_of(set);
    if (found == kNone) return {};
    const Entry& entry = entries_[found];
    const uint32_t number = share_.number(entry.base, from_be(port));
    uint64_t* taken = &chunk(entry, number / kChunkPorts).taken[number % kChunkPorts / 64];
    __builtin_prefetch(taken, 1);
    return {found, number, taken};
  }
  [[gnu::always_inline]] void give(const Place& place) {
    if (place.entry == kNone) return;
    Entry& entry = entries_[place.entry];
    const uint32_t at = place.number / kChunkPorts;
    *place.taken &= ~(uint64_t{1} << (place.number % 64));
    entry.full[at / 64] &= ~(uint64_t{1} << (at % 64));
    if (--entry.used == 0) drop(place.entry);
  }

  uint32_t sets() const { return live_; }

  // Looks at so many slots of the index from `at` on, which it moves, for a set that is fuller than
  // `fullest`. True at the end of the index: `at` is 0 again.
  struct Fill {
    Set set{};
    uint32_t used = 0;
  };
  bool survey(uint32_t& at, uint32_t slots, Fill& fullest) const;
  uint32_t ports_a_set() const { return usable_; }

 private:
  static constexpr unsigned kChunkPorts = 512;
  static constexpr unsigned kBlockChunks = 8;
  static constexpr unsigned kChunks = 128;
  static constexpr unsigned kBlocks = kChunks / kBlockChunks;

  struct alignas(64) Chunk {
    uint64_t taken[kChunkPorts / 64];  // bit: port in use, or beyond the share
  };
  struct alignas(64) Entry {
    Set key;
    uint32_t base;                        // of the share
    uint32_t used;                        // ports; of a free entry: the next free one
    uint32_t cursor;                      // number to go on from when none is held ahead
    uint32_t word;                        // 64 numbers of which some are held ahead
    uint64_t ahead;                       // bit: free, though its chunk calls it taken
    uint64_t full[2];                     // bit: chunk has no free port, exactly
    alignas(64) uint32_t block[kBlocks];  // index + 1; 0: not in use yet
  };
  static_assert(sizeof(Entry) == 128 && kChunks * kChunkPorts == 65536);

  // Open addressing. Carries the key, so that no entry but the right one is looked at.
  struct Index {
    uint64_t addresses;
    uint32_t service;
    uint32_t entry;  // + 1; 0: empty
    bool is(Set set) const { return addresses == set.addresses && service == set.service; }
  };
  static_assert(sizeof(Index) == 16);

  uint32_t entry_of(Set set) const {
    for (uint32_t at = home(set); index_[at].entry != 0; at = (at + 1) & mask_) {
      if (index_[at].is(set)) return index_[at].entry - 1;
    }
    return kNone;
  }
  uint32_t make(Set set);
  [[gnu::noinline]] void drop(uint32_t entry);
  // Sets are the configuration's: nobody outside can choose them to collide.
  uint32_t home(Set set) const {
    return static_cast<uint32_t>(_mm_crc32_u64(_mm_crc32_u32(0, set.service), set.addresses)) &
           mask_;
  }
  [[gnu::noinline]] be16 take_anywhere(Set set);
  be16 give_out(Entry& entry, uint32_t number) {
    ++entry.used;
    return to_be(share_.port(entry.base, number));
  }
  uint32_t make_block(uint32_t index);
  void note_if_full(Entry& entry, uint32_t at);
  Chunk& chunk(const Entry& entry, uint32_t at) {
    return chunks_[size_t{entry.block[at / kBlockChunks] - 1} * kBlockChunks + at % kBlockChunks];
  }

  const PortShare share_;
  uint32_t count_;   // ports a set
  uint32_t usable_;  // of them, those of our half
  // By number, as chunks have them: ports of the other half. The same for every set, as their
  // highest bit is (port_share.h). Empty: all are ours.
  std::vector<uint64_t> foreign_;
  uint64_t foreign_chunks_[2]{};  // bit: chunk without a port of ours
  uint32_t mask_;                 // of the index, a power of two less one
  uint32_t max_sets_, live_ = 0;
  uint64_t random_;
  TableMemory<Index> index_;
  TableMemory<Entry> entries_;
  TableMemory<Chunk> chunks_;  // by blocks
  uint32_t entries_used_ = 0, blocks_used_ = 0;
  uint32_t free_entry_ = kNone;
  uint32_t free_block_ = 0;  // index + 1, chained through the first word
};

}  // namespace sluice
