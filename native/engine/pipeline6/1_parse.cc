// Stage 1: headers found and checked, extension headers walked within the packet's bounds (RFC 8200
// section 4), and for TCP, UDP, SCTP and ICMPv6 errors the key of their connection.
#include "../net/encapsulation.h"
#include "../worker6.h"

namespace sluice {

using namespace net;

void Worker6::parse(Packet6& packet) {
  rte_mbuf* mbuf = packet.mbuf;
  const uint32_t frame = rte_pktmbuf_data_len(mbuf);
  auto* ethernet = rte_pktmbuf_mtod(mbuf, Ethernet*);
  packet.source = mbuf->hash.fdir.hi;
  packet.concern = Concern::ended;
  packet.ip = reinterpret_cast<Ipv6*>(ethernet + 1);
  if (frame < sizeof(Ethernet) + sizeof(Ipv6)) return drop(packet, End::short_frame);
  const uint32_t available = frame - sizeof(Ethernet);
  const Ipv6& ip = *packet.ip;
  if (ip.version() != 6) return drop(packet, End::bad_ip_header);
  // A length of 0 would be a jumbogram's (RFC 2675), which no port of ours takes, or nothing at
  // all.
  const uint32_t total = uint32_t{from_be(ip.payload)} + sizeof(Ipv6);
  if (ip.payload == 0 || total > available) return drop(packet, End::bad_ip_length);
  // Ethernet pads short frames (IEEE 802.3 section 3.2.8): the IP length is the truth.
  if (total < available) rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(available - total));
  if (is_martian(ip.source)) return drop(packet, End::martian);
  const bool group = (ethernet->destination[0] & 1) != 0;
  // Whoever has handed a reassembled datagram off has left the size of its fragments here.
  packet.fragment_bytes = packet.handed_off ? mbuf->tso_segsz : 0;
  packet.became_whole = false;
  if (!find_upper_layer(packet, group)) return;
  parse_upper_layer(packet, group);
}

// Of a packet that may have become another one, put together from fragments.
void Worker6::parse_upper_layer(Packet6& packet, bool group) {
  const Ipv6& ip = *packet.ip;
  if (packet.protocol == kIcmp6 && packet.l4_bytes >= sizeof(Icmp) &&
      packet.icmp()->type == kSolicitation) {
    return answer_solicitation(packet);
  }
  if (group || is_multicast(ip.destination)) {
    return punt(packet, packet.protocol == kIcmp6 ? End::punted_neighbour : End::punted_not_ours);
  }
  switch (packet.protocol) {
    case kTcp:
      if (packet.l4_bytes < sizeof(Tcp) || packet.tcp()->header_bytes() < sizeof(Tcp) ||
          packet.tcp()->header_bytes() > packet.l4_bytes) {
        return drop(packet, End::bad_l4_header);
      }
      break;
    case kUdp: {
      if (packet.l4_bytes < sizeof(Udp)) return drop(packet, End::bad_l4_header);
      const uint16_t length = from_be(packet.udp()->length);
      if (length < sizeof(Udp) || length > packet.l4_bytes) {
        return drop(packet, End::bad_l4_header);
      }
      break;
    }
    case kSctp:
      if (packet.l4_bytes < sizeof(Sctp)) return drop(packet, End::bad_l4_header);
      break;
    case kIcmp6:
      if (packet.l4_bytes < sizeof(Icmp)) return drop(packet, End::bad_l4_header);
      packet.concern = Concern::other;
      if (is_related_error6(packet.icmp()->type)) parse_quote(packet);
      if (packet.concern == Concern::icmp_error) break;
      return;
    default:
      packet.concern = Concern::other;
      return;
  }
  if (packet.concern != Concern::icmp_error) {
    if (worker_.options_.partial_checksums[packet.port]) complete_partial_checksum(packet);
    packet.concern = Concern::flow;
    packet.key = {{ip.source, ip.destination, load<be16>(packet.l4), load<be16>(packet.l4 + 2)},
                  packet.protocol};
  }
  if (worker_.options_.workers > 1 && hand_off(packet)) return;
  packet.hash = table_.hash(packet.key);
  table_.prefetch_bucket(packet.hash);
}

// Walks hop-by-hop options, routing and destination options headers; sets l4, l4_bytes, protocol
// and next_at. False: the packet has ended.
bool Worker6::find_upper_layer(Packet6& packet, bool group) {
  const auto* start = reinterpret_cast<uint8_t*>(packet.ip);
  uint8_t* at = reinterpret_cast<uint8_t*>(packet.ip + 1);
  uint8_t* end = packet.end();
  packet.protocol = packet.ip->next;
  packet.next_at = offsetof(Ipv6, next);
  for (;;) {
    const bool option = packet.protocol == kHopByHop || packet.protocol == kDestinationOptions;
    const bool fragment = packet.protocol == kFragmentHeader;
    if (!option && packet.protocol != kRouting && !fragment) break;
    // Hop-by-hop options stand first or not at all (RFC 8200 section 4.1).
    const bool misplaced = packet.protocol == kHopByHop && at != start + sizeof(Ipv6);
    const size_t left = static_cast<size_t>(end - at);
    const size_t bytes = left < 8 ? 9 : fragment ? 8 : (size_t{at[1]} + 1) * 8;
    if (misplaced || bytes > left) {
      drop(packet, End::bad_ip_header);
      return false;
    }
    // One that is all of its datagram is no fragment (RFC 6946).
    const auto& piece = *reinterpret_cast<const Fragment6*>(at);
    if (fragment && (piece.has_more() || piece.offset_bytes() != 0)) {
      if (!take_fragment(packet, at, group)) return false;
      start = reinterpret_cast<uint8_t*>(packet.ip);
      at = reinterpret_cast<uint8_t*>(packet.ip + 1);
      end = packet.end();
      packet.protocol = packet.ip->next;
      packet.next_at = offsetof(Ipv6, next);
      continue;
    }
    // An address of ours is never one on the way: RFC 5095 for type 0, and none is processed.
    if (packet.protocol == kRouting && at[3] != 0 && owns(packet.ip->destination)) {
      drop(packet, End::source_route);
      return false;
    }
    packet.protocol = at[0];
    packet.next_at = static_cast<uint32_t>(at - start);
    at += bytes;
  }
  packet.l4 = at;
  packet.l4_bytes = static_cast<uint16_t>(end - at);
  return true;
}

// `at`: its fragment header. True when the datagram is whole now and in the packet's place; else
// the packet has ended.
bool Worker6::take_fragment(Packet6& packet, const uint8_t* at, bool group) {
  const Ipv6& ip = *packet.ip;
  if (group || !snapshot().fragments_concern_us(ip.source, ip.destination)) {
    punt(packet, End::punted_not_ours);
    return false;
  }
  const uint8_t* const headers = reinterpret_cast<const uint8_t*>(packet.ip + 1);
  if (packet.became_whole || at - headers > ptrdiff_t{kMostUnfragmentable6}) {
    drop(packet, End::fragment_ipv6);
    return false;
  }
  const be32 id = reinterpret_cast<const Fragment6*>(at)->id;
  if (!packet.handed_off && hand_off_fragment(packet, id)) return false;
  packet.became_whole = worker_.reassemble(packet, at);
  return packet.became_whole;
}

// An ICMPv6 error quotes a packet that we or a client sent, extension headers and all; its
// connection is found by the reverse of the quoted tuple. A quoted tunnel packet is looked into
// (RFC 2473 section 8).
void Worker6::parse_quote(Packet6& packet) {
  const uint8_t* const end = packet.l4 + packet.l4_bytes;
  uint8_t* at = packet.l4 + sizeof(Icmp);
  packet.quote_depth = 0;
  for (;;) {
    if (static_cast<size_t>(end - at) < sizeof(Ipv6)) return;
    auto* quoted = reinterpret_cast<Ipv6*>(at);
    if (quoted->version() != 6) return;
    uint8_t next = quoted->next;
    at += sizeof(Ipv6);
    while (next == kHopByHop || next == kRouting || next == kDestinationOptions ||
           next == kFragmentHeader) {
      const auto left = static_cast<size_t>(end - at);
      const bool fragment = next == kFragmentHeader;
      const size_t bytes = left < 8 ? 9 : fragment ? 8 : (size_t{at[1]} + 1) * 8;
      // A later fragment tells no ports.
      if (bytes > left || (fragment && reinterpret_cast<const Fragment6*>(at)->offset_bytes() != 0))
        return;
      next = at[0];
      at += bytes;
    }
    if (packet.quote_depth == 0) {
      const Inside inside = look_inside(
          next, at, end, [&](be16 port) { return snapshot().is_gue(quoted->destination, port); });
      if (inside.packet != nullptr) {
        if (inside.protocol != kIpv6InIp) {
          return void(give_error_to_four(packet, *quoted, inside.packet));
        }
        packet.quote_depth = 1;
        at = inside.packet;
        continue;
      }
    }
    if (!has_ports(next) || end - at < 8) return;
    packet.quoted = quoted;
    packet.quoted_l4 = at;
    packet.quoted_protocol = next;
    packet.key = {{quoted->destination, quoted->source, load<be16>(at + 2), load<be16>(at)}, next};
    // The inner packet of a tunnel is the client's own request: its tuple as it is.
    if (packet.quote_depth == 1) {
      packet.key.tuple = {quoted->source, quoted->destination, load<be16>(at), load<be16>(at + 2)};
    }
    packet.concern = Concern::icmp_error;
    return;
  }
}

// As Worker::complete_partial_checksum.
void Worker6::complete_partial_checksum(Packet6& packet) {
  if (packet.protocol == kSctp) {
    if (complete_sctp_checksum(packet.l4, packet.l4_bytes)) {
      counters().add(Extra::partial_checksum_completed);
    }
    return;
  }
  const bool tcp = packet.protocol == kTcp;
  const uint16_t bytes = tcp ? packet.l4_bytes : from_be(packet.udp()->length);
  const uint64_t pseudo =
      pseudo_sum(packet.ip->source, packet.ip->destination, packet.protocol, bytes);
  be16 checksum = tcp ? packet.tcp()->checksum : packet.udp()->checksum;
  if (checksum != fold(pseudo) || checksum == 0) return;
  if (fold(sum_bytes(packet.l4, bytes, pseudo)) == 0xffff) return;
  if (tcp)
    packet.tcp()->checksum = 0;
  else
    packet.udp()->checksum = 0;
  checksum = checksum_of(packet.l4, bytes, pseudo);
  if (checksum == 0 && !tcp) checksum = 0xffff;
  if (tcp)
    packet.tcp()->checksum = checksum;
  else
    packet.udp()->checksum = checksum;
  counters().add(Extra::partial_checksum_completed);
}

// RFC 4291 section 2.7 and 2.5.3: a group, the loopback address; section 2.5.5.2: an IPv4 address
// has no place in a header.
bool Worker6::is_martian(const WideAddress& source) {
  // What is not all zero in its first half is neither, without a comparison of 16 bytes.
  if (load<uint64_t>(source.data()) != 0) [[likely]]
    return is_multicast(source);
  constexpr WideAddress kLoopback = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return source == kLoopback || is_v4(source);
}

}  // namespace sluice
