#include "frames.h"

#include <algorithm>

#include "addresses.h"

namespace sluice::bench {

using namespace net;

namespace {

constexpr uint8_t kTtl = 64;
constexpr unsigned kMssBytes = 4;

unsigned l4_header_of(uint8_t protocol, Segment segment) {
  if (protocol == kUdp) return sizeof(Udp);
  const bool opens = segment == Segment::syn || segment == Segment::syn_ack;
  return sizeof(Tcp) + (opens ? kMssBytes : 0);
}

// Segments of a connection that goes on have passed the handshake by this much, so that they
// acknowledge more than the server's SYN and carry no client address any more.
constexpr uint32_t kPassed = 1000;

void write_tcp(Tcp* tcp, Segment segment, bool reply) {
  const uint32_t mine = reply ? kServerIsn : kClientIsn, other = reply ? kClientIsn : kServerIsn;
  const bool opens = segment == Segment::syn || segment == Segment::syn_ack;
  const bool goes_on =
      segment == Segment::data || segment == Segment::fin || segment == Segment::last_ack;
  const uint32_t passed = goes_on ? kPassed : 0;
  tcp->sequence = to_be(mine + (opens ? 0 : 1 + passed));
  tcp->acknowledgement = segment == Segment::syn ? 0 : to_be(other + 1 + passed);
  tcp->offset = static_cast<uint8_t>((sizeof(Tcp) + (opens ? kMssBytes : 0)) / 4 << 4);
  tcp->flags = segment == Segment::syn       ? kSyn
               : segment == Segment::syn_ack ? kSyn | kAck
               : segment == Segment::fin     ? kFin | kAck
               : segment == Segment::data    ? kAck | kPsh
                                             : kAck;
  tcp->window = to_be(uint16_t{0xffff});
  if (!opens) return;
  uint8_t* option = reinterpret_cast<uint8_t*>(tcp + 1);
  option[0] = 2;  // MSS
  option[1] = kMssBytes;
  store(option + 2, to_be(uint16_t{1460}));
}

}  // namespace

namespace {

// Headers of either family in front of L4, and the sum of L4's pseudo-header.
uint64_t write_ip(Ipv4* ip, uint8_t protocol, bool reply, uint16_t l4_bytes) {
  ip->version_ihl = 0x45;
  ip->total_length = to_be(static_cast<uint16_t>(sizeof(Ipv4) + l4_bytes));
  ip->id = to_be(uint16_t{0x1234});
  ip->fragment = kDontFragment;
  ip->ttl = kTtl;
  ip->protocol = protocol;
  if (!reply) ip->destination = plan::kVip;
  return pseudo_sum(ip->source, ip->destination, protocol, l4_bytes);
}
uint64_t write_ip(Ipv6* ip, uint8_t protocol, bool reply, uint16_t l4_bytes) {
  ip->first = first_word(0);
  ip->payload = to_be(l4_bytes);
  ip->next = protocol;
  ip->hops = kTtl;
  ip->source = plan::kPrefix6;
  ip->destination = reply ? plan::kPrefix6 : plan::v6(plan::kVip);
  return pseudo_sum(ip->source, ip->destination, protocol, l4_bytes);
}

}  // namespace

Frame::Frame(uint8_t protocol, Segment segment, bool reply, unsigned bytes, unsigned family) {
  alignas(32) uint8_t frame[(kMost + 63) & ~63u]{};
  auto* ethernet = reinterpret_cast<Ethernet*>(frame);
  ethernet->destination = plan::kDirectorMac;
  ethernet->source = reply ? plan::server_mac(0) : plan::kRouterMac;
  ethernet->type = family == 6 ? kEtherIpv6 : kEtherIpv4;
  uint8_t* const ip = frame + sizeof(Ethernet);
  const unsigned ip_header = family == 6 ? V6::kHeader : V4::kHeader;
  const unsigned l4_header = l4_header_of(protocol, segment);
  const unsigned headers = sizeof(Ethernet) + ip_header + l4_header;
  const unsigned length = std::max(bytes - kFcs, headers);
  // What opens a connection carries no data: the frame is padded instead.
  const auto l4_bytes =
      static_cast<uint16_t>(l4_header + (segment == Segment::data ? length - headers : 0));
  const uint64_t pseudo = family == 6
                              ? write_ip(reinterpret_cast<Ipv6*>(ip), protocol, reply, l4_bytes)
                              : write_ip(reinterpret_cast<Ipv4*>(ip), protocol, reply, l4_bytes);
  uint8_t* const l4 = ip + ip_header;
  if (protocol == kTcp) {
    write_tcp(reinterpret_cast<Tcp*>(l4), segment, reply);
    head_.checksum_at = static_cast<uint16_t>(ip_header + offsetof(Tcp, checksum));
  } else {
    reinterpret_cast<Udp*>(l4)->length = to_be(l4_bytes);
    head_.checksum_at = static_cast<uint16_t>(ip_header + offsetof(Udp, checksum));
  }
  if (reply) {
    store(l4, plan::kRport);
  } else {
    store(l4 + 2, plan::kVport);
  }
  for (unsigned i = l4_header; i < l4_bytes; ++i) l4[i] = static_cast<uint8_t>(i * 7 + 1);
  head_.ip_sum = fold(sum_bytes(ip, sizeof(Ipv4)));
  head_.l4_sum = fold(sum_bytes(l4, l4_bytes, pseudo));
  head_.length = static_cast<uint16_t>(length);
  head_.low = load<Words>(frame);
  head_.high = load<Words>(frame + sizeof(Words));
  std::memcpy(tail_, frame + Head::kBytes, sizeof tail_);
}

namespace {

// L4 behind an IP header that has been found good.
const char* inspect_l4(const uint8_t* l4, unsigned bytes, uint64_t pseudo, const Case& c,
                       Sent& sent) {
  if (fold(sum_bytes(l4, bytes, pseudo)) != 0xffff) return "L4 checksum is wrong";
  sent.ends.source_port = load<be16>(l4);
  sent.ends.destination_port = load<be16>(l4 + 2);
  if (c.protocol == kTcp) {
    sent.tcp_options =
        static_cast<uint8_t>(reinterpret_cast<const Tcp*>(l4)->header_bytes() - sizeof(Tcp));
  }
  return nullptr;
}

const char* inspect_v4(const Ipv4* ip, unsigned bytes, const Case& c, Sent& sent) {
  if (from_be(ip->total_length) != bytes) return "IP length is not the frame's";
  if (fold(sum_bytes(ip, ip->header_bytes())) != 0xffff) return "IP checksum is wrong";
  if (ip->ttl != kTtl - 1) return "TTL is not lowered by one";
  if (c.mode == Mode::tun) {
    if (ip->protocol != kIpip || ip->source != plan::kDip) return "outer header is wrong";
    sent.tunnel_to = ip->destination;
    const auto* inner = ip + 1;
    if (from_be(inner->total_length) + sizeof(Ipv4) != bytes) return "inner length is wrong";
    if (fold(sum_bytes(inner, inner->header_bytes())) != 0xffff) {
      return "inner IP checksum is wrong";
    }
    ip = inner;
  }
  if (ip->protocol != c.protocol) return "protocol has changed";
  const uint8_t* l4 = reinterpret_cast<const uint8_t*>(ip) + ip->header_bytes();
  const auto l4_bytes = static_cast<uint16_t>(from_be(ip->total_length) - ip->header_bytes());
  sent.ends.source = ip->source;
  sent.ends.destination = ip->destination;
  sent.ip_options = static_cast<uint8_t>(ip->header_bytes() - sizeof(Ipv4));
  const uint64_t pseudo = pseudo_sum(ip->source, ip->destination, ip->protocol, l4_bytes);
  return inspect_l4(l4, l4_bytes, pseudo, c, sent);
}

bool is_of_plan(const WideAddress& address) {
  return std::memcmp(address.data(), plan::kPrefix6.data(), plan::kPrefixBytes) == 0;
}

const char* inspect_v6(const Ipv6* ip, unsigned bytes, const Case& c, Sent& sent) {
  if (sizeof(Ipv6) + from_be(ip->payload) != bytes) return "IP length is not the frame's";
  if (ip->hops != kTtl - 1) return "hop limit is not lowered by one";
  if (c.mode == Mode::tun) {
    if (ip->next != kIpv6InIp || ip->source != plan::v6(plan::kDip)) return "outer header is wrong";
    if (!is_of_plan(ip->destination)) return "tunnel leads to nowhere";
    sent.tunnel_to = v4_of(ip->destination);
    const auto* inner = ip + 1;
    if (from_be(inner->payload) + 2 * sizeof(Ipv6) != bytes) return "inner length is wrong";
    ip = inner;
  }
  if (ip->next != c.protocol) return "protocol has changed";
  if (!is_of_plan(ip->source) || !is_of_plan(ip->destination)) return "address is of nobody";
  sent.ends.source = v4_of(ip->source);
  sent.ends.destination = v4_of(ip->destination);
  const unsigned l4_bytes = from_be(ip->payload);
  const uint64_t pseudo = pseudo_sum(ip->source, ip->destination, ip->next, l4_bytes);
  return inspect_l4(reinterpret_cast<const uint8_t*>(ip + 1), l4_bytes, pseudo, c, sent);
}

}  // namespace

const char* inspect(const rte_mbuf* mbuf, const Case& c, Sent& sent) {
  sent = {};
  const auto* ethernet = rte_pktmbuf_mtod(mbuf, const Ethernet*);
  const unsigned header = c.family == 6 ? V6::kHeader : V4::kHeader;
  if (rte_pktmbuf_data_len(mbuf) < sizeof(Ethernet) + header) return "frame is short";
  sent.to = ethernet->destination;
  if (ethernet->source != plan::kDirectorMac) return "source MAC is not the director's";
  if (ethernet->type != (c.family == 6 ? kEtherIpv6 : kEtherIpv4)) {
    return "frame is of another family";
  }
  const unsigned bytes = rte_pktmbuf_data_len(mbuf) - sizeof(Ethernet);
  return c.family == 6 ? inspect_v6(reinterpret_cast<const Ipv6*>(ethernet + 1), bytes, c, sent)
                       : inspect_v4(reinterpret_cast<const Ipv4*>(ethernet + 1), bytes, c, sent);
}

}  // namespace sluice::bench
