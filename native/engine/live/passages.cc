#include "passages.h"

#include <cstring>

#include "../net/checksum.h"
#include "../net/headers.h"

namespace sluice {
namespace {

using net::Icmp;
using net::Ipv4;

uint32_t key_of(uint8_t protocol, be16 port) {
  return uint32_t{protocol} << 16 | port;
}

// An IPv4 packet without options that is whole, of at least `least` bytes behind the header;
// nullptr for others, which no checker's conversation needs.
Ipv4* packet_in(uint8_t* frame, unsigned bytes, unsigned least) {
  auto* ethernet = reinterpret_cast<net::Ethernet*>(frame);
  auto* ip = reinterpret_cast<Ipv4*>(ethernet + 1);
  if (bytes < sizeof *ethernet + sizeof *ip + least || ethernet->type != net::kEtherIpv4) {
    return nullptr;
  }
  return ip->version_ihl == 0x45 && !ip->is_fragment() ? ip : nullptr;
}

// The checksums of a packet one of whose addresses changes; the pseudo-header of what it carries
// has it, too. `l4`: its header is there.
void adjust(Ipv4& ip, uint8_t* l4, be32 from, be32 to) {
  net::Delta change;
  change.change32(from, to);
  const uint16_t delta = change.folded();
  ip.checksum = net::adjusted(ip.checksum, delta);
  if (ip.protocol == kTcp) {
    auto* tcp = reinterpret_cast<net::Tcp*>(l4);
    tcp->checksum = net::adjusted(tcp->checksum, delta);
  } else if (ip.protocol == kUdp) {
    auto* udp = reinterpret_cast<net::Udp*>(l4);
    if (udp->checksum != 0) udp->checksum = net::adjusted_udp(udp->checksum, delta);
  }
}

unsigned least_of(uint8_t protocol) {
  return protocol == kTcp ? sizeof(net::Tcp) : sizeof(net::Udp);
}

}  // namespace

Passages& Passages::of_process() {
  static Passages all;
  return all;
}

void Passages::open(uint8_t protocol, be16 port, const Passage& passage) {
  const std::lock_guard guard(lock_);
  open_[key_of(protocol, port)] = passage;
  count_.store(open_.size(), std::memory_order_release);
}

bool Passages::find(uint8_t protocol, be16 port, uint64_t now_ms, Passage& found) {
  const std::lock_guard guard(lock_);
  const auto at = open_.find(key_of(protocol, port));
  if (at == open_.end() || at->second.until_ms < now_ms) return false;
  found = at->second;
  return true;
}

unsigned Passages::outgoing(uint8_t* frame, unsigned bytes, uint64_t now_ms) {
  Ipv4* ip = packet_in(frame, bytes, sizeof(net::Udp));
  if (ip == nullptr) return 0;
  auto* l4 = reinterpret_cast<uint8_t*>(ip + 1);
  be16 port = load<be16>(l4);
  if (ip->protocol == kIcmp) {
    if (l4[0] != net::kEcho) return 0;
    port = load<be16>(l4 + offsetof(Icmp, rest));
  } else if ((ip->protocol != kTcp && ip->protocol != kUdp) ||
             bytes < sizeof(net::Ethernet) + sizeof *ip + least_of(ip->protocol)) {
    return 0;
  }
  Passage passage;
  if (!find(ip->protocol, port, now_ms, passage) || passage.server != ip->destination) return 0;
  adjust(*ip, l4, passage.server, passage.vip);
  ip->destination = passage.vip;
  const auto& [is_tunnel, wrap, tunnel_port] = passage.tunnel;
  if (!is_tunnel) return 1;
  net::Ethernet header;
  std::memcpy(&header, frame, sizeof header);
  const uint32_t inner = from_be(ip->total_length);
  const mode::tunnel::Ports ports{mode::tunnel::source_port(&ip->source, sizeof(TupleOf<V4>)),
                                  tunnel_port};
  mode::tunnel::request(wrap, ip, inner, ip->source, passage.server,
                        ip->dont_fragment() ? 0 : ip->id, ports);
  const unsigned grown = mode::tunnel::overhead_bytes(wrap);
  std::memcpy(frame - grown, &header, sizeof header);
  return 1 + grown;
}

void Passages::incoming(uint8_t* frame, unsigned bytes, uint64_t now_ms) {
  Ipv4* ip = packet_in(frame, bytes, sizeof(net::Udp));
  if (ip == nullptr) return;
  auto* l4 = reinterpret_cast<uint8_t*>(ip + 1);
  const unsigned l4_bytes = bytes - sizeof(net::Ethernet) - sizeof *ip;
  be16 port = load<be16>(l4 + 2);
  if (ip->protocol == kIcmp) {
    if (net::is_related_error(l4[0])) return incoming_error(l4, l4_bytes, now_ms);
    if (l4[0] != net::kEchoReply) return;
    port = load<be16>(l4 + offsetof(Icmp, rest));
  } else if ((ip->protocol != kTcp && ip->protocol != kUdp) || l4_bytes < least_of(ip->protocol)) {
    return;
  }
  Passage passage;
  if (!find(ip->protocol, port, now_ms, passage) || passage.vip != ip->source) return;
  adjust(*ip, l4, passage.vip, passage.server);
  ip->source = passage.server;
}

// What it quotes is what outgoing() has made. The sum over the quoted header stays what it was: its
// checksum makes up for the address.
void Passages::incoming_error(uint8_t* l4, unsigned bytes, uint64_t now_ms) {
  auto* quoted = reinterpret_cast<Ipv4*>(l4 + sizeof(Icmp));
  auto* inner = reinterpret_cast<uint8_t*>(quoted + 1);
  if (bytes < sizeof(Icmp) + sizeof *quoted + 8 || quoted->version_ihl != 0x45) return;
  if (quoted->protocol != kTcp && quoted->protocol != kUdp) return;
  Passage passage;
  if (!find(quoted->protocol, load<be16>(inner), now_ms, passage)) return;
  if (passage.vip != quoted->destination) return;
  net::Delta change;
  change.change32(passage.vip, passage.server);
  quoted->checksum = net::adjusted(quoted->checksum, change.folded());
  quoted->destination = passage.server;
}

void Passages::expire(uint64_t now_ms) {
  if (is_empty()) return;
  const std::lock_guard guard(lock_);
  std::erase_if(open_, [&](const auto& one) { return one.second.until_ms < now_ms; });
  count_.store(open_.size(), std::memory_order_release);
}

}  // namespace sluice
