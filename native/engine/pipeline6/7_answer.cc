// Stage 7: what the director answers itself: Neighbour Solicitations, echo, resets and ICMPv6
// errors. Answers leave by the port and to the station the packet came from, so they need no route.
#include "../worker6.h"

namespace sluice {

using namespace net;

namespace {

constexpr uint8_t kHops = 64;
// RFC 4443 section 2.4(c): as much of the packet as fits in the least MTU.
constexpr uint16_t kMostQuoted = kLeastMtu6 - sizeof(Ipv6) - sizeof(Icmp);

}  // namespace

bool Worker6::l4_checksum_is_right(const Packet6& packet) {
  const bool tcp = packet.protocol == kTcp;
  if (!tcp && packet.udp()->checksum == 0) return false;
  const uint16_t bytes = tcp ? packet.l4_bytes : from_be(packet.udp()->length);
  return l4_sums_up(*packet.ip, packet.protocol, packet.l4, bytes);
}

// Packets with no connection and no service.
void Worker6::owned_or_punt(Packet6& packet) {
  if (owns(packet.ip->source)) return drop(packet, End::martian);
  const uint8_t flags = six().address_flags(packet.ip->destination);
  if ((flags & Snapshot::kOwned) == 0) {
    if ((flags & Snapshot::kAccepted) != 0) return drop(packet, End::standby);
    const bool discovery = packet.protocol == kIcmp6 && packet.icmp()->type > kEchoReply6;
    return punt(packet, discovery ? End::punted_neighbour : End::punted_not_ours);
  }
  if (fib().is_own(packet.ip->source) || is_unspecified(packet.ip->source)) {
    return drop(packet, End::martian);
  }
  if ((flags & Snapshot::kAccepted) != 0) {
    const bool echo = packet.protocol == kIcmp6 && packet.icmp()->type == kEcho6;
    if (!echo) return accept(packet);
  }
  const WideAddress vip = packet.ip->destination;
  switch (packet.protocol) {
    case kTcp:
      if (packet.tcp()->flags & kRst) return drop(packet, End::reset_without_connection);
      return answer_reset(packet);
    case kUdp:
      if (!l4_checksum_is_right(packet)) return drop(packet, End::bad_l4_checksum);
      return answer_icmp(packet, kUnreachable6, 4, 0, vip, End::answered_port_unreachable);
    case kIcmp6:
      if (packet.icmp()->type == kEcho6 && packet.icmp()->code == 0) return answer_echo(packet);
      if (is_related_error6(packet.icmp()->type)) {
        return drop(packet, End::icmp_without_connection);
      }
      return drop(packet, End::icmp_not_echo);
    case kEsp:
    case kAh:
      return punt(packet, End::punted_not_ours);
    default:
      // RFC 8200 section 4: the pointer says which next-header value is not known.
      return answer_icmp(packet, kParameterProblem6, 1, packet.next_at, vip,
                         End::answered_protocol_unreachable);
  }
}

// As Worker::accept. Neighbours that the kernel asks about from a VIP answer to it.
void Worker6::accept(Packet6& packet) {
  packet.ethernet()->destination = worker_.fib_->port(packet.port).mac;
  punt(packet, End::punted_accepted);
}

// RFC 4861 section 7.2.3 and 7.2.4. Somebody who tries whether a VIP is free (section 5.4 of RFC
// 4862) asks from no address, and is told along with everybody that it isn't.
void Worker6::answer_solicitation(Packet6& packet) {
  auto* asked = reinterpret_cast<NeighbourMessage*>(packet.l4);
  if (packet.l4_bytes < sizeof(NeighbourMessage)) return drop(packet, End::bad_l4_header);
  if (!owns(asked->target)) {
    const bool lapsed = (six().address_flags(asked->target) & Snapshot::kAccepted) != 0;
    return lapsed ? drop(packet, End::standby) : punt(packet, End::punted_neighbour);
  }
  const bool trying = is_unspecified(packet.ip->source);
  // Section 7.1.1: what says otherwise does not come from this link, or is no solicitation.
  // RFC 6980: none comes in fragments.
  const bool valid = packet.ip->hops == 255 && asked->code == 0 && packet.fragment_bytes == 0 &&
                     !is_multicast(asked->target) &&
                     packet.l4 == reinterpret_cast<uint8_t*>(packet.ip + 1) &&
                     (!trying || is_multicast(packet.ip->destination));
  if (!valid) return drop(packet, End::bad_l4_header);
  if (!l4_sums_up(*packet.ip, kIcmp6, packet.l4, packet.l4_bytes)) {
    return drop(packet, End::bad_icmp_checksum);
  }
  // From an address of ours: our own question, come back.
  if (owns(packet.ip->source)) return drop(packet, End::martian);
  Mac to = packet.ethernet()->source;
  if (trying) to = {0x33, 0x33, 0, 0, 0, 1};
  const WideAddress destination = trying ? kAllNodes : packet.ip->source;
  const WideAddress target = asked->target;
  constexpr uint16_t kBytes = sizeof(NeighbourMessage) + sizeof(LinkOption);
  const auto now = static_cast<uint16_t>(packet.l4_bytes);
  if (now > kBytes) {
    rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(now - kBytes));
  } else if (now < kBytes &&
             rte_pktmbuf_append(packet.mbuf, static_cast<uint16_t>(kBytes - now)) == nullptr) {
    return drop(packet, End::no_headroom);
  }
  const Mac* virtual_mac = six().virtual_mac(target);
  const bool is_virtual =
      virtual_mac != nullptr && snapshot().is_virtual_mac(packet.port, *virtual_mac);
  const Mac own = is_virtual ? *virtual_mac : worker_.fib_->port(packet.port).mac;
  *packet.ip = {first_word(0), to_be(kBytes), kIcmp6, 255, target, destination};
  *asked = {kAdvertisement, 0, 0, trying ? kOverride : kSolicited | kOverride, target};
  *reinterpret_cast<LinkOption*>(asked + 1) = {2, 1, own};
  asked->checksum = l4_checksum(target, destination, kIcmp6, asked, kBytes);
  auto* ethernet = packet.ethernet();
  ethernet->destination = to;
  ethernet->source = own;  // switches learn a virtual router's MAC from whoever has it
  send(packet, *ethernet, packet.port, End::answered_neighbour, nullptr);
}

// RFC 4443 section 4.2.
void Worker6::answer_echo(Packet6& packet) {
  if (!l4_sums_up(*packet.ip, kIcmp6, packet.l4, packet.l4_bytes)) {
    return drop(packet, End::bad_icmp_checksum);
  }
  const Mac from = packet.ethernet()->source;
  const Ipv6 in = *packet.ip;
  // Extension headers are not copied.
  const auto head = static_cast<uint16_t>(packet.l4 - reinterpret_cast<uint8_t*>(packet.ip + 1));
  rte_pktmbuf_adj(packet.mbuf, head);
  packet.ip = reinterpret_cast<Ipv6*>(packet.l4) - 1;
  *packet.ip = {first_word(in.traffic_class()),
                to_be(packet.l4_bytes),
                kIcmp6,
                kHops,
                in.destination,
                in.source};
  Icmp* icmp = packet.icmp();
  icmp->type = kEchoReply6;
  icmp->checksum = 0;
  icmp->checksum = l4_checksum(in.destination, in.source, kIcmp6, icmp, packet.l4_bytes);
  reflect(packet, from, End::answered_echo);
}

// RFC 9293 section 3.10.7.1: a segment for a connection that does not exist.
void Worker6::answer_reset(Packet6& packet, End end) {
  if (!l4_checksum_is_right(packet)) return drop(packet, End::bad_l4_checksum);
  if (!worker_.may_answer()) return drop(packet, End::answer_limited);
  const Mac from = packet.ethernet()->source;
  const Ipv6 in = *packet.ip;
  const Tcp segment = *packet.tcp();
  const bool acknowledges = (segment.flags & kAck) != 0;
  const uint32_t length = packet.l4_bytes - segment.header_bytes() +
                          ((segment.flags & kSyn) ? 1 : 0) + ((segment.flags & kFin) ? 1 : 0);
  const uint16_t now = rte_pktmbuf_data_len(packet.mbuf);
  rte_pktmbuf_trim(packet.mbuf,
                   static_cast<uint16_t>(now - sizeof(Ethernet) - sizeof(Ipv6) - sizeof(Tcp)));
  *packet.ip = {first_word(in.traffic_class() & 0xfc),
                to_be(uint16_t{sizeof(Tcp)}),
                kTcp,
                kHops,
                in.destination,
                in.source};
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
  tcp->checksum = l4_checksum(in.destination, in.source, kTcp, tcp, sizeof(Tcp));
  reflect(packet, from, end);
}

void Worker6::answer_icmp(Packet6& packet, uint8_t type, uint8_t code, uint32_t rest,
                          const WideAddress& source, End end) {
  const Mac from = packet.ethernet()->source;
  const WideAddress to = packet.ip->source;
  // RFC 4443 section 2.4(e): not to what names no single node.
  if (is_unspecified(to)) return drop(packet, End::martian);
  if (!worker_.may_answer()) return drop(packet, End::answer_limited);
  if (!build_icmp(packet, type, code, rest, source, to)) return drop(packet, End::no_headroom);
  reflect(packet, from, end);
}

// Puts an IPv6 and ICMPv6 header before the packet, which becomes the quote (RFC 4443 section 3).
// `rest`: an MTU or a pointer, host order. `source` and `destination` may not lie in the packet.
// False when the mbuf has no room in front.
bool Worker6::build_icmp(Packet6& packet, uint8_t type, uint8_t code, uint32_t rest,
                         const WideAddress& source, const WideAddress& destination) {
  const WideAddress from = source, to = destination;
  const uint16_t frame = rte_pktmbuf_data_len(packet.mbuf);
  auto quoted = static_cast<uint16_t>(frame - sizeof(Ethernet));
  if (quoted > kMostQuoted) {
    rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(quoted - kMostQuoted));
    quoted = kMostQuoted;
  }
  if (rte_pktmbuf_prepend(packet.mbuf, sizeof(Ipv6) + sizeof(Icmp)) == nullptr) return false;
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip) - sizeof(Icmp);
  packet.ip = reinterpret_cast<Ipv6*>(packet.l4) - 1;
  packet.l4_bytes = static_cast<uint16_t>(sizeof(Icmp) + quoted);
  packet.protocol = kIcmp6;
  *packet.ip = {first_word(0), to_be(packet.l4_bytes), kIcmp6, kHops, from, to};
  *packet.icmp() = {type, code, 0, to_be(rest)};
  packet.icmp()->checksum = l4_checksum(from, to, kIcmp6, packet.l4, packet.l4_bytes);
  return true;
}

}  // namespace sluice
