// The port of the single-worker scenarios: a real ethdev on DPDK's null driver, whose receive
// function ends in a callback that makes the frames, and whose transmit function begins with one
// that reads them. Both directions pass through rte_eth_rx_burst and rte_eth_tx_burst as with any
// other device.
#pragma once

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "engine/live/live_sink.h"

namespace sluice::bench {

class PortUser {
 public:
  virtual ~PortUser() = default;
  // Fills up to n mbufs that the driver has allocated; how many. The rest is freed.
  virtual uint16_t receive(rte_mbuf** mbufs, uint16_t n) = 0;
  virtual void transmit(rte_mbuf* const* mbufs, uint16_t n) = 0;
};

class BenchPort {
 public:
  // Above 1500, as the way to a tunnel's real servers should be, so that full frames fit.
  static constexpr uint16_t kMtu = 1600;

  BenchPort(rte_mempool* mbufs, PortUser& user);
  ~BenchPort();
  BenchPort(const BenchPort&) = delete;

  const Ports& ports() const { return ports_; }
  uint16_t device() const { return ports_[0]->id(); }

 private:
  Ports ports_;
  const rte_eth_rxtx_callback *rx_, *tx_;
};

// A turn of the floor: what the port costs with macswap only.
void swap_macs(uint16_t device);

}  // namespace sluice::bench
