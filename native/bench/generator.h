// What the port receives: frames of flows one after another or at random, from the clients, the
// real servers or both in turn.
#pragma once

#include <memory>
#include <vector>

#include "addresses.h"
#include "case.h"
#include "engine/table/memory.h"
#include "frames.h"

namespace sluice::bench {

// How the director has translated a flow, learned from what it sent: four bytes, so that the floor
// of replies stays close to that of requests.
struct Learned {
  be16 local_port;
  uint8_t local;
  uint8_t server;  // + 1; 0: not seen yet
};

class Generator {
 public:
  explicit Generator(const Case& c);

  // What the next frames are. Sequential: each flow once, from the first.
  void start(Segment segment, Traffic traffic, bool sequential);
  // Makes n frames, fewer where a sequence ends.
  uint16_t make(rte_mbuf** mbufs, uint16_t n);

  Learned& learned(uint32_t flow) { return learned_[flow]; }
  Ends request_ends(uint32_t flow) const {
    return {plan::client(flow), plan::kVip, plan::client_port(flow), plan::kVport};
  }

 private:
  static constexpr unsigned kSizes = 3;
  static constexpr unsigned kMixed = 12;

  static uint64_t next_random(uint64_t state) {
    return state * 6364136223846793005u + 1442695040888963407u;
  }
  static uint32_t pick(uint64_t random, uint64_t flows) {
    return static_cast<uint32_t>(((random >> 32) * flows) >> 32);
  }
  void draw();
  const Frame& frame(bool reply) {
    const unsigned size = sizes_[turn_];
    turn_ = turn_ + 1 == kMixed ? 0 : turn_ + 1;
    return frames_[reply][size];
  }
  template <class Family>
  void write_request(const Frame& frame, rte_mbuf* mbuf, uint32_t flow) const {
    frame.write_tail(mbuf);
    frame.head().write_request<Family>(mbuf, flow, plan::client(flow), plan::client_port(flow));
  }
  template <class Family>
  void write_reply(const Frame& frame, rte_mbuf* mbuf, uint32_t flow) const;
  template <class Family>
  uint16_t make_any(rte_mbuf** mbufs, uint16_t n);
  template <class Family>
  void make_requests(rte_mbuf** mbufs, uint16_t n);

  const Mode mode_;
  const uint8_t protocol_;
  const unsigned family_;
  const unsigned bytes_;
  const uint32_t flows_;
  Traffic traffic_ = Traffic::request;
  bool sequential_ = false;
  uint32_t next_flow_ = 0;
  uint64_t random_ = 0x9e3779b97f4a7c15u;
  uint32_t drawn_[kBurst]{};  // flows of the next burst, whose translations are on their way
  unsigned turn_ = 0;
  uint8_t sizes_[kMixed]{};
  TableMemory<Learned> learned_;
  std::unique_ptr<Frame[][kSizes]> frames_;  // by direction
};

}  // namespace sluice::bench
