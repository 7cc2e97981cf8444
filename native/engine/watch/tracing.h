// Packets of a trace, seen through a worker's eyes: each goes through the pipeline alone, with a
// look at what is there before and after. So the pipeline itself knows nothing of traces.
#pragma once

#include "../worker.h"
#include "watch.h"

namespace sluice {

class Tracing {
 public:
  Tracing(Worker& worker, unsigned index, uint64_t epoch_ns)
      : worker_(worker), index_(index), epoch_ns_(epoch_ns) {}

  // What a frame is about.
  struct Sight {
    bool is_ip = false, icmp_error = false, fragment = false;
    uint8_t protocol = 0;  // of the frame itself
    bool has_key = false;  // `key`: of the flow, or of the one that an ICMP error is about
    FlowKey<V4> key;       // ports 0 where there are none
    be32 source = 0, destination = 0;
    uint16_t port = 0;  // that it came by
  };
  Sight look(const rte_mbuf& frame, uint16_t port) const;
  bool matches(const FlowFilter& flow, const Sight& sight) const;
  // Bytes that its record takes at the most.
  uint32_t record_bytes(const Sight& sight) const;

  // Takes the frame through the pipeline, whose verdicts are on, and writes into each lane.
  void run(const Sight& sight, uint16_t port, rte_mbuf* frame, bool handed_off,
           Watch::Lane* const* lanes, unsigned n);

 private:
  struct Before;
  const Service* service_of(const Sight& sight) const;
  void fill_connection(TraceRecord& record, const Before& before) const;
  void fill_verdict(TraceRecord& record, const Before& before, size_t verdicts) const;
  const rte_mbuf* find_output(TraceRecord& record) const;
  void fill_next_hop(TraceRecord& record, const rte_mbuf& frame) const;

  Worker& worker_;
  const unsigned index_;
  const uint64_t epoch_ns_;
};

}  // namespace sluice
