// Stage 7: what the director answers itself: ARP, echo, resets and ICMP errors. Answers leave by
// the port and to the station the packet came from, so they need no route; fields are as Linux
// fills them.
#include "../worker.h"

namespace sluice {

using namespace net;

namespace {

constexpr uint8_t kTtl = 64;
// RFC 1812 section 4.3.2.3: as much of the packet as fits in 576 bytes.
constexpr uint16_t kMostQuoted = 576 - sizeof(Ipv4) - sizeof(Icmp);

}  // namespace

bool Worker::l4_checksum_is_right(const Packet& packet) {
  const bool tcp = packet.ip->protocol == kTcp;
  if (!tcp && packet.udp()->checksum == 0) return true;
  const uint16_t bytes = tcp ? packet.l4_bytes : from_be(packet.udp()->length);
  return fold(sum_bytes(packet.l4, bytes,
                        pseudo_sum(packet.ip->source, packet.ip->destination, packet.ip->protocol,
                                   bytes))) == 0xffff;
}

// Packets with no connection and no service.
void Worker::owned_or_punt(Packet& packet) {
  if (snapshot_->owns(packet.ip->source) && !may_answer_check(packet)) {
    return drop(packet, End::martian);
  }
  const uint8_t flags = snapshot_->address_flags(packet.ip->destination);
  if ((flags & Snapshot::kOwned) == 0) {
    if ((flags & Snapshot::kAccepted) != 0) return drop(packet, End::standby);
    return punt(packet, End::punted_not_ours);
  }
  if (fib_->is_own(packet.ip->source)) return drop(packet, End::martian);
  if ((flags & Snapshot::kAccepted) != 0) {
    const bool echo = packet.ip->protocol == kIcmp && packet.icmp()->type == kEcho;
    if (!echo) return accept(packet);
  }
  const be32 vip = packet.ip->destination;
  switch (packet.ip->protocol) {
    case kTcp:
      if (packet.tcp()->flags & kRst) return drop(packet, End::reset_without_connection);
      return answer_reset(packet);
    case kUdp:
      if (!l4_checksum_is_right(packet)) return drop(packet, End::bad_l4_checksum);
      return answer_icmp(packet, kUnreachable, 3, 0, vip, End::answered_port_unreachable);
    case kIcmp:
      if (packet.icmp()->type == kEcho && packet.icmp()->code == 0) return answer_echo(packet);
      if (is_related_error(packet.icmp()->type)) {
        return drop(packet, End::icmp_without_connection);
      }
      return drop(packet, End::icmp_not_echo);
    default:
      return answer_icmp(packet, kUnreachable, 2, 0, vip, End::answered_protocol_unreachable);
  }
}

// RFC 9568 section 6.4.3. The kernel knows nothing of a virtual router's MAC.
void Worker::accept(Packet& packet) {
  packet.ethernet()->destination = fib_->port(packet.port).mac;
  punt(packet, End::punted_accepted);
}

// A real server's answer to a health check that went to the VIP (live/passages.h).
bool Worker::may_answer_check(const Packet& packet) const {
  const auto* checks = options_.vip_checks;
  return checks != nullptr && checks->load(std::memory_order_relaxed) != 0 &&
         fib_->is_own(packet.ip->destination);
}

void Worker::answer_arp(Packet& packet, Arp* arp) {
  const bool ours = arp->operation == to_be(uint16_t{1}) && arp->protocol == kEtherIpv4 &&
                    arp->hardware == to_be(uint16_t{1}) && arp->hardware_size == sizeof(Mac) &&
                    arp->protocol_size == sizeof(be32) && arp->sender != arp->target &&
                    snapshot_->owns(arp->target);
  if (!ours) {
    const uint8_t flags = snapshot_->address_flags(arp->target);
    const bool asks = arp->operation == to_be(uint16_t{1}) && arp->protocol == kEtherIpv4;
    const bool lapsed =
        asks && (flags & (Snapshot::kOwned | Snapshot::kAccepted)) == Snapshot::kAccepted;
    return lapsed ? drop(packet, End::standby) : punt(packet, End::punted_arp);
  }
  const Mac requester = arp->sender_mac;
  const be32 asked = arp->target;
  arp->operation = to_be(uint16_t{2});
  arp->target_mac = requester;
  arp->target = arp->sender;
  const Mac* virtual_mac = snapshot_->virtual_mac(asked);
  const bool is_virtual =
      virtual_mac != nullptr && snapshot_->is_virtual_mac(packet.port, *virtual_mac);
  arp->sender_mac = is_virtual ? *virtual_mac : fib_->port(packet.port).mac;
  arp->sender = asked;
  const uint16_t bytes = sizeof(Ethernet) + sizeof(Arp);
  rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(rte_pktmbuf_data_len(packet.mbuf) - bytes));
  reflect(packet, requester, End::answered_arp);
}

// RFC 792; IP options are not copied.
void Worker::answer_echo(Packet& packet) {
  if (fold(sum_bytes(packet.l4, packet.l4_bytes)) != 0xffff) {
    return drop(packet, End::bad_icmp_checksum);
  }
  const Mac from = packet.ethernet()->source;
  const be32 source = packet.ip->destination, destination = packet.ip->source;
  const uint8_t tos = packet.ip->tos;
  const auto options = static_cast<uint16_t>(packet.ip->header_bytes() - sizeof(Ipv4));
  rte_pktmbuf_adj(packet.mbuf, options);
  packet.ip = reinterpret_cast<Ipv4*>(packet.l4 - sizeof(Ipv4));
  packet.ethernet()->type = kEtherIpv4;
  *packet.ip = {0x45,          tos, to_be(static_cast<uint16_t>(sizeof(Ipv4) + packet.l4_bytes)),
                fresh_ip_id(), 0,   kTtl,
                kIcmp,         0,   source,
                destination};
  set_ip_checksum(*packet.ip);
  Icmp* icmp = packet.icmp();
  icmp->type = kEchoReply;
  icmp->checksum = 0;
  icmp->checksum = checksum_of(icmp, packet.l4_bytes);
  const FibPort& port = fib_->port(packet.port);
  if (packet.total_length() <= port.mtu) return reflect(packet, from, End::answered_echo);
  // Of a request that came in fragments.
  Pieces pieces;
  const unsigned n = cut(packet, port.mtu, pieces);
  send_pieces(packet, n, pieces, {from, port.mac, kEtherIpv4}, packet.port, End::answered_echo,
              nullptr);
}

// RFC 9293 section 3.10.7.1: a segment for a connection that does not exist.
void Worker::answer_reset(Packet& packet, End end) {
  if (!l4_checksum_is_right(packet)) return drop(packet, End::bad_l4_checksum);
  if (!may_answer()) return drop(packet, End::answer_limited);
  const Mac from = packet.ethernet()->source;
  const Ipv4 in = *packet.ip;
  const Tcp segment = *packet.tcp();
  const bool acknowledges = (segment.flags & kAck) != 0;
  const uint32_t length = packet.l4_bytes - segment.header_bytes() +
                          ((segment.flags & kSyn) ? 1 : 0) + ((segment.flags & kFin) ? 1 : 0);
  constexpr uint16_t kBytes = sizeof(Ipv4) + sizeof(Tcp);
  const uint16_t now = rte_pktmbuf_data_len(packet.mbuf);
  rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(now - sizeof(Ethernet) - kBytes));
  const auto tos = static_cast<uint8_t>(in.tos & 0xfc);
  *packet.ip = {0x45, tos, to_be(kBytes),  0,        kDontFragment, kTtl,
                kTcp, 0,   in.destination, in.source};
  set_ip_checksum(*packet.ip);
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip + 1);
  Tcp* tcp = packet.tcp();
  *tcp = Tcp{};
  tcp->source = segment.destination;
  tcp->destination = segment.source;
  tcp->offset = 5 << 4;
  if (acknowledges) {
    tcp->flags = kRst;
    tcp->sequence = segment.acknowledgement;
  } else {
    tcp->flags = kRst | kAck;
    tcp->acknowledgement = to_be(from_be(segment.sequence) + length);
  }
  tcp->checksum = l4_checksum(*packet.ip, tcp, sizeof(Tcp));
  reflect(packet, from, end);
}

void Worker::answer_icmp(Packet& packet, uint8_t type, uint8_t code, be32 rest, be32 source,
                         End end) {
  if (!may_answer()) return drop(packet, End::answer_limited);
  const Mac from = packet.ethernet()->source;
  if (!build_icmp(packet, type, code, rest, source, packet.ip->source)) {
    return drop(packet, End::no_headroom);
  }
  reflect(packet, from, end);
}

// Puts an IP and ICMP header before the packet, which becomes the quote (RFC 792, RFC 1812
// section 4.3.2). `rest` is the second word of the ICMP header in network order: 0, or 0 and a
// next-hop MTU (RFC 1191). False when the mbuf has no room in front.
bool Worker::build_icmp(Packet& packet, uint8_t type, uint8_t code, be32 rest, be32 source,
                        be32 destination) {
  const uint16_t frame = rte_pktmbuf_data_len(packet.mbuf);
  uint16_t quoted = static_cast<uint16_t>(frame - sizeof(Ethernet));
  if (quoted > kMostQuoted) {
    rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(quoted - kMostQuoted));
    quoted = kMostQuoted;
  }
  // RFC 1812 section 4.3.2.5: precedence of internetwork control; the offender's other bits stay.
  const auto tos = static_cast<uint8_t>(0xc0 | (packet.ip->tos & 0x1e));
  if (rte_pktmbuf_prepend(packet.mbuf, sizeof(Ipv4) + sizeof(Icmp)) == nullptr) return false;
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip) - sizeof(Icmp);
  packet.ip = reinterpret_cast<Ipv4*>(packet.l4 - sizeof(Ipv4));
  packet.l4_bytes = static_cast<uint16_t>(sizeof(Icmp) + quoted);
  *packet.icmp() = {type, code, 0, rest};
  packet.icmp()->checksum = checksum_of(packet.l4, packet.l4_bytes);
  *packet.ip = {0x45,          tos, to_be(static_cast<uint16_t>(sizeof(Ipv4) + packet.l4_bytes)),
                fresh_ip_id(), 0,   kTtl,
                kIcmp,         0,   source,
                destination};
  set_ip_checksum(*packet.ip);
  return true;
}

}  // namespace sluice
