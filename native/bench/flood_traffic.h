// Legitimate traffic with a flood among it. Of the legitimate packets four in five belong to
// connections that are established, the fifth to whole connections that begin and end, each with
// its packets a fixed distance apart as a client's round trips are. The flood's packets are all of
// different, random clients and ports.
#pragma once

#include <vector>

#include "addresses.h"
#include "case.h"
#include "frames.h"
#include "generator.h"

namespace sluice::bench {

class FloodTraffic {
 public:
  enum Kind : uint8_t { established, fresh, flood };
  static constexpr unsigned kKinds = 3;
  static constexpr unsigned kFreshEvery = 5;  // legitimate packets
  static constexpr uint32_t kInHand = 1 << 16;

  struct Stage {
    Segment segment;
    bool reply;
  };
  struct Next {
    Kind kind;
    bool reply;
    uint8_t stage;
    uint32_t flow;
  };

  FloodTraffic(const Case& c, uint32_t flows);

  // Packets of a whole connection.
  unsigned stages() const { return static_cast<unsigned>(stages_.size()); }
  // From here on `factor` packets of the flood follow each legitimate one. A connection's packets
  // have those of `apart` other ones between them. Without connections (the floor knows none) the
  // established have their part.
  void mix(unsigned factor, bool with_fresh) {
    factor_ = factor;
    with_fresh_ = with_fresh;
  }
  void set_apart(uint32_t apart) { apart_ = apart; }
  Next next();
  // False for the answer of a server that has never been asked: the request was lost.
  bool can_be(const Next& next) const {
    return !next.reply || next.kind != fresh || learned_fresh(next.flow).server != 0;
  }
  void write(const Next& next, rte_mbuf* mbuf);
  // Of an established connection, in the order of the flows.
  void write_established(rte_mbuf* mbuf, uint32_t flow, const Frame& frame, bool reply);

  static Kind kind_of(const rte_mbuf* mbuf) { return static_cast<Kind>(mbuf->hash.usr >> 30); }
  // Has what left reached the end it was meant for, and a request the server (and by the local
  // port) that its connection began with? Learns from first packets.
  bool is_served(const rte_mbuf* mbuf);

 private:
  static constexpr uint32_t kReply = 1u << 29;
  static uint32_t mark_of(const Next& next) {
    return static_cast<uint32_t>(next.kind) << 30 | (next.reply ? kReply : 0) |
           (next.flow & (kReply - 1));
  }
  Learned& learned_fresh(uint32_t flow) { return fresh_[flow % kInHand]; }
  const Learned& learned_fresh(uint32_t flow) const { return fresh_[flow % kInHand]; }
  void write_reply(rte_mbuf* mbuf, const Next& next, const Head& head, const Learned& l) const;
  // Clients of the three kinds never meet.
  static uint32_t client_flow(Kind kind, uint32_t flow) {
    return kind == established ? flow : (kind == fresh ? 1u << 30 : 1u << 31) + flow;
  }
  uint32_t draw() {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(random_ >> 33);
  }

  const Mode mode_;
  const uint32_t flows_;
  const bool sees_replies_;
  std::vector<Stage> stages_;
  std::vector<Frame> frames_;  // by stage
  Frame request_, reply_, flood_;
  std::vector<Learned> established_, fresh_;
  unsigned factor_ = 0;
  bool with_fresh_ = true;
  unsigned turn_ = 0;  // packets since the last legitimate one
  uint64_t legitimate_ = 0;
  uint32_t apart_ = 1, step_ = 0, stage_ = 0;
  uint64_t random_ = 0x9e3779b97f4a7c15u;
};

}  // namespace sluice::bench
