// A worker's side of watches. Belongs to the worker's thread, which asks is_on() once a burst and
// calls nothing else while nobody watches.
#pragma once

#include <cstdint>
#include <vector>

#include "../worker.h"
#include "tracing.h"
#include "watch.h"

namespace sluice {

class Watcher {
 public:
  static constexpr unsigned kMostWatches = 4;

  explicit Watcher(unsigned worker);

  bool is_on() const { return count_ != 0; }

  // Nanoseconds: of an ever-rising clock, and since the epoch.
  struct Now {
    uint64_t steady, epoch;
  };
  // Live; replay gives its own.
  static Now now();

  // From mail. A watch that has ended by itself need not be removed, but may.
  void add(const Watch& watch);
  void remove(const Watch& watch);

  // Instead of Worker::receive and receive_handed_off.
  void receive(Worker& worker, uint16_t port, rte_mbuf** packets, uint16_t n, const Now& now);
  void receive_handed_off(Worker& worker, rte_mbuf** packets, uint16_t n, const Now& now);

  // Frames about to leave, of which the first so many really do afterwards.
  void leaving(uint16_t port, rte_mbuf** packets, uint16_t n, const Now& now);
  void left(uint16_t n);
  // Frames that no packet of a worker's caused.
  static void is_foreign(rte_mbuf* packet) { packet->hash.fdir.hi = 0; }

 private:
  struct Sighting {  // of a captured frame whose record is not published yet
    const Watch* watch;
    uint64_t at;  // of its record
    uint16_t port;
    uint16_t index;  // in its burst
    uint32_t id;
  };

  void run(Worker& worker, uint16_t port, rte_mbuf** packets, uint16_t n, bool handed_off,
           const Now& now);
  unsigned wanted_by(const Tracing& tracing, const Tracing::Sight& sight, uint16_t port,
                     const Now& now, Watch::Lane** lanes);
  void capture(const Watch& watch, uint16_t port, rte_mbuf** packets, uint16_t n, bool out,
               const Now& now);
  void end_if_due(const Now& now);
  void settle_arrived();
  void patch_end(const Sighting& one, uint8_t end);
  void publish();
  uint8_t end_of(uint32_t id) const;
  uint32_t id_of(uint32_t number) const;

  const unsigned worker_;
  unsigned count_ = 0;
  bool is_running_ = false;
  const Watch* watches_[kMostWatches]{};
  // Each packet that arrives gets a number, by which its verdict and the frame it became are known
  // again (mbuf->hash.fdir.hi; 0: none).
  uint32_t next_id_ = 0;
  std::vector<Verdict> verdicts_;  // of this burst
  struct Known {
    uint32_t id;
    uint8_t end;
  };
  std::vector<Known> known_;  // of bursts before, by id
  std::vector<Sighting> arrived_, leaving_;
};

}  // namespace sluice
