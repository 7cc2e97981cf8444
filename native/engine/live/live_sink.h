// A worker's Sink when it is live: its own transmit queues, and rings for everything else.
#pragma once

#include <memory>
#include <vector>

#include "../port/ethdev.h"
#include "../sink.h"
#include "../watch/watcher.h"
#include "wiring.h"
#include "word.h"

namespace sluice {

using Ports = std::vector<std::unique_ptr<Port>>;

class LiveSink final : public Sink {
 public:
  LiveSink(unsigned worker, const Ports& ports, Wiring& wiring, Watcher& watcher);

  uint16_t transmit(uint16_t port, rte_mbuf** packets, uint16_t n) override;
  uint16_t punt(uint16_t port, rte_mbuf** packets, uint16_t n) override;
  uint16_t hand_off(uint16_t worker, rte_mbuf** packets, uint16_t n) override;
  void resolve(uint16_t port, be32 address) override;
  void resolve(uint16_t port, const WideAddress& address) override;
  void note(Note what, uint32_t count, uint32_t service_slot) override;

 private:
  uint16_t sort_out(rte_mbuf** packets, uint16_t n);
  struct Out {
    uint16_t device;  // DPDK's port number
    bool has_queue;   // of this worker; else worker 0 sends
    bool has_twin;
  };

  const unsigned worker_;
  Wiring& wiring_;
  Watcher& watcher_;
  std::vector<Out> outs_;
};

}  // namespace sluice
