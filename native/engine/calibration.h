// Does a port bring packets to the workers that own them? Its NIC was told how, but what it does is
// seen on the first packets: their queue and the hash they carry are compared with our own. Until
// it has agreed often enough, and for good once it hasn't, owners are found by calculation. Who
// owns a flow is the same either way, so nothing happens to connections when the answer is found.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "steering.h"

namespace sluice {

// A worker's own, for one port.
class Calibration {
 public:
  // Chance agreement of so many 32-bit hashes is none at all; they are for NICs that hash some
  // kinds of packets (TCP, UDP) as told and others not.
  static constexpr uint8_t kEnough = 64;

  enum class Finding : uint8_t { none, agrees, disagrees };

  void start() { state_ = kChecking; }
  bool is_checking() const { return state_ == kChecking; }
  bool agrees() const { return state_ == kAgrees; }

  // An unfragmented packet without IP options that came by the worker's own queue.
  Finding check(const rte_mbuf& mbuf, uint32_t hash, uint16_t worker, const Steering& steering) {
    const bool right = (mbuf.ol_flags & RTE_MBUF_F_RX_RSS_HASH) != 0 && mbuf.hash.rss == hash &&
                       steering.worker_of(hash) == worker;
    if (!right) {
      state_ = kDisagrees;
      return Finding::disagrees;
    }
    if (++seen_ < kEnough) return Finding::none;
    state_ = kAgrees;
    return Finding::agrees;
  }

 private:
  enum State : uint8_t { kDisagrees, kChecking, kAgrees };
  State state_ = kDisagrees;  // as ports do that can't spread packets
  uint8_t seen_ = 0;
};

}  // namespace sluice
