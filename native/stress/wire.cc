#include "wire.h"

#include <algorithm>

#include "engine/net/checksum.h"
#include "engine/net/headers.h"
#include "fuzz/fixture.h"

namespace sluice::stress {
namespace {

using namespace net;
using fuzz::v4;

constexpr uint16_t kFrontPort = 0, kBackPort = 1;
constexpr size_t kQueued = 1024;
constexpr unsigned kClients = 2000;
constexpr Mac kAnybody{2, 0, 0, 0, 9, 9};

Ethernet* ethernet_of(const rte_mbuf& mbuf) {
  return rte_pktmbuf_mtod(&mbuf, Ethernet*);
}
Ipv4* ip_of(const rte_mbuf& mbuf) {
  return reinterpret_cast<Ipv4*>(ethernet_of(mbuf) + 1);
}

std::atomic<bool> attached{false};

bool is_server(be32 address) {
  return address == v4(198, 51, 100, 11) || address == v4(198, 51, 100, 12);
}

}  // namespace

// A queue as the worker's thread that polls it sees it.
struct Wire::Tap {
  Wire& wire;
  const uint16_t port, queue;
  uint64_t random;

  uint32_t draw(uint32_t below) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(((random >> 32) * below) >> 32);
  }
};

// DPDK hands the pointer over in a library that is not instrumented: this says so once more.
Wire::Tap& Wire::tap_of(void* user) {
  attached.load(std::memory_order_acquire);
  return *static_cast<Tap*>(user);
}

Wire::Wire(const std::vector<PortKey>& nics, unsigned queues, rte_mempool* mbufs)
    : queues_(queues), mbufs_(mbufs) {
  for (const PortKey& nic : nics) nics_.emplace_back(nic.key, nic.table);
  for (size_t i = 0; i < nics.size() * queues; ++i) {
    arriving_.push_back(std::make_unique<Queue>());
  }
}

Wire::~Wire() {
  for (auto& queue : arriving_) rte_pktmbuf_free_bulk(queue->mbufs.data(), queue->mbufs.size());
}

void Wire::attach(uint16_t port, uint16_t device, uint16_t queue) {
  taps_.push_back(std::unique_ptr<Tap>(new Tap{*this, port, queue, port * 16u + queue + 1u}));
  attached.store(true, std::memory_order_release);
  rte_eth_add_rx_callback(device, queue, on_receive, taps_.back().get());
  rte_eth_add_tx_callback(device, queue, on_transmit, taps_.back().get());
}

uint16_t Wire::on_receive(uint16_t, uint16_t, rte_mbuf** mbufs, uint16_t n, uint16_t, void* user) {
  Tap& tap = tap_of(user);
  return tap.wire.receive(tap, mbufs, n);
}

uint16_t Wire::on_transmit(uint16_t, uint16_t, rte_mbuf** mbufs, uint16_t n, void* user) {
  Tap& tap = tap_of(user);
  if (tap.port != kBackPort) return n;
  for (uint16_t i = 0; i < n; ++i) tap.wire.answer(tap, *mbufs[i]);
  return n;
}

// What has arrived for this queue, in the place of empty mbufs that the driver has taken; clients'
// frames fill up the front port's.
uint16_t Wire::receive(Tap& tap, rte_mbuf** mbufs, uint16_t n) {
  if (tap.port == kFrontPort) {
    for (uint16_t i = 0; i < n; ++i) {
      write_request(tap, *mbufs[i]);
      arrive(kFrontPort, mbufs[i]);
    }
  } else {
    rte_pktmbuf_free_bulk(mbufs, n);
  }
  Queue& queue = *arriving_[tap.port * queues_ + tap.queue];
  const std::lock_guard lock(queue.mutex);
  n = static_cast<uint16_t>(std::min<size_t>(n, queue.mbufs.size()));
  std::copy_n(queue.mbufs.begin(), n, mbufs);
  queue.mbufs.erase(queue.mbufs.begin(), queue.mbufs.begin() + n);
  return n;
}

void Wire::arrive(uint16_t port, rte_mbuf* mbuf) {
  Queue& queue = *arriving_[port * queues_ + nics_[port].receive(*mbuf)];
  const std::lock_guard lock(queue.mutex);
  if (queue.mbufs.size() < kQueued) {
    queue.mbufs.push_back(mbuf);
  } else {
    rte_pktmbuf_free(mbuf);
  }
}

// A client's datagram or segment to one of the fixture's services; now and then its first fragment
// only, or its second.
void Wire::write_request(Tap& tap, rte_mbuf& mbuf) {
  constexpr uint16_t kPayload = 48;
  const bool tcp = tap.draw(2) != 0;
  const auto l4 = static_cast<uint16_t>((tcp ? sizeof(Tcp) : sizeof(Udp)) + kPayload);
  rte_pktmbuf_reset(&mbuf);
  auto* at = reinterpret_cast<uint8_t*>(
      rte_pktmbuf_append(&mbuf, static_cast<uint16_t>(sizeof(Ethernet) + sizeof(Ipv4) + l4)));
  std::memset(at, 0, mbuf.data_len);
  *ethernet_of(mbuf) = {fuzz::kFront, kAnybody, kEtherIpv4};
  Ipv4& ip = *ip_of(mbuf);
  const uint32_t client = tap.draw(kClients);
  ip.version_ihl = 0x45;
  ip.total_length = to_be(static_cast<uint16_t>(sizeof(Ipv4) + l4));
  ip.id = to_be(static_cast<uint16_t>(client));
  ip.ttl = 64;
  ip.protocol = tcp ? kTcp : kUdp;
  ip.source = to_be((uint32_t{198} << 24 | uint32_t{18} << 16) + client);
  ip.destination = v4(203, 0, 113, static_cast<uint8_t>(10 + client % kModes));
  uint8_t* const payload = at + sizeof(Ethernet) + sizeof(Ipv4);
  if (tcp) {
    auto& header = *reinterpret_cast<Tcp*>(payload);
    header.source = to_be(static_cast<uint16_t>(2000 + client % 7));
    header.destination = to_be(uint16_t{80});
    header.offset = sizeof(Tcp) / 4 << 4;
    constexpr uint8_t kFlags[] = {kSyn, kAck, kAck, kAck, kFin | kAck, kRst, kAck, kSyn};
    header.flags = kFlags[tap.draw(8)];
    header.checksum = l4_checksum(ip, payload, l4);
  } else {
    auto& header = *reinterpret_cast<Udp*>(payload);
    header.source = to_be(static_cast<uint16_t>(2000 + client % 7));
    header.destination = to_be(uint16_t{53});
    header.length = to_be(l4);
    header.checksum = l4_checksum(ip, payload, l4);
    constexpr uint16_t kFirst = 24;  // bytes of the first fragment, a multiple of 8
    if (tap.draw(32) == 0) {
      const bool first = tap.draw(2) != 0;
      ip.fragment = to_be(first ? uint16_t{0x2000} : uint16_t{kFirst / 8});
      const uint16_t bytes = first ? kFirst : static_cast<uint16_t>(l4 - kFirst);
      if (!first) std::memmove(payload, payload + kFirst, bytes);
      ip.total_length = to_be(static_cast<uint16_t>(sizeof(Ipv4) + bytes));
      rte_pktmbuf_trim(&mbuf, static_cast<uint16_t>(l4 - bytes));
    }
  }
  set_ip_checksum(ip);
}

// Ends swapped: checksums hold. One in eight is answered by a router instead.
void Wire::answer(Tap& tap, const rte_mbuf& sent) {
  if (ethernet_of(sent)->type != kEtherIpv4) return;
  const Ipv4& asked = *ip_of(sent);
  const bool flow = asked.protocol == kTcp || asked.protocol == kUdp;
  if (!flow || asked.is_fragment() || !is_server(asked.destination)) return;
  rte_mbuf* reply = rte_pktmbuf_copy(&sent, mbufs_, 0, UINT32_MAX);
  if (reply == nullptr) return;
  reply->ol_flags = 0;
  if (tap.draw(8) == 0) {
    complain(*reply);
  } else {
    Ipv4& ip = *ip_of(*reply);
    auto* ports = reinterpret_cast<uint8_t*>(&ip) + ip.header_bytes();
    const auto source = load<be16>(ports), destination = load<be16>(ports + 2);
    store(ports, destination);
    store(ports + 2, source);
    const be32 from = ip.source;
    ip.source = ip.destination;
    ip.destination = from;
    ip.ttl = 64;
    set_ip_checksum(ip);
  }
  ethernet_of(*reply)->destination = fuzz::kBack;
  ethernet_of(*reply)->source = kAnybody;
  arrive(kBackPort, reply);
}

// Turns a frame into an ICMP error that quotes it (RFC 792: host unreachable).
void Wire::complain(rte_mbuf& quoted) {
  constexpr uint16_t kHead = sizeof(Ipv4) + sizeof(Icmp);
  const be32 to = ip_of(quoted)->source;
  const auto bytes = static_cast<uint16_t>(quoted.data_len - sizeof(Ethernet));
  auto* at = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(&quoted, kHead));
  std::memset(at, 0, sizeof(Ethernet) + kHead);
  ethernet_of(quoted)->type = kEtherIpv4;
  Ipv4& ip = *ip_of(quoted);
  ip.version_ihl = 0x45;
  ip.total_length = to_be(static_cast<uint16_t>(kHead + bytes));
  ip.ttl = 64;
  ip.protocol = kIcmp;
  ip.source = v4(198, 51, 100, 99);
  ip.destination = to;
  auto& icmp = *reinterpret_cast<Icmp*>(&ip + 1);
  icmp.type = 3;
  icmp.code = 1;
  icmp.checksum = checksum_of(&icmp, sizeof icmp + bytes);
  set_ip_checksum(ip);
}

}  // namespace sluice::stress
