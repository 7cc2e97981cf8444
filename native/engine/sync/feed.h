// A worker's end of connection synchronisation: what it notes about its connections, and the two
// rings between it and the sync thread.
//
// Nothing here is on the way of an established connection's packets. A connection is noted when its
// state changes and told `after_ms` later, as it is then, so that one which has ended by then, and
// was never told, costs a few bytes of a queue and nothing else. A sweep goes over all records once
// in `refresh_ms`, some at a time, and tells again what lives: it repairs whatever was lost on the
// way. Persistence templates are told by a faster sweep of their own, when they are new or have
// been prolonged. A peer that has just started asks for a sweep of its own, as fast as the ring
// takes it.
//
// IPv4 and IPv6 have tables of their own, so a worker has a feed of each.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "../table/memory.h"
#include "estate.h"
#include "record.h"
#include "spsc.h"

namespace sluice::sync {

// What a worker counts, for anyone to read. FIGURE(name, help)
#define SLUICE_FEED_FIGURES(FIGURE)                                                     \
  FIGURE(told, "connections and changes that workers told the sync thread")             \
  FIGURE(overflowed, "not told since the ring was full; a sweep repairs it")            \
  FIGURE(swept, "of those told, by a sweep")                                            \
  FIGURE(adopted, "connections made from what the peer told")                           \
  FIGURE(updated, "connections changed by what the peer told")                          \
  FIGURE(ended, "connections ended by the peer")                                        \
  FIGURE(replaced, "connections that gave way to a newer one of the peer")              \
  FIGURE(signposts, "connections whose requests arrive at another worker than replies") \
  FIGURE(templates_told, "persistence templates that workers told the sync thread")     \
  FIGURE(templates_adopted, "persistence templates that the peer told, and are kept")   \
  FIGURE(refused_newer, "not adopted: the connection has carried traffic here since")   \
  FIGURE(refused_conflict, "not adopted: another connection uses its local port")       \
  FIGURE(refused_stale, "not adopted: service or real server changed meanwhile")        \
  FIGURE(refused_full, "not adopted: connection table full")

struct FeedFigures {
#define FIGURE(name, help) std::atomic<uint64_t> name{0};
  SLUICE_FEED_FIGURES(FIGURE)
#undef FIGURE
};

// Written by one thread, read by any.
inline void tally(std::atomic<uint64_t>& figure, uint64_t n = 1) {
  figure.store(figure.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

struct FeedOptions {
  bool tells = false;  // else it only adopts
  uint32_t after_ms = 100;
  uint32_t refresh_ms = 60'000;
};

// Often enough that what lives is told again before the shortest of its timeouts.
inline uint32_t sweep_ms(const sync::FeedOptions& options, const uint32_t* timeouts) {
  const uint32_t shortest = std::min(timeouts[static_cast<unsigned>(State::established)],
                                     timeouts[static_cast<unsigned>(State::udp)]);
  return std::max(1u, std::min(options.refresh_ms, shortest / 3));
}

// Of a record of the connection table.
enum Note : uint8_t {
  kTold = 1,    // the peer knows it
  kQueued = 2,  // to be told soon
  kTheirs = 4,  // adopted, and no packet of it has come here since
  // Of a hand-over:
  kClean = 8,        // told as it is, or nothing to tell
  kBequeathed = 16,  // told, so its end has to be told too
};

// Records that wait for their time, in the order of their coming.
class Queue {
 public:
  static constexpr uint32_t kSize = 1u << 16;  // at 200 K changes a second: a third of one

  Queue() : waiting_(kSize) {}
  // False: full.
  bool add(uint32_t record, uint64_t now_ms) {
    if (added_ - taken_ == kSize) return false;
    waiting_[added_++ % kSize] = {record, static_cast<uint32_t>(now_ms)};
    return true;
  }
  // The first, if it has waited for `wait_ms`; else kNone.
  uint32_t take(uint64_t now_ms, uint32_t wait_ms) {
    if (added_ == taken_) return kNone;
    const Waiting& first = waiting_[taken_ % kSize];
    if (static_cast<uint32_t>(now_ms) - first.since_ms < wait_ms) return kNone;
    ++taken_;
    return first.record;
  }
  // One whose turn comes soon, to ask the memory for it.
  uint32_t coming(uint32_t ahead) const {
    return added_ - taken_ > ahead ? waiting_[(taken_ + ahead) % kSize].record : kNone;
  }

 private:
  struct Waiting {
    uint32_t record, since_ms;
  };
  TableMemory<Waiting> waiting_;
  uint32_t added_ = 0, taken_ = 0;
};

template <class Family>
class FeedOf {
 public:
  static constexpr uint32_t kRing = 1u << 15;  // records each way: 2 MiB, of IPv6 4

  explicit FeedOf(uint32_t max_connections) : out(kRing), in(kRing), notes_(max_connections) {}

  // The worker's. Once started notes are kept for good; without `tells` nothing more comes of them.
  bool on() const { return on_; }
  const FeedOptions& options() const { return options_; }
  void start(const FeedOptions& options, uint64_t now_ms) {
    on_ = true;
    options_ = options;
    // What is there already is told by a first sweep.
    sweep = {0, true, now_ms, sweeps_wanted.load(std::memory_order_relaxed)};
    templates = sweep;
  }
  void stop() { options_.tells = false; }
  // Notes are kept from now on, whether or not anything is told.
  void keep_notes() { on_ = true; }
  uint8_t& notes(uint32_t record) { return notes_[record]; }
  void prefetch_notes(uint32_t record) const { __builtin_prefetch(&notes_[record], 1); }

  Queue soon;   // to be told after `after_ms`
  Queue later;  // UDP that had sent one packet by then: looked at once more
  struct Sweep {
    uint32_t at = 0;          // next record
    bool everything = false;  // also what hasn't changed for long: a peer has asked
    uint64_t started_ms = 0;
    uint32_t number = 0;  // of the request that it answers
  } sweep, templates;

  // Shared with the sync thread.
  Spsc<RecordOf<Family>> out;                // the worker writes
  Spsc<RecordOf<Family>> in;                 // the worker reads
  std::unique_ptr<EstateOf<Family>> estate;  // the worker's while another process takes over
  std::atomic<uint32_t> sweeps_wanted{0};    // by the sync thread: number of the latest request
  FeedFigures figures;                       // the worker writes

 private:
  bool on_ = false;
  FeedOptions options_;
  TableMemory<uint8_t> notes_;  // Note, by record
};
using Feed = FeedOf<V4>;
using Feed6 = FeedOf<V6>;

// Templates of persistence engines, of both families: fewer than connections, and each larger. What
// else a feed has of them is IPv4's.
struct CallFeed {
  static constexpr uint32_t kRing = 1u << 11;  // 768 KiB

  Feed::Sweep sweep;      // the worker's
  Spsc<Call> out{kRing};  // the worker writes
  Spsc<Call> in{kRing};   // the worker reads
};

// A worker's, for the sync thread.
struct Feeds {
  Feed* four;
  Feed6* six;
  CallFeed* calls;
  // The ring that takes what is so told.
  template <class Told>
  Spsc<Told>& in_of() const {
    if constexpr (std::is_same_v<Told, Call>) {
      return calls->in;
    } else if constexpr (std::is_same_v<Told, Record>) {
      return four->in;
    } else {
      return six->in;
    }
  }
  template <class Family>
  FeedOf<Family>& of() const {
    if constexpr (std::is_same_v<Family, V4>) {
      return *four;
    } else {
      return *six;
    }
  }
};

}  // namespace sluice::sync
