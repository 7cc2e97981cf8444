#include "live_sink.h"

#include <rte_ethdev.h>
#include <rte_pause.h>

#include <utility>

#include "../net/headers.h"

namespace sluice {
namespace {

// A full queue of a fast device drains within this many tries; more would hold the worker up.
constexpr unsigned kTries = 4;

// Also behind IPsec's AH, whose first byte says what follows (RFC 4302 section 2.1).
bool is_advert(const rte_mbuf& packet) {
  constexpr uint8_t kVrrp = 112, kAh = 51;
  constexpr uint16_t kEtherIpv6 = 0x86dd;
  constexpr unsigned kNextHeader = 6;  // RFC 8200 section 3; adverts have no extension headers
  const uint16_t n = rte_pktmbuf_data_len(&packet);
  if (n < sizeof(net::Ethernet) + sizeof(net::Ipv4)) return false;
  const auto* ethernet = rte_pktmbuf_mtod(&packet, const net::Ethernet*);
  if (ethernet->type == to_be(kEtherIpv6)) {
    return reinterpret_cast<const uint8_t*>(ethernet + 1)[kNextHeader] == kVrrp;
  }
  if (ethernet->type != net::kEtherIpv4) return false;
  const auto* ip = reinterpret_cast<const net::Ipv4*>(ethernet + 1);
  if (ip->protocol != kAh) return ip->protocol == kVrrp;
  const unsigned header = ip->header_bytes();
  return sizeof(net::Ethernet) + header < n &&
         reinterpret_cast<const uint8_t*>(ip)[header] == kVrrp;
}

}  // namespace

LiveSink::LiveSink(unsigned worker, const Ports& ports, Wiring& wiring, Watcher& watcher)
    : worker_(worker), wiring_(wiring), watcher_(watcher) {
  for (const auto& port : ports) {
    outs_.push_back({port->id(), worker < port->tx_queues(), !port->options().twin.empty()});
  }
}

uint16_t LiveSink::transmit(uint16_t port, rte_mbuf** packets, uint16_t n) {
  const Out& out = outs_[port];
  if (!out.has_queue) {
    for (uint16_t i = 0; i < n; ++i) packets[i]->port = port;
    const uint16_t taken = wiring_.relay.push(packets, n);
    wiring_.worker_bells[0].ring();
    return taken;
  }
  const bool watched = watcher_.is_on();
  if (watched) [[unlikely]]
    watcher_.leaving(port, packets, n, Watcher::now());
  const auto queue = static_cast<uint16_t>(worker_);
  uint16_t sent = rte_eth_tx_burst(out.device, queue, packets, n);
  for (unsigned i = 1; i < kTries && sent < n; ++i) {
    rte_pause();
    sent += rte_eth_tx_burst(out.device, queue, packets + sent, n - sent);
  }
  if (watched) [[unlikely]]
    watcher_.left(sent);
  return sent;
}

uint16_t LiveSink::punt(uint16_t port, rte_mbuf** packets, uint16_t n) {
  for (uint16_t i = 0; i < n; ++i) packets[i]->port = port;
  uint16_t taken =
      wiring_.adverts_wanted.load(std::memory_order_relaxed) ? sort_out(packets, n) : 0;
  if (taken == n || !outs_[port].has_twin) return taken;
  taken += wiring_.punt[worker_]->push(packets + taken, n - taken);
  wiring_.slow_path_bell.ring();
  return taken;
}

// Adverts go to the herald, and to the front of `packets`; how many.
uint16_t LiveSink::sort_out(rte_mbuf** packets, uint16_t n) {
  uint16_t taken = 0;
  for (uint16_t i = 0; i < n; ++i) {
    if (!is_advert(*packets[i]) || wiring_.adverts.push(&packets[i], 1) == 0) continue;
    std::swap(packets[taken++], packets[i]);
  }
  if (taken != 0) wiring_.herald_bell.ring();
  return taken;
}

uint16_t LiveSink::hand_off(uint16_t worker, rte_mbuf** packets, uint16_t n) {
  const uint16_t taken = wiring_.between(worker_, worker)->push(packets, n);
  wiring_.worker_bells[worker].ring();
  return taken;
}

// Lost when the ring is full: the next packet asks again.
void LiveSink::resolve(uint16_t port, be32 address) {
  wiring_.words[worker_]->push_word(Word::resolve(port, address));
  wiring_.slow_path_bell.ring();
}

// In four words; a part that is lost loses them all, see SlowPath::read_words.
void LiveSink::resolve(uint16_t port, const WideAddress& address) {
  for (unsigned part = 0; part < 4; ++part) {
    wiring_.words[worker_]->push_word(
        Word::resolve6(port, part, load<uint32_t>(address.data() + 4 * part)));
  }
  wiring_.slow_path_bell.ring();
}

void LiveSink::note(Note what, uint32_t count, uint32_t service_slot) {
  wiring_.words[worker_]->push_word(Word::note(what, count, service_slot));
  wiring_.slow_path_bell.ring();
}

}  // namespace sluice
