// A watch: packets that somebody wants to see, for a time, at a bounded rate. Two kinds:
//   trace    packets of a flow, each with the decisions that it met (tracing.cc)
//   capture  frames that a tcpdump filter takes, as they come and go (watcher.cc)
//
// Each worker writes what it sees into a spool of its own and stops by itself when the time is up,
// whether or not anybody still reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "../types.h"
#include "filter.h"
#include "spool.h"

namespace sluice {

// Of a trace. 0: any.
struct FlowFilter {
  WideAddress client{}, service{};
  be16 client_port = 0, service_port = 0;
  uint8_t protocol = 0;
};

struct WatchSpec {
  enum class Kind : uint8_t { trace, capture };
  Kind kind = Kind::trace;
  FlowFilter flow;                 // trace
  std::shared_ptr<Filter> filter;  // capture
  uint32_t ports = 0;              // capture: a bit a port
  bool in = true, out = true;      // capture: directions
  uint32_t bytes = 128;            // of each frame that are kept
  uint32_t rate = 1000;            // records a second and worker
  uint64_t count = 0;              // records a worker, at the most; 0: as many as come
  uint64_t until_ns = UINT64_MAX;  // by the clock of Watcher::Now
  uint32_t spool = 1u << 20;       // bytes a worker, a power of two
};

// Counts of a port.
struct WatchCounts {
  Tally seen;     // frames looked at
  Tally matched;  // of those
  Tally taken;    // into the spool
  Tally over_rate, no_room;
};

class Watch {
 public:
  Watch(WatchSpec spec, unsigned workers);

  // What belongs to one worker.
  struct Lane {
    explicit Lane(uint32_t bytes) : spool(bytes) {}
    // May one more record of so many bytes be written? Counts it either way.
    bool admit(const WatchSpec& spec, uint64_t now_ns, uint16_t port, uint32_t bytes);
    // The last record, which begins there and is not published, was none after all.
    void take_back(uint16_t port, uint64_t at);
    Spool spool;
    WatchCounts counts[kMaxPorts];
    uint64_t written = 0;
    uint64_t tokens_ns = 0;  // the rate's account: time that has not been spent
    uint64_t filled_ns = 0;
    std::atomic<bool> ended{false};
  };

  const WatchSpec spec;
  std::vector<std::unique_ptr<Lane>> lanes;
};

// ---- What a spool holds: records of whole 8 bytes, little-endian, packets' own fields as they
// are. src/watch/records.ts reads them.

enum class RecordKind : uint32_t { frame = 1, trace = 2 };

// `end` of a record without one.
inline constexpr uint8_t kNoEnd = 0xff;
inline constexpr uint8_t kHandedOff = 0xfe;  // another worker owns its flow

struct FrameRecord {
  uint32_t bytes;  // of the record
  RecordKind kind;
  uint64_t time_ns;  // since the epoch
  uint16_t port;
  uint8_t out;  // 0: came in, 1: went out
  uint8_t end;
  uint32_t wire_bytes;
  uint32_t kept_bytes;  // follow
  uint32_t reserved;
};
static_assert(sizeof(FrameRecord) == 32);

inline constexpr unsigned kTraceExtras = 48;
inline constexpr unsigned kMostCandidates = 64;

enum TraceFlag : uint8_t {
  kFromOtherWorker = 1,  // came by a ring
  kIcmpError = 2,        // quotes a packet of the flow
  kHadConnection = 4,
  kHasConnection = 8,  // afterwards, or it was scheduled without one
  kIsReply = 16,
  kWentToTwin = 32,
};

struct TraceRecord {
  uint32_t bytes;
  RecordKind kind;
  uint64_t time_ns;
  uint16_t port, out_port;  // UINT16_MAX: none
  uint8_t end, flags, mode, worker;
  uint8_t owner;  // worker that it was handed to
  uint8_t state_before, state_after;
  uint8_t frames;            // that left
  uint32_t service, server;  // slots; kNone
  uint32_t generation;
  uint32_t idle_ms, timeout_ms;
  WideAddress caddr, vaddr, raddr, laddr;
  be16 cport, vport, rport, lport;
  WideAddress next_hop;
  uint32_t mtu;
  uint32_t before_wire, after_wire;  // bytes of the frames
  uint16_t before_kept, after_kept;  // follow, each filled up to 8
  uint16_t candidates;               // follow as CandidateRecord, before the frames
  uint16_t servers;                  // that the service has
  int8_t extras[kTraceExtras];       // what else was counted meanwhile, by Extra
  uint32_t reserved;
};
static_assert(sizeof(TraceRecord) == 208 && offsetof(TraceRecord, caddr) == 48);

struct CandidateRecord {
  uint32_t slot, weight, active, inactive;
  uint8_t up, usable;
  uint8_t reserved[6];
};
static_assert(sizeof(CandidateRecord) == 24);

constexpr uint32_t padded(uint32_t bytes) {
  return (bytes + 7) & ~7u;
}

}  // namespace sluice
