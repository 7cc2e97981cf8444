// An rte_ring that frees itself. Names are unique in the process.
#pragma once

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <atomic>
#include <string>

#include "../error.h"

namespace sluice {

class Ring {
 public:
  enum Producers { kOne, kMany };

  // `size` is a power of two; one slot stays empty. One consumer.
  explicit Ring(unsigned size, Producers producers = kOne) {
    static std::atomic<unsigned> serial{0};
    const std::string name = "sluice" + std::to_string(serial++);
    // Many: relaxed tail, since ordinary threads among the producers may be preempted.
    const unsigned flags = RING_F_SC_DEQ | (producers == kOne ? RING_F_SP_ENQ : RING_F_MP_RTS_ENQ);
    ring_ = rte_ring_create(name.c_str(), size, SOCKET_ID_ANY, flags);
    if (ring_ == nullptr) {
      throw Error("ERR_NATIVE_MEMORY", std::string("ring: ") + rte_strerror(rte_errno));
    }
  }
  ~Ring() { rte_ring_free(ring_); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  uint16_t push(rte_mbuf* const* packets, uint16_t n) {
    return static_cast<uint16_t>(
        rte_ring_enqueue_burst(ring_, reinterpret_cast<void* const*>(packets), n, nullptr));
  }
  uint16_t pop(rte_mbuf** packets, uint16_t n) {
    return static_cast<uint16_t>(
        rte_ring_dequeue_burst(ring_, reinterpret_cast<void**>(packets), n, nullptr));
  }
  // By any thread. DPDK's own reads the ends plainly, which C++ calls a race.
  bool empty() const {
    return __atomic_load_n(&ring_->prod.tail, __ATOMIC_ACQUIRE) ==
           __atomic_load_n(&ring_->cons.tail, __ATOMIC_ACQUIRE);
  }
  // 64-bit messages instead of pointers.
  bool push_word(uint64_t word) {
    return rte_ring_enqueue(ring_, reinterpret_cast<void*>(word)) == 0;
  }
  bool pop_word(uint64_t* word) {
    void* item;
    if (rte_ring_dequeue(ring_, &item) != 0) return false;
    *word = reinterpret_cast<uint64_t>(item);
    return true;
  }
  void free_packets() {
    for (rte_mbuf* packet; pop(&packet, 1) == 1;) rte_pktmbuf_free(packet);
  }

 private:
  rte_ring* ring_;
};

}  // namespace sluice
