// Stage 1: a frame becomes a Packet with its headers found and checked, and for TCP, UDP and ICMP
// errors the key of its connection, whose bucket is asked for at once. Frames that are no IPv4
// unicast for this station end here.
#include "../worker.h"

namespace sluice {

using namespace net;

void Worker::parse(const Group& group, uint16_t port, rte_mbuf** mbufs) {
  for (uint16_t i = 0; i < group.n; ++i) __builtin_prefetch(rte_pktmbuf_mtod(mbufs[i], void*));
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < group.n; ++i) {
    Packet& packet = group.packets[i];
    packet.mbuf = mbufs[i];
    packet.port = group.handed_off ? mbufs[i]->port : port;
    packet.source = mbufs[i]->hash.fdir.hi;
    packet.concern = Concern::ended;
    // Whoever handed a reassembled datagram off has left the size of its fragments here.
    packet.fragment_bytes = group.handed_off ? mbufs[i]->tso_segsz : 0;
    bytes += rte_pktmbuf_pkt_len(mbufs[i]);
    if (!parse_plain(packet)) parse_packet(packet, group.handed_off);
    if (packet.concern == Concern::flow || packet.concern == Concern::icmp_error) {
      packet.hash = table_.hash(packet.key);
      table_.prefetch_bucket(packet.hash);
    }
  }
  if (!group.handed_off) counters_.port(port)[kRxBytes] += bytes;
  if (options_.workers > 1) hand_off(group);
}

// The common case, checked with few loads: a unicast frame for us with an IPv4 header without
// options, whole, not padded, TCP or UDP. False leaves everything to parse_packet, which finds out
// what is different.
inline bool Worker::parse_plain(Packet& packet) {
  const uint32_t frame = rte_pktmbuf_data_len(packet.mbuf);
  if (frame < sizeof(Ethernet) + sizeof(Ipv4) + sizeof(Udp)) return false;
  const uint8_t* at = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  auto* ip = reinterpret_cast<Ipv4*>(const_cast<uint8_t*>(at) + sizeof(Ethernet));
  packet.ip = ip;
  // The last two bytes of the MAC are compared with the source's first two masked out.
  constexpr uint64_t kMacMask = 0x0000ffffffffffff;
  const bool plain =
      ((load<uint64_t>(at) ^ load<uint64_t>(&fib_->port(packet.port))) & kMacMask) == 0 &&
      (load<uint32_t>(at + 12) & 0x00ffffff) == (0x450000u | kEtherIpv4) &&
      from_be(ip->total_length) + sizeof(Ethernet) == frame && !ip->is_fragment();
  if (!plain || is_martian(ip->source) || !plain_header_is_right(*ip)) return false;
  packet.l4 = reinterpret_cast<uint8_t*>(ip + 1);
  packet.l4_bytes = static_cast<uint16_t>(frame - sizeof(Ethernet) - sizeof(Ipv4));
  if (ip->protocol == kTcp) {
    if (packet.l4_bytes < sizeof(Tcp) || packet.tcp()->header_bytes() < sizeof(Tcp) ||
        packet.tcp()->header_bytes() > packet.l4_bytes) {
      return false;
    }
  } else if (ip->protocol == kUdp) {
    const uint16_t length = from_be(packet.udp()->length);
    if (length < sizeof(Udp) || length > packet.l4_bytes) return false;
  } else {
    return false;
  }
  if (options_.partial_checksums[packet.port]) complete_partial_checksum(packet);
  packet.concern = Concern::flow;
  packet.key = {load<TupleOf<V4>>(&ip->source), ip->protocol};
  return true;
}

void Worker::parse_packet(Packet& packet, bool handed_off) {
  rte_mbuf* mbuf = packet.mbuf;
  const uint32_t frame = rte_pktmbuf_data_len(mbuf);
  auto* ethernet = rte_pktmbuf_mtod(mbuf, Ethernet*);
  packet.ip = reinterpret_cast<Ipv4*>(ethernet + 1);
  packet.l4 = nullptr;
  if (frame < sizeof(Ethernet)) return drop(packet, End::short_frame);
  const bool group = (ethernet->destination[0] & 1) != 0;
  if (!group && ethernet->destination != fib_->port(packet.port).mac) {
    return drop(packet, End::not_for_us_unicast);
  }
  if (ethernet->type == kEtherArp) {
    if (frame < sizeof(Ethernet) + sizeof(Arp)) return drop(packet, End::short_frame);
    return answer_arp(packet, reinterpret_cast<Arp*>(ethernet + 1));
  }
  if (ethernet->type != kEtherIpv4) return punt(packet, End::punted_not_ipv4);

  Ipv4* ip = packet.ip;
  const uint32_t available = frame - sizeof(Ethernet);
  if (available < sizeof(Ipv4)) return drop(packet, End::short_frame);
  const unsigned header = ip->header_bytes();
  if ((ip->version_ihl >> 4) != 4 || header < sizeof(Ipv4)) return drop(packet, End::bad_ip_header);
  const uint16_t total = packet.total_length();
  if (total < header || total > available) return drop(packet, End::bad_ip_length);
  if (fold(sum_bytes(ip, header)) != 0xffff) return drop(packet, End::bad_ip_checksum);
  if (group) return punt(packet, End::punted_not_ours);  // multicast: routing daemons, VRRP
  if (is_martian(ip->source)) return drop(packet, End::martian);
  if (header > sizeof(Ipv4) && has_source_route(*ip) && snapshot_->owns(ip->destination)) {
    return drop(packet, End::source_route);
  }
  // Ethernet pads short frames (IEEE 802.3 section 3.2.8): the IP length is the truth.
  if (total < available) rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(available - total));

  packet.l4 = reinterpret_cast<uint8_t*>(ip) + header;
  packet.l4_bytes = static_cast<uint16_t>(total - header);
  if (ip->is_fragment()) {
    if (!handed_off && hand_off_fragment(packet)) return;
    if (!reassemble(packet)) return;
    ip = packet.ip;
  }
  switch (ip->protocol) {
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
    case kIcmp:
      if (packet.l4_bytes < sizeof(Icmp)) return drop(packet, End::bad_l4_header);
      packet.concern = Concern::other;
      if (is_related_error(packet.icmp()->type)) parse_quote(packet);
      return;
    default:
      packet.concern = Concern::other;
      return;
  }
  if (options_.partial_checksums[packet.port]) complete_partial_checksum(packet);
  packet.concern = Concern::flow;
  packet.key = {{ip->source, ip->destination, load<be16>(packet.l4), load<be16>(packet.l4 + 2)},
                ip->protocol};
}

// An ICMP error quotes a packet that we or a client sent; its connection is found by the reverse of
// the quoted tuple. A quoted IPIP packet of ours is looked into (RFC 2003 section 4).
void Worker::parse_quote(Packet& packet) {
  const uint8_t* end = packet.l4 + packet.l4_bytes;
  auto* quoted = reinterpret_cast<Ipv4*>(packet.l4 + sizeof(Icmp));
  packet.quote_depth = 0;
  for (;;) {
    const uint8_t* at = reinterpret_cast<const uint8_t*>(quoted);
    if (at + sizeof(Ipv4) > end) return;
    const unsigned header = quoted->header_bytes();
    if ((quoted->version_ihl >> 4) != 4 || header < sizeof(Ipv4)) return;
    if (at + header + 8 > end) return;  // RFC 792: at least 64 bits of data
    if ((quoted->fragment & to_be(uint16_t{0x1fff})) != 0) return;
    if (quoted->protocol == kIpip && packet.quote_depth == 0) {
      packet.quote_depth = 1;
      quoted = reinterpret_cast<Ipv4*>(const_cast<uint8_t*>(at) + header);
      continue;
    }
    if (quoted->protocol != kTcp && quoted->protocol != kUdp) return;
    const uint8_t* l4 = at + header;
    packet.quoted = quoted;
    packet.key = {{quoted->destination, quoted->source, load<be16>(l4 + 2), load<be16>(l4)},
                  quoted->protocol};
    // The inner packet of a tunnel is the client's own request: its tuple as it is.
    if (packet.quote_depth == 1) {
      packet.key.tuple = {quoted->source, quoted->destination, load<be16>(l4), load<be16>(l4 + 2)};
    }
    packet.concern = Concern::icmp_error;
    return;
  }
}

// A local kernel that expects the device to finish a checksum leaves the folded pseudo-header sum
// in its place. One in 65 536 right checksums looks the same: those verify.
void Worker::complete_partial_checksum(Packet& packet) {
  const bool tcp = packet.ip->protocol == kTcp;
  const uint16_t bytes = tcp ? packet.l4_bytes : from_be(packet.udp()->length);
  const uint64_t pseudo =
      pseudo_sum(packet.ip->source, packet.ip->destination, packet.ip->protocol, bytes);
  be16 checksum = tcp ? packet.tcp()->checksum : packet.udp()->checksum;
  if (checksum != fold(pseudo) || checksum == 0) return;
  if (fold(sum_bytes(packet.l4, bytes, pseudo)) == 0xffff) return;
  if (tcp)
    packet.tcp()->checksum = 0;
  else
    packet.udp()->checksum = 0;
  checksum = checksum_of(packet.l4, bytes, pseudo);
  if (tcp)
    packet.tcp()->checksum = checksum;
  else
    packet.udp()->checksum = checksum == 0 ? be16{0xffff} : checksum;
  counters_.add(Extra::partial_checksum_completed);
}

// RFC 1812 section 5.3.7: this network, loopback, multicast, class E and broadcast.
bool Worker::is_martian(be32 source) const {
  const uint8_t first = static_cast<uint8_t>(source);  // first byte on the wire
  return first == 0 || first == 127 || first >= 224;
}

// Loose or strict source routing (RFC 791 section 3.1).
bool Worker::has_source_route(const Ipv4& ip) {
  const uint8_t* at = reinterpret_cast<const uint8_t*>(&ip + 1);
  const uint8_t* end = reinterpret_cast<const uint8_t*>(&ip) + ip.header_bytes();
  while (at + 1 < end && at[0] != 0) {
    if (at[0] == 131 || at[0] == 137) return true;
    if (at[0] != 1 && at[1] < 2) return false;
    at += at[0] == 1 ? 1 : at[1];
  }
  return false;
}

}  // namespace sluice
