#include "port.h"

#include "addresses.h"
#include "engine/error.h"
#include "engine/net/headers.h"

namespace sluice::bench {
namespace {

uint16_t on_receive(uint16_t, uint16_t, rte_mbuf** mbufs, uint16_t n, uint16_t, void* user) {
  if (n == 0) return 0;
  const uint16_t made = static_cast<PortUser*>(user)->receive(mbufs, n);
  if (made < n) rte_pktmbuf_free_bulk(mbufs + made, n - made);
  return made;
}

uint16_t on_transmit(uint16_t, uint16_t, rte_mbuf** mbufs, uint16_t n, void* user) {
  static_cast<PortUser*>(user)->transmit(mbufs, n);
  return n;
}

}  // namespace

BenchPort::BenchPort(rte_mempool* mbufs, PortUser& user) {
  PortOptions options;
  options.name = "bench";
  options.device = "net_null0,copy=0";
  options.mac = plan::kDirectorMac;
  options.mtu = kMtu;
  ports_.push_back(std::make_unique<Port>(options, 1, mbufs));
  rx_ = rte_eth_add_rx_callback(device(), 0, on_receive, &user);
  tx_ = rte_eth_add_tx_callback(device(), 0, on_transmit, &user);
  if (rx_ == nullptr || tx_ == nullptr) {
    throw Error("ERR_BENCH_PORT", "this DPDK has no receive and transmit callbacks");
  }
}

BenchPort::~BenchPort() {
  rte_eth_remove_rx_callback(device(), 0, rx_);
  rte_eth_remove_tx_callback(device(), 0, tx_);
}

void swap_macs(uint16_t device) {
  rte_mbuf* mbufs[kBurst];
  const uint16_t n = rte_eth_rx_burst(device, 0, mbufs, kBurst);
  for (uint16_t i = 0; i < n; ++i) {
    auto* ethernet = rte_pktmbuf_mtod(mbufs[i], net::Ethernet*);
    const Mac to = ethernet->destination;
    ethernet->destination = ethernet->source;
    ethernet->source = to;
  }
  const uint16_t sent = n == 0 ? uint16_t{0} : rte_eth_tx_burst(device, 0, mbufs, n);
  if (sent < n) rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
}

}  // namespace sluice::bench
