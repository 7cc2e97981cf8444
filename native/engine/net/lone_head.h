// IP headers of segments that the SYN proxy makes, for both families alike: without options or
// extension headers. Lengths are in bytes, and count the header.
#pragma once

#include <cstdint>

#include "headers.h"
#include "ipv6.h"

namespace sluice::net {

inline uint8_t class_of(const Ipv4& ip) {
  return ip.tos;
}
inline uint8_t class_of(const Ipv6& ip) {
  return ip.traffic_class();
}

inline void set_total_length(Ipv4& ip, uint16_t bytes) {
  ip.total_length = to_be(bytes);
  set_ip_checksum(ip);
}
inline void set_total_length(Ipv6& ip, uint16_t bytes) {
  ip.payload = to_be(static_cast<uint16_t>(bytes - sizeof(Ipv6)));
}

// What follows is TCP, whatever had stood before it; the length is yet to be set.
inline void make_bare(Ipv4& ip) {
  ip.version_ihl = 0x45;
  ip.fragment = kDontFragment;
}
inline void make_bare(Ipv6& ip) {
  ip.next = kTcp;
}

// Of TCP, not to be fragmented on its way. `id`: IPv4's.
inline Ipv4 lone_head(uint8_t tos, be16 id, uint8_t ttl, be32 source, be32 destination,
                      uint16_t bytes) {
  Ipv4 ip{0x45, tos, 0, id, kDontFragment, ttl, kTcp, 0, source, destination};
  set_total_length(ip, bytes);
  return ip;
}
inline Ipv6 lone_head(uint8_t traffic_class, be16 /*id*/, uint8_t hops, const WideAddress& source,
                      const WideAddress& destination, uint16_t bytes) {
  Ipv6 ip{first_word(traffic_class), 0, kTcp, hops, source, destination};
  set_total_length(ip, bytes);
  return ip;
}

}  // namespace sluice::net
