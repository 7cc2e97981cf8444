// Stage 1: a frame becomes a Packet with its headers found and checked, and for TCP, UDP, SCTP and
// ICMP errors the key of its connection, whose bucket is asked for at once. Frames that are no IPv4
// unicast for this station end here.
#include "../net/encapsulation.h"
#include "../worker.h"
#include "../worker6.h"

namespace sluice {

using namespace net;

void Worker::parse(const Group& group) {
  if (group.handed_off || options_.partial_checksums[group.port]) {
    parse_closely(group);
  } else {
    counters_.port(group.port)[kRxBytes] += parse_frames(*this, group);
  }
  if (options_.workers > 1) hand_off(group);
}

// Bytes received. A function of its own, so that its registers are the loop's alone.
uint32_t Worker::parse_frames(Worker& worker, const Group& group) {
  uint32_t bytes = 0;
  // A copy, which no packet that is written to can change.
  const PlainFrame plain = worker.plain_[group.port];
  Packet* packet = group.packets;
  rte_mbuf* const* const last = group.mbufs + group.n;
  for (rte_mbuf* const* mbuf = group.mbufs; mbuf != last; ++mbuf, ++packet) {
    bytes += rte_pktmbuf_data_len(*mbuf);
    if (worker.parse_plain(*packet, *mbuf, plain)) [[likely]] {
      packet->bucket = worker.table_.home_bucket(packet->hash);
      prefetch_far(packet->bucket);
    } else {
      worker.parse_other(*packet, *mbuf, group);
    }
  }
  return bytes;
}

// The same for packets that were handed off, or that local kernels have sent.
void Worker::parse_closely(const Group& group) {
  uint32_t bytes = 0;
  for (unsigned i = 0; i < group.n; ++i) {
    Packet& packet = group.packets[i];
    rte_mbuf* const mbuf = group.mbufs[i];
    bytes += rte_pktmbuf_data_len(mbuf);
    const uint16_t port = group.handed_off ? mbuf->port : group.port;
    // Whoever has handed a reassembled datagram off has left the size of its fragments here.
    const bool reassembled = group.handed_off && mbuf->tso_segsz != 0;
    if (!reassembled && parse_plain(packet, mbuf, plain_[port])) [[likely]] {
      packet.bucket = table_.home_bucket(packet.hash);
      prefetch_far(packet.bucket);
      if (options_.partial_checksums[port]) {
        unfold(packet, group);
        complete_partial_checksum(packet);
      }
    } else {
      parse_other(packet, mbuf, group);
    }
  }
  if (!group.handed_off) counters_.port(group.port)[kRxBytes] += bytes;
}

// The common case, checked with few loads: a unicast frame for us with an IPv4 header without
// options, whole, TCP or UDP, that may live on. False leaves everything to parse_packet, which
// finds out what is different. `packet.ip` is where it should be already.
[[gnu::always_inline]] inline bool Worker::parse_plain(Packet& packet, rte_mbuf* mbuf,
                                                       const PlainFrame& plain) {
  const uint32_t frame = rte_pktmbuf_data_len(mbuf);
  Ipv4* const ip = packet.ip;
  constexpr unsigned kLeast = sizeof(Ipv4) + sizeof(Udp);
  static_assert(sizeof(Ethernet) + kLeast >= PlainFrame::kBytes);
  if (frame < sizeof(Ethernet) + kLeast || !plain.matches(packet.ethernet())) return false;
  // In 16 bits, where what is too long comes out as something else, too.
  const uint16_t total = from_be(ip->total_length);
  if (static_cast<uint16_t>(frame - total) != sizeof(Ethernet)) {
    if (total < kLeast || total + sizeof(Ethernet) > frame) return false;
    // Ethernet pads short frames (IEEE 802.3 section 3.2.8): the IP length is the truth.
    rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(frame - sizeof(Ethernet) - total));
  }
  if (ip->ttl <= 1 || !plain_header_is_right(*ip)) return false;
  // Or the compiler takes UDP for the exception, and puts it far away.
  if (__builtin_expect_with_probability(ip->protocol == kUdp, 1, 0.6)) {
    const uint16_t length = from_be(reinterpret_cast<const Udp*>(ip + 1)->length);
    if (static_cast<uint16_t>(total - length) != sizeof(Ipv4) &&
        (length < sizeof(Udp) || length > total - sizeof(Ipv4))) {
      return false;
    }
  } else if (ip->protocol == kTcp) {
    const uint32_t header = reinterpret_cast<const Tcp*>(ip + 1)->header_bytes();
    const auto l4_bytes = static_cast<uint32_t>(total - sizeof(Ipv4));
    if (l4_bytes < sizeof(Tcp) || header - sizeof(Tcp) > l4_bytes - sizeof(Tcp)) return false;
  } else {
    return false;
  }
  packet.ip_bytes = total;
  packet.key = key_in(&ip->source, ip->protocol);
  packet.hash = table_.hash(packet.key);
  return true;
}

// What only the full way asks of a plain packet.
void Worker::unfold(Packet& packet, const Group& group) {
  packet.concern = Concern::flow;
  packet.mbuf = group.mbufs[&packet - group.packets];
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip + 1);
  packet.port = group.handed_off ? packet.mbuf->port : group.port;
  packet.l4_bytes = static_cast<uint16_t>(packet.total_length() - sizeof(Ipv4));
  packet.fragment_bytes = 0;
  packet.source = packet.mbuf->hash.fdir.hi;
}

void Worker::parse_other(Packet& packet, rte_mbuf* mbuf, const Group& group) {
  packet.mbuf = mbuf;
  packet.port = group.handed_off ? mbuf->port : group.port;
  // Straight on with what is commonest here.
  if (rte_pktmbuf_data_len(mbuf) >= PlainFrame::kBytes &&
      plain_[packet.port].is_six(packet.ethernet())) {
    packet.bucket = Table::empty_bucket();
    packet.hash = 1;
    return leave_to_six(packet, group.handed_off);
  }
  if (was_for_virtual_mac(packet) && parse_plain(packet, mbuf, plain_[packet.port])) {
    packet.bucket = table_.home_bucket(packet.hash);
    __builtin_prefetch(packet.bucket);
    return;
  }
  packet.bucket = Table::empty_bucket();
  packet.hash = 1;  // 0 would be an empty slot's tag
  packet.source = mbuf->hash.fdir.hi;
  packet.concern = Concern::ended;
  packet.fragment_bytes = group.handed_off ? mbuf->tso_segsz : 0;
  parse_packet(packet, group.handed_off);
  if (packet.concern != Concern::flow && packet.concern != Concern::icmp_error) return;
  packet.hash = table_.hash(packet.key);
  table_.prefetch_bucket(packet.hash);
}

// RFC 9568 section 7.3: a virtual router has a MAC of its own. Such a frame goes on as one for the
// port itself, so that nothing behind this asks again.
bool Worker::was_for_virtual_mac(const Packet& packet) {
  const uint16_t port = packet.port;
  if (!snapshot_->has_virtual_mac(port)) return false;
  if (rte_pktmbuf_data_len(packet.mbuf) < sizeof(Ethernet)) return false;
  auto* ethernet = rte_pktmbuf_mtod(packet.mbuf, Ethernet*);
  if (!snapshot_->is_virtual_mac(port, ethernet->destination)) return false;
  ethernet->destination = fib_->port(port).mac;
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
  if (ethernet->type == kEtherIpv6) return leave_to_six(packet, handed_off);
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
    case kSctp:
      if (packet.l4_bytes < sizeof(Sctp)) return drop(packet, End::bad_l4_header);
      break;
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

// To be forwarded when the burst is through.
void Worker::leave_to_six(Packet& packet, bool handed_off) {
  packet.concern = Concern::ended;
  six_->take(packet.mbuf, packet.port, handed_off);
  six_waits_ = true;
}

// An ICMP error quotes a packet that we or a client sent; its connection is found by the reverse of
// the quoted tuple. A quoted tunnel packet of ours is looked into (RFC 2003 section 4).
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
    if (packet.quote_depth == 0) {
      const Inside inside = look_inside(
          quoted->protocol, const_cast<uint8_t*>(at) + header, end,
          [&](be16 port) { return snapshot_->is_gue(net::mapped(quoted->destination), port); });
      if (inside.packet != nullptr) {
        if (inside.protocol != kIpip)
          return void(give_error_to_six(packet, *quoted, inside.packet));
        packet.quote_depth = 1;
        quoted = reinterpret_cast<Ipv4*>(inside.packet);
        continue;
      }
    }
    if (!has_ports(quoted->protocol)) return;
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
  if (packet.ip->protocol == kSctp) {
    if (complete_sctp_checksum(packet.l4, packet.l4_bytes)) {
      counters_.add(Extra::partial_checksum_completed);
    }
    return;
  }
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
bool Worker::is_martian(be32 source) {
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
