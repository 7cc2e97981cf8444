// Whole connections, many at once: the frames of each in order, those of others between them. A
// step begins one connection and moves each of those in hand on by one frame, so that as many end
// as begin, and a connection's next frame comes when its record has long left the caches.
#pragma once

#include <vector>

#include "addresses.h"
#include "case.h"
#include "engine/table/memory.h"
#include "frames.h"
#include "generator.h"

namespace sluice::bench {

class Conversations {
 public:
  // Connections between two frames of one, at most: 64 Ki × (a record and two buckets) are 12 MB a
  // stage.
  static constexpr uint32_t kMostApart = 1 << 16;
  // A frame's mark is its connection with the stage above it.
  static constexpr unsigned kStageShift = 29;
  static constexpr uint32_t kMostConnections = 1u << kStageShift;

  struct Stage {
    Segment segment;
    bool reply;
  };
  static std::vector<Stage> stages_of(const Case& c);

  // Among `connections` that rest, of which half are in hand at most.
  Conversations(const Case& c, uint32_t connections);

  unsigned packets() const { return static_cast<unsigned>(stages_.size()); }
  // Connections that are begun but not ended at any time.
  uint32_t in_hand() const { return (packets() - 1) * apart_; }

  // Where a sequence of frames stands. Connections before `first` and from `last` on are left out.
  struct Cursor {
    uint32_t first = 0, last = kMostConnections;
    uint32_t step = 0;
    unsigned stage = 0;
    uint32_t begun = 0;  // connections whose first frame has been made
  };
  bool is_over(const Cursor& cursor) const {
    return cursor.step >= uint64_t{cursor.last} + in_hand();
  }
  // Makes n frames, fewer where the cursor ends; replies are counted.
  uint16_t make(Cursor& cursor, rte_mbuf** mbufs, uint16_t n, uint64_t& replies);
  // A frame of the resting state, once for every connection below `count` in an order without a
  // pattern; `at` runs from 0 on.
  uint16_t touch(uint32_t& at, uint32_t count, rte_mbuf** mbufs, uint16_t n);

  // Reads what replies need off a connection's first frame as it left. The floor has a memory of
  // its own, as large.
  void learn(const rte_mbuf* mbuf, bool floor);
  static uint32_t connection_of(const rte_mbuf* mbuf) {
    return mbuf->hash.usr & (kMostConnections - 1);
  }
  static unsigned stage_of(const rte_mbuf* mbuf) { return mbuf->hash.usr >> kStageShift; }
  bool has_replies() const { return has_replies_; }

 private:
  void write(rte_mbuf* mbuf, uint32_t connection, unsigned stage) const;
  Learned& learned(uint32_t connection, bool floor) {
    return learned_[(floor ? mask_ + 1 : 0) + (connection & mask_)];
  }

  const Mode mode_;
  const std::vector<Stage> stages_;
  const uint32_t apart_;
  bool has_replies_ = false;
  uint32_t mask_;
  TableMemory<Learned> learned_;
  std::vector<Frame> frames_;  // by stage
  Frame rest_;
};

}  // namespace sluice::bench
