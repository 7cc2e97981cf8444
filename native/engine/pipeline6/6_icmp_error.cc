// Stage 6: ICMPv6 errors that quote a packet of a connection, brought to whoever sent that packet
// in the form they sent it.
#include "../mode/mode6.h"
#include "../worker6.h"

namespace sluice {

using namespace net;

namespace {

// Rewrites the quoted packet's ends; its checksum follows as far as the quote reaches.
void translate_quote(const Packet6& packet, const mode::Ends6& to) {
  Ipv6* quoted = packet.quoted;
  uint8_t* l4 = packet.quoted_l4;
  const Delta delta =
      mode::delta_of({quoted->source, quoted->destination, load<be16>(l4), load<be16>(l4 + 2)}, to);
  quoted->source = to.source;
  quoted->destination = to.destination;
  if (packet.quoted_protocol == kSctp && l4 + sizeof(Sctp) <= packet.l4 + packet.l4_bytes) {
    // The CRC's change follows from the length of the whole packet, however little of it is here.
    const uint8_t* const start = reinterpret_cast<uint8_t*>(quoted + 1);
    const auto bytes = static_cast<uint32_t>(start + from_be(quoted->payload) - l4);
    if (bytes >= sizeof(Sctp) && bytes <= UINT16_MAX) {
      return set_sctp_ports(l4, to.source_port, to.destination_port, bytes);
    }
  }
  store(l4, to.source_port);
  store(l4 + 2, to.destination_port);
  if (packet.quoted_protocol == kSctp) return;
  if (packet.quoted_protocol == kUdp) {
    auto* udp = reinterpret_cast<Udp*>(l4);
    be16 checksum = udp->checksum;
    apply_udp(delta, checksum);
    udp->checksum = checksum;
  } else if (l4 + sizeof(Tcp) <= packet.l4 + packet.l4_bytes) {
    auto* tcp = reinterpret_cast<Tcp*>(l4);
    be16 checksum = tcp->checksum;
    delta.apply(checksum);
    tcp->checksum = checksum;
  }
}

}  // namespace

void Worker6::related_error(Packet6& packet) {
  Direction direction{};
  const uint32_t record = find_live(packet, direction);
  if (record == kNone) {
    const uint8_t flags = six().address_flags(packet.ip->destination);
    if ((flags & Snapshot::kAccepted) != 0) return owned_or_punt(packet);
    if ((flags & Snapshot::kOwned) == 0) return punt(packet, End::punted_not_ours);
    return drop(packet, End::icmp_without_connection);
  }
  const Record& c = table_[record];
  if (c.is_signpost()) {
    if (!follow_signpost(packet, record)) drop(packet, End::icmp_without_connection);
    return;
  }
  if (!l4_sums_up(*packet.ip, kIcmp6, packet.l4, packet.l4_bytes)) {
    return drop(packet, End::bad_icmp_checksum, &c);
  }
  if (packet.ip->hops <= 1) return drop(packet, End::icmp_ttl_expired, &c);
  const Service* service = snapshot().service_of_slot(c.service);
  if (service != nullptr && service->has(kFiltered) && is_denied(packet, record, *service)) return;
  if (packet.quote_depth == 1) {
    if (c.mode() != Mode::tun) return punt(packet, End::punted_not_ours);
    return relay_tunnel_error(packet, c);
  }
  translate_error(packet, record, direction);
}

// `direction` is that of the reverse of the quoted packet: an error about a reply comes from the
// client's side and goes to the real server, and the other way round.
void Worker6::translate_error(Packet6& packet, uint32_t record, Direction direction) {
  Record& c = table_[record];
  const bool to_server = direction == Direction::request;
  if (!to_server && packet.icmp()->type == kUnreachable6 && is_unanswered(c)) {
    ++counters().handshakes(c.server)[kRefused];
  }
  count(c, direction, packet.total_length());
  // No error is sent about an error (RFC 4443 section 2.4), so what is too long is lost.
  if (c.mode() == Mode::dr || c.mode() == Mode::tun) {
    const unsigned shim = c.mode() == Mode::tun ? mode::tunnel::shim_bytes(renewed_wrap(c)) : 0;
    if (packet.total_length() > kLeastMtu6 - sizeof(Ipv6) - shim) {
      // RFC 4443 has errors fit 1280 bytes; the tunnel's headers may not fit behind them.
      return drop(packet, End::icmp_too_big, &c);
    }
    return emit_request(packet, c, End::forwarded_icmp_error);
  }
  End failure{};
  const NextHop6* hop = next_hop(c, direction, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  if (packet.total_length() > hop->mtu) return drop(packet, End::icmp_too_big, &c);
  Ipv6* ip = packet.ip;
  // What the receiver had sent: a server its reply to the local end, a client its request.
  translate_quote(packet, to_server ? mode::Ends6{c.raddr, c.laddr, c.rport, c.lport}
                                    : mode::Ends6{c.caddr, c.vaddr, c.cport, c.vport});
  if (is_proxied(c)) shift_quote(packet, c, to_server);
  if (!to_server) {
    ip->source = c.vaddr;
  } else if (c.mode() == Mode::fullnat) {
    ip->source = c.laddr;
  }
  ip->destination = to_server ? c.raddr : c.caddr;
  --ip->hops;
  packet.icmp()->checksum = 0;
  packet.icmp()->checksum =
      l4_checksum(ip->source, ip->destination, kIcmp6, packet.l4, packet.l4_bytes);
  send_to(packet, *hop, End::forwarded_icmp_error, &c);
}

// An error about an outer packet of ours says nothing to the client: it gets one of the same kind
// from the VIP about its own packet, with room left for the outer headers (RFC 2473 section 8).
// What is wrong with an outer header means to it that the address isn't reached.
void Worker6::relay_tunnel_error(Packet6& packet, const Record& c) {
  const bool ours = packet.icmp()->type == kParameterProblem6;
  const uint8_t type = ours ? uint8_t{kUnreachable6} : uint8_t{packet.icmp()->type};
  const uint8_t code = ours ? uint8_t{3} : uint8_t{packet.icmp()->code};
  uint32_t rest = 0;
  if (type == kTooBig6) {
    const uint32_t mtu = from_be(packet.icmp()->rest);
    // As they were: the wrap may have been changed since.
    const auto overhead =
        static_cast<uint32_t>(reinterpret_cast<uint8_t*>(packet.quoted) - packet.l4 - sizeof(Icmp));
    rest = mtu >= kLeastMtu6 + overhead ? mtu - overhead : uint32_t{kLeastMtu6};
  }
  Record copy = c;
  End failure{};
  const NextHop6* hop = next_hop(copy, Direction::reply, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  // The quoted request, as far as it is there, becomes the packet to quote.
  auto* inner = reinterpret_cast<uint8_t*>(packet.quoted);
  const auto here = static_cast<uint32_t>(packet.l4 + packet.l4_bytes - inner);
  rte_pktmbuf_adj(packet.mbuf,
                  static_cast<uint16_t>(inner - reinterpret_cast<uint8_t*>(packet.ip)));
  packet.ip = packet.quoted;
  const uint32_t quoted = uint32_t{from_be(packet.ip->payload)} + sizeof(Ipv6);
  if (quoted < here) rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(here - quoted));
  if (!build_icmp(packet, type, code, rest, c.vaddr, c.caddr)) {
    return drop(packet, End::no_headroom, &c);
  }
  send_to(packet, *hop, End::forwarded_icmp_error, &c);
}

}  // namespace sluice
