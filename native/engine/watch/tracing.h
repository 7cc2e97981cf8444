// Packets of a trace, seen through a worker's eyes: each goes through the pipeline alone, with a
// look at what is there before and after. So the pipeline itself knows nothing of traces.
#pragma once

#include "../worker6.h"
#include "watch.h"

namespace sluice {

class Tracing {
 public:
  Tracing(Worker& worker, unsigned index, uint64_t epoch_ns)
      : worker_(worker), index_(index), epoch_ns_(epoch_ns) {}

  // What a frame is about.
  struct Sight {
    bool is_ip = false, is_six = false, is_icmp = false, icmp_error = false, fragment = false;
    uint8_t protocol = 0;  // of the frame itself
    bool has_key = false;  // `tuple`: of the flow, or of the one that an ICMP error is about
    uint8_t key_protocol = 0;
    TupleOf<V6> tuple{};                  // IPv4 as on the boundary
    WideAddress source{}, destination{};  // of the frame
    uint16_t port = 0;                    // that it came by

    FlowKey<V4> key4() const {
      return {{v4_of(tuple.source), v4_of(tuple.destination), tuple.source_port,
               tuple.destination_port},
              key_protocol};
    }
    FlowKey<V6> key6() const { return {tuple, key_protocol}; }
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
  void look4(Sight& sight, const uint8_t* at, const uint8_t* end) const;
  void look6(Sight& sight, const uint8_t* at, const uint8_t* end) const;
  void look_at_quote6(Sight& sight, const uint8_t* at, const uint8_t* end) const;
  // The request's tuple of the flow's connection; false: there is none.
  bool request_of(const Sight& sight, TupleOf<V6>& request) const;
  const Service* service_of(const Sight& sight) const;
  void find_connection(const Sight& sight, Before& before) const;
  void weigh_candidates(TraceRecord& record, const Sight& sight, Before& before) const;
  void fill_connection(TraceRecord& record, const Before& before) const;
  void fill_verdict(TraceRecord& record, const Before& before, size_t verdicts) const;
  const rte_mbuf* find_output(TraceRecord& record) const;
  void fill_next_hop(TraceRecord& record, const rte_mbuf& frame) const;

  Worker& worker_;
  const unsigned index_;
  const uint64_t epoch_ns_;
};

}  // namespace sluice
