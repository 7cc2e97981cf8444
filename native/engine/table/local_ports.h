// Local ports of FullNAT and ENAT: which ports of a LIP are taken towards one real server.
//
// A port may be used once per (LIP, RIP, rport, protocol), so each such set has 64 K less the
// privileged ones. Taking and giving back cost the same at any fill: a bit in a 512-port chunk,
// found through a summary word. Chunks are committed when first used. Sets are walked onward from
// where the last port was taken, so that a port rests before it is used again.
//
// Each worker has a share of every set's ports, which tells where replies arrive (port_share.h);
// bits stand for the share's numbers.
#pragma once

#include <cstdint>

#include "../types.h"
#include "hash.h"
#include "memory.h"
#include "port_share.h"

namespace sluice {

class LocalPorts {
 public:
  // max_sets: (LIP, RIP, rport, protocol) combinations at once.
  LocalPorts(PortShare share, uint32_t max_sets, uint32_t max_connections, uint64_t seed);

  struct Set {
    be32 local, server;
    be16 server_port;
    uint8_t protocol;
  };
  // A free port (network order), or 0 when all are taken.
  be16 take(const Set& set);
  void give(const Set& set, be16 port);
  uint32_t sets() const { return live_; }

 private:
  static constexpr unsigned kChunkPorts = 512;
  static constexpr unsigned kChunks = 126;  // × 512 ≥ 65 536 − 1024

  struct alignas(64) Chunk {
    uint64_t taken[kChunkPorts / 64];  // bit: port in use
  };
  struct Entry {
    Set key;
    uint32_t base;  // of the share
    uint32_t used;
    uint32_t cursor;
    uint64_t full[2];         // bit: chunk has no free port
    uint32_t chunk[kChunks];  // index + 1; 0: not committed
  };

  Entry* find(const Set& set, bool make);
  void drop(uint32_t at);
  uint32_t home(const Set& set) const;
  uint32_t take_chunk();

  const PortShare share_;
  uint32_t count_;  // ports a set
  uint32_t mask_;   // of the index, a power of two less one
  uint32_t max_sets_, live_ = 0;
  uint64_t random_;
  TableMemory<uint32_t> index_;  // open addressing: entry + 1
  TableMemory<Entry> entries_;
  TableMemory<Chunk> chunks_;
  uint32_t entries_used_ = 0, chunks_used_ = 0;
  uint32_t free_entry_ = kNone;  // chained through `used`
  uint32_t free_chunk_ = 0;      // index + 1, chained through taken[0]
};

}  // namespace sluice
