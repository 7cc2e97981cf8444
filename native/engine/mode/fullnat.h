// FullNAT: both ends change in both directions; the client's address rides in a TCP option (TOA)
// or, for UDP, in an IP option.
#pragma once

#include <cstring>

#include "../net/tcp_options.h"
#include "mode.h"

namespace sluice::mode::fullnat {

inline void prepare(Connection<V4>& c) {
  keep_deltas(c);
}

inline void request(net::Ipv4* ip, uint8_t* l4, uint16_t l4_bytes, const Connection<V4>& c) {
  translate_any(ip, l4, l4_bytes, c, Direction::request);
}
inline void reply(net::Ipv4* ip, uint8_t* l4, uint16_t l4_bytes, const Connection<V4>& c) {
  translate_any(ip, l4, l4_bytes, c, Direction::reply);
}

// Does this segment of a client carry its address? The SYN does, and whatever a server may see
// before it has answered: segments that acknowledge nothing but its SYN.
inline bool tcp_option_due(const net::Tcp& tcp, const Connection<V4>& c) {
  if (tcp.flags & net::kRst) return false;
  if (tcp.flags & net::kSyn) return true;
  return c.has(kServerIsnKnown) && from_be(tcp.acknowledgement) == c.server_isn1;
}

// Opens `bytes` behind the first `head` bytes of a frame that now starts `bytes` earlier.
inline void open_gap(uint8_t* start, size_t head, size_t bytes) {
  std::memmove(start, start + bytes, head);
}

// Writes the option into the gap behind the fixed TCP header (20 bytes) and adjusts data offset,
// total length and both checksums. `Write` is net::write_toa or net::write_enat.
inline void insert_tcp_option(net::Ipv4* ip, net::Tcp* tcp, unsigned bytes, bool enat,
                              const net::ClientOption& option) {
  auto* gap = reinterpret_cast<uint8_t*>(tcp) + sizeof(net::Tcp);
  if (enat) {
    net::write_enat(gap, option);
  } else {
    net::write_toa(gap, option);
  }
  net::Delta l4;
  const uint16_t offset_word = load<uint16_t>(&tcp->offset);
  tcp->offset = static_cast<uint8_t>(tcp->offset + (bytes / 4 << 4));
  l4.change16(offset_word, load<uint16_t>(&tcp->offset));
  l4.add(net::sum_bytes(gap, bytes));
  const uint16_t total = from_be(ip->total_length);
  const uint16_t l4_was = static_cast<uint16_t>(total - ip->header_bytes());
  l4.change16(to_be(l4_was), to_be(static_cast<uint16_t>(l4_was + bytes)));
  be16 checksum = tcp->checksum;
  l4.apply(checksum);
  tcp->checksum = checksum;
  const be16 length = to_be(static_cast<uint16_t>(total + bytes));
  net::Delta l3;
  l3.change16(ip->total_length, length);
  ip->total_length = length;
  be16 ip_checksum = ip->checksum;
  l3.apply(ip_checksum);
  ip->checksum = ip_checksum;
}

// The same for UDP: IP options right behind the fixed IPv4 header. Sums are of what is written, not
// of what could be read again.
inline void insert_ip_option(net::Ipv4* ip, unsigned bytes, const net::ClientOption& option) {
  auto* gap = reinterpret_cast<uint8_t*>(ip) + sizeof(net::Ipv4);
  const uint64_t client = net::ip_option(net::kIpOptionClient, option.client_port, option.client);
  store(gap, client);
  net::Delta l3;
  l3.add_wide(client);
  if (bytes == net::kEnatUdpBytes) {
    const uint64_t served =
        net::ip_option(net::kIpOptionVirtual, option.virtual_port, option.virtual_address);
    store(gap + 8, served);
    l3.add_wide(served);
  }
  // IHL: the low bits of the first word as loaded. Neither it nor the length overflows.
  const be16 more = to_be(static_cast<uint16_t>(bytes));
  l3.add(bytes / 4 + more);
  ip->version_ihl = static_cast<uint8_t>(ip->version_ihl + bytes / 4);
  ip->total_length = to_be(static_cast<uint16_t>(from_be(ip->total_length) + bytes));
  be16 ip_checksum = ip->checksum;
  l3.apply(ip_checksum);
  ip->checksum = ip_checksum;
}

}  // namespace sluice::mode::fullnat
