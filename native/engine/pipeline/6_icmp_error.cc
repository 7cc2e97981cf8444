// Stage 6: ICMP errors that quote a packet of a connection, brought to whoever sent that packet
// in the form they sent it.
#include "../mode/dr.h"
#include "../mode/fullnat.h"
#include "../mode/nat.h"
#include "../table/stand_in.h"
#include "../worker.h"

namespace sluice {

using namespace net;

namespace {

// Rewrites the quoted header's ends; its checksums follow as far as the quote reaches.
void translate_quote(Ipv4* quoted, const uint8_t* end, const mode::Ends& to) {
  uint8_t* l4 = reinterpret_cast<uint8_t*>(quoted) + quoted->header_bytes();
  const mode::Ends from{quoted->source, quoted->destination, load<be16>(l4), load<be16>(l4 + 2)};
  const Delta l4_delta(mode::delta_of(from, to));
  Delta l3;
  l3.change32(from.source, to.source);
  l3.change32(from.destination, to.destination);
  quoted->source = to.source;
  quoted->destination = to.destination;
  be16 checksum = quoted->checksum;
  l3.apply(checksum);
  quoted->checksum = checksum;
  if (quoted->protocol == kSctp && l4 + sizeof(Sctp) <= end) {
    // The CRC's change follows from the length of the whole packet, however little of it is here.
    const auto bytes =
        static_cast<uint16_t>(from_be(quoted->total_length) - quoted->header_bytes());
    if (bytes >= sizeof(Sctp))
      return set_sctp_ports(l4, to.source_port, to.destination_port, bytes);
  }
  store(l4, to.source_port);
  store(l4 + 2, to.destination_port);
  if (quoted->protocol == kSctp) return;
  if (quoted->protocol == kUdp) {
    auto* udp = reinterpret_cast<Udp*>(l4);
    checksum = udp->checksum;
    apply_udp(l4_delta, checksum);
    udp->checksum = checksum;
  } else if (l4 + sizeof(Tcp) <= end) {
    auto* tcp = reinterpret_cast<Tcp*>(l4);
    checksum = tcp->checksum;
    l4_delta.apply(checksum);
    tcp->checksum = checksum;
  }
}

}  // namespace

void Worker::related_error(Packet& packet) {
  Direction direction{};
  const uint32_t record = find_live(packet, direction);
  if (record == kNone) {
    const uint8_t flags = snapshot_->address_flags(packet.ip->destination);
    if ((flags & Snapshot::kAccepted) != 0) return owned_or_punt(packet);
    if ((flags & Snapshot::kOwned) == 0) return punt(packet, End::punted_not_ours);
    return drop(packet, End::icmp_without_connection);
  }
  const Record& c = table_[record];
  if (c.is_signpost()) [[unlikely]] {
    if (!follow_signpost(packet, record)) drop(packet, End::icmp_without_connection);
    return;
  }
  if (fold(sum_bytes(packet.l4, packet.l4_bytes)) != 0xffff) {
    return drop(packet, End::bad_icmp_checksum, &c);
  }
  if (packet.ip->ttl <= 1) return drop(packet, End::icmp_ttl_expired, &c);
  const Service* service = snapshot_->service_of_slot(c.service);
  if (service != nullptr && service->has(kFiltered) && is_denied(packet, record, *service)) return;
  if (packet.quote_depth == 1) {
    if (c.mode() != Mode::tun) return punt(packet, End::punted_not_ours);
    return relay_tunnel_error(packet, c);
  }
  translate_error(packet, record, direction);
}

// `direction` is that of the reverse of the quoted packet: an error about a reply comes from the
// client's side and goes to the real server, and the other way round.
void Worker::translate_error(Packet& packet, uint32_t record, Direction direction) {
  Record& c = table_[record];
  const bool to_server = direction == Direction::request;
  const bool too_big = packet.l4[1] == 4;
  if (!to_server && packet.l4[0] == kUnreachable && !too_big) note_refusal(record);
  if (is_stand_in(c.raddr)) {
    count(c, direction, packet.total_length());
    return emit_in_ipv6(packet, c, End::forwarded_icmp_error);
  }
  End failure{};
  const NextHop* hop = next_hop(c, to_server ? Direction::request : Direction::reply, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  count(c, direction, packet.total_length());
  renew_wrap(c);
  if (!fits(packet, hop->mtu - overhead_of(c))) return drop(packet, End::icmp_too_big, &c);
  if (c.mode() == Mode::dr || c.mode() == Mode::tun) {
    return emit_request(packet, c, *hop, End::forwarded_icmp_error);
  }
  Ipv4* ip = packet.ip;
  const be32 source = to_server ? (c.mode() == Mode::nat ? be32{ip->source} : c.laddr) : c.vaddr;
  const be32 destination = to_server ? c.raddr : c.caddr;
  // What the receiver had sent: a server its reply to the local end, a client its request.
  const mode::Ends quoted = to_server ? mode::Ends{c.raddr, c.laddr, c.rport, c.lport}
                                      : mode::Ends{c.caddr, c.vaddr, c.cport, c.vport};
  translate_quote(packet.quoted, packet.l4 + packet.l4_bytes, quoted);
  if (is_proxied(c)) [[unlikely]]
    shift_quote(packet, c, to_server);
  Delta l3;
  l3.change32(ip->source, source);
  l3.change32(ip->destination, destination);
  ip->source = source;
  ip->destination = destination;
  be16 checksum = ip->checksum;
  l3.apply(checksum);
  ip->checksum = checksum;
  decrement_ttl(*ip);
  packet.icmp()->checksum = 0;
  packet.icmp()->checksum = checksum_of(packet.l4, packet.l4_bytes);
  send_to(packet, *hop, End::forwarded_icmp_error, &c);
}

// An error about an outer packet of ours says nothing to the client: it gets one of the same kind
// from the VIP about its own packet, with room left for the outer headers (RFC 2003 section 4).
void Worker::relay_tunnel_error(Packet& packet, const Record& c) {
  const uint8_t type = packet.icmp()->type, code = packet.icmp()->code;
  be32 rest = 0;
  if (type == kUnreachable && code == 4) {
    const uint32_t mtu = from_be(packet.icmp()->rest) & 0xffff;
    // As they were: the wrap may have been changed since.
    const auto overhead =
        static_cast<uint32_t>(reinterpret_cast<uint8_t*>(packet.quoted) - packet.l4 - sizeof(Icmp));
    rest = to_be(mtu > 68 + overhead ? mtu - overhead : 68u);
  }
  Record copy = c;
  End failure{};
  const NextHop* hop = next_hop(copy, Direction::reply, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  // The quoted request, as far as it is there, becomes the packet to quote.
  uint8_t* inner = reinterpret_cast<uint8_t*>(packet.quoted);
  const uint8_t* end = packet.l4 + packet.l4_bytes;
  const auto cut = static_cast<uint16_t>(inner - reinterpret_cast<uint8_t*>(packet.ip));
  rte_pktmbuf_adj(packet.mbuf, cut);
  packet.ip = packet.quoted;
  packet.l4_bytes = 0;
  const auto length = static_cast<uint16_t>(end - inner);
  const auto quoted = static_cast<uint16_t>(packet.total_length());
  if (quoted < length) rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(length - quoted));
  if (!build_icmp(packet, type, code, rest, c.vaddr, c.caddr)) {
    return drop(packet, End::no_headroom, &c);
  }
  send_to(packet, *hop, End::forwarded_icmp_error, &c);
}

}  // namespace sluice
