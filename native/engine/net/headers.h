// Views of the headers that the dataplane reads and writes. Fields are in network byte order and
// packets promise no alignment, hence packed structs; sizes and offsets are asserted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../types.h"

namespace sluice::net {

inline constexpr be16 kEtherIpv4 = to_be(uint16_t{0x0800});
inline constexpr be16 kEtherArp = to_be(uint16_t{0x0806});

struct [[gnu::packed]] Ethernet {
  Mac destination;
  Mac source;
  be16 type;
};
static_assert(sizeof(Ethernet) == 14);

// RFC 826, for Ethernet and IPv4.
struct [[gnu::packed]] Arp {
  be16 hardware;                         // 1
  be16 protocol;                         // 0x0800
  uint8_t hardware_size, protocol_size;  // 6, 4
  be16 operation;                        // 1 request, 2 reply
  Mac sender_mac;
  be32 sender;
  Mac target_mac;
  be32 target;
};
static_assert(sizeof(Arp) == 28);

// RFC 791 section 3.1.
struct [[gnu::packed]] Ipv4 {
  uint8_t version_ihl;
  uint8_t tos;
  be16 total_length;
  be16 id;
  be16 fragment;  // flags and offset
  uint8_t ttl;
  uint8_t protocol;
  be16 checksum;
  be32 source;
  be32 destination;

  unsigned header_bytes() const { return (version_ihl & 0x0f) * 4u; }
  bool dont_fragment() const { return (fragment & to_be(uint16_t{0x4000})) != 0; }
  bool is_fragment() const { return (fragment & to_be(uint16_t{0x3fff})) != 0; }
};
static_assert(sizeof(Ipv4) == 20 && offsetof(Ipv4, source) == 12);

inline constexpr be16 kDontFragment = to_be(uint16_t{0x4000});

// RFC 9293 section 3.1.
struct [[gnu::packed]] Tcp {
  be16 source;
  be16 destination;
  be32 sequence;
  be32 acknowledgement;
  uint8_t offset;  // data offset in the high nibble, 32-bit words
  uint8_t flags;
  be16 window;
  be16 checksum;
  be16 urgent;

  unsigned header_bytes() const { return (offset >> 4) * 4u; }
};
static_assert(sizeof(Tcp) == 20 && offsetof(Tcp, checksum) == 16);

enum TcpFlag : uint8_t { kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16, kUrg = 32 };

// RFC 768.
struct [[gnu::packed]] Udp {
  be16 source;
  be16 destination;
  be16 length;
  be16 checksum;
};
static_assert(sizeof(Udp) == 8);

// RFC 9260 section 3.1. The checksum is a CRC32c (crc32c.h), in the order of the CRC's own bits.
struct [[gnu::packed]] Sctp {
  be16 source;
  be16 destination;
  be32 verification_tag;
  uint32_t checksum;
};
static_assert(sizeof(Sctp) == 12 && offsetof(Sctp, checksum) == 8);

// RFC 9260 section 3.2: what a packet carries, one or more behind the header.
struct [[gnu::packed]] SctpChunk {
  uint8_t type;
  uint8_t flags;
  be16 length;  // header included, padding not
};
static_assert(sizeof(SctpChunk) == 4);

enum SctpChunkType : uint8_t {
  kSctpData = 0,
  kSctpInit = 1,
  kSctpInitAck = 2,
  kSctpAbort = 6,
  kSctpShutdown = 7,
  kSctpShutdownAck = 8,
  kSctpError = 9,
  kSctpCookieEcho = 10,
  kSctpCookieAck = 11,
  kSctpShutdownComplete = 14,
};

// RFC 792; `rest` is identifier and sequence of an echo, or 0 and the MTU of a 3/4 (RFC 1191).
struct [[gnu::packed]] Icmp {
  uint8_t type;
  uint8_t code;
  be16 checksum;
  be32 rest;
};
static_assert(sizeof(Icmp) == 8);

enum IcmpType : uint8_t {
  kEchoReply = 0,
  kUnreachable = 3,
  kSourceQuench = 4,
  kRedirect = 5,
  kEcho = 8,
  kTimeExceeded = 11,
  kParameterProblem = 12,
};

// Errors that are translated for a connection: the ones Linux IPVS takes for related. Redirects are
// for hosts; parameter problems it leaves to the router.
inline bool is_related_error(uint8_t type) {
  return type == kUnreachable || type == kSourceQuench || type == kTimeExceeded;
}

}  // namespace sluice::net
