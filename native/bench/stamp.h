// When a packet arrived, kept in its mbuf.
#pragma once

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <cstdint>

#include "engine/error.h"

namespace sluice::bench {

class Stamp {
 public:
  Stamp() {
    static const rte_mbuf_dynfield kField = {"sluice_bench_arrival", sizeof(uint64_t),
                                             alignof(uint64_t), 0};
    offset_ = rte_mbuf_dynfield_register(&kField);
    if (offset_ < 0) throw Error("ERR_BENCH_PORT", "mbufs have no room for a time stamp");
  }
  uint64_t& operator()(rte_mbuf* mbuf) const {
    return *RTE_MBUF_DYNFIELD(mbuf, offset_, uint64_t*);
  }

 private:
  int offset_;
};

}  // namespace sluice::bench
