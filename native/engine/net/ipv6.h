// IPv6 headers, ICMPv6 and Neighbour Discovery, and the checksums over IPv6's pseudo-header.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../types.h"
#include "checksum.h"
#include "headers.h"

namespace sluice::net {

inline constexpr be16 kEtherIpv6 = to_be(uint16_t{0x86dd});

// RFC 8200 section 3.
struct [[gnu::packed]] Ipv6 {
  be32 first;  // version, traffic class, flow label
  be16 payload;
  uint8_t next;
  uint8_t hops;
  WideAddress source;
  WideAddress destination;

  unsigned version() const { return from_be(first) >> 28; }
  uint8_t traffic_class() const { return static_cast<uint8_t>(from_be(first) >> 20); }
};
static_assert(sizeof(Ipv6) == 40 && offsetof(Ipv6, source) == 8);

// Version and traffic class, without a flow label.
constexpr be32 first_word(uint8_t traffic_class) {
  return to_be(uint32_t{6} << 28 | uint32_t{traffic_class} << 20);
}

// Next-header values (RFC 8200 section 4, IANA's protocol numbers).
enum NextHeader : uint8_t {
  kHopByHop = 0,
  kIpv6InIp = 41,
  kRouting = 43,
  kFragmentHeader = 44,
  kEsp = 50,
  kAh = 51,
  kIcmp6 = 58,
  kDestinationOptions = 60,
};

// RFC 8200 section 4.5.
struct [[gnu::packed]] Fragment6 {
  uint8_t next;
  uint8_t reserved;
  be16 offset;  // in eights of bytes, in the upper 13 bits; the lowest: more follow
  be32 id;

  unsigned offset_bytes() const { return from_be(offset) & 0xfff8u; }
  bool has_more() const { return (from_be(offset) & 1) != 0; }
};
static_assert(sizeof(Fragment6) == 8);

inline constexpr uint16_t kLeastMtu6 = 1280;  // RFC 8200 section 5
// Of extension headers before a fragment header, in bytes, as far as fragments are put together.
inline constexpr unsigned kMostUnfragmentable6 = 112;

// RFC 4443; `rest` is unused, an MTU, a pointer, or an echo's identifier and sequence.
enum Icmp6Type : uint8_t {
  kUnreachable6 = 1,
  kTooBig6 = 2,
  kTimeExceeded6 = 3,
  kParameterProblem6 = 4,
  kEcho6 = 128,
  kEchoReply6 = 129,
  kSolicitation = 135,
  kAdvertisement = 136,
};

// Errors that are translated for a connection: the ones Linux IPVS takes for related.
inline bool is_related_error6(uint8_t type) {
  return type >= kUnreachable6 && type <= kParameterProblem6;
}

// Neighbour Solicitation and Advertisement (RFC 4861 sections 4.3, 4.4), options behind.
struct [[gnu::packed]] NeighbourMessage {
  uint8_t type;
  uint8_t code;
  be16 checksum;
  be32 flags;
  WideAddress target;
};
static_assert(sizeof(NeighbourMessage) == 24);

inline constexpr be32 kSolicited = to_be(uint32_t{1} << 30);
inline constexpr be32 kOverride = to_be(uint32_t{1} << 29);

// Source or target link-layer address (RFC 4861 section 4.6.1), for Ethernet.
struct [[gnu::packed]] LinkOption {
  uint8_t type;   // 1 source, 2 target
  uint8_t units;  // of eight bytes: 1
  Mac mac;
};
static_assert(sizeof(LinkOption) == 8);

inline constexpr WideAddress kAllNodes = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

inline bool is_unspecified(const WideAddress& a) {
  return a == WideAddress{};
}
inline bool is_multicast(const WideAddress& a) {
  return a[0] == 0xff;
}
inline bool is_link_local(const WideAddress& a) {
  return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

inline uint64_t sum_of(const WideAddress& a) {
  return sum_bytes(a.data(), a.size());
}

// Pseudo-header (RFC 8200 section 8.1). `bytes`: length of the upper layer.
inline uint64_t pseudo_sum(const WideAddress& source, const WideAddress& destination,
                           uint8_t protocol, uint32_t bytes) {
  return sum_of(source) + sum_of(destination) + to_be(uint32_t{protocol}) + to_be(bytes);
}

// A checksum in full; its own field counts as it stands, so it has to be 0.
inline be16 l4_checksum(const WideAddress& source, const WideAddress& destination, uint8_t protocol,
                        const void* l4, uint16_t bytes) {
  return checksum_of(l4, bytes, pseudo_sum(source, destination, protocol, bytes));
}
inline bool l4_sums_up(const Ipv6& ip, uint8_t protocol, const void* l4, uint16_t bytes) {
  return fold(sum_bytes(l4, bytes, pseudo_sum(ip.source, ip.destination, protocol, bytes))) ==
         0xffff;
}

inline void change_address(Delta& delta, const WideAddress& from, const WideAddress& to) {
  for (size_t at = 0; at < from.size(); at += 4) {
    delta.change32(load<uint32_t>(from.data() + at), load<uint32_t>(to.data() + at));
  }
}

// An IPv4 address as the boundary and the snapshot have it.
inline WideAddress mapped(be32 v4) {
  WideAddress a = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  store(a.data() + 12, v4);
  return a;
}

// The four words of an address in one, as Linux' schedulers hash it (ip_vs_sh.c's addr_fold).
inline be32 folded(const WideAddress& a) {
  return load<be32>(a.data()) ^ load<be32>(a.data() + 4) ^ load<be32>(a.data() + 8) ^
         load<be32>(a.data() + 12);
}

// The first `bits` of an address, 0 … 128.
inline WideAddress masked(const WideAddress& a, unsigned bits) {
  WideAddress out{};
  for (unsigned i = 0; i < a.size() && bits != 0; ++i) {
    const unsigned here = bits < 8 ? bits : 8;
    out[i] = static_cast<uint8_t>(a[i] & (0xff00u >> here));
    bits -= here;
  }
  return out;
}

}  // namespace sluice::net
