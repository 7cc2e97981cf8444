// What lies behind the ports of the engine under stress: clients that send without end, servers
// that answer, routers that complain, and on each port a NIC that spreads all of it over the
// queues. A frame may come from any worker's thread and arrive by any other's queue.
#pragma once

#include <rte_ethdev.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/port/nic.h"
#include "engine/types.h"

namespace sluice::stress {

struct PortKey {
  net::Toeplitz::Key key;
  std::vector<uint16_t> table;
};

class Wire {
 public:
  // `nics`: by port, as the devices were told, or not.
  Wire(const std::vector<PortKey>& nics, unsigned queues, rte_mempool* mbufs);
  ~Wire();

  // Hooks into queue `queue` of DPDK's device `device`, which is the engine's port `port`.
  void attach(uint16_t port, uint16_t device, uint16_t queue);

 private:
  struct Tap;
  // An ordinary lock: what is under stress is the engine's rings.
  struct Queue {
    std::mutex mutex;
    std::vector<rte_mbuf*> mbufs;
  };

  static uint16_t on_receive(uint16_t, uint16_t, rte_mbuf** mbufs, uint16_t n, uint16_t room,
                             void* user);
  static uint16_t on_transmit(uint16_t, uint16_t, rte_mbuf** mbufs, uint16_t n, void* user);

  static Tap& tap_of(void* user);
  uint16_t receive(Tap& tap, rte_mbuf** mbufs, uint16_t n);
  void write_request(Tap& tap, rte_mbuf& mbuf);
  void answer(Tap& tap, const rte_mbuf& sent);
  void complain(rte_mbuf& quoted);
  // Into the queue that the port's NIC chooses.
  void arrive(uint16_t port, rte_mbuf* mbuf);

  const unsigned queues_;
  rte_mempool* const mbufs_;
  std::vector<Nic> nics_;
  std::vector<std::unique_ptr<Queue>> arriving_;  // by port and queue
  std::vector<std::unique_ptr<Tap>> taps_;
};

}  // namespace sluice::stress
