// A connection as a worker keeps it: one cache line for IPv4, both directions in one record.
//
// A record holds two tuples as they arrive at the director:
//   request: client → virtual   (caddr:cport → vaddr:vport)
//   reply:   real   → local     (raddr:rport → laddr:lport)
// For NAT local is the client itself; for FullNAT it is LIP:lport; for ENAT it is the source the
// director gave the request (only ICMP errors and resets come back to it). DR and TUN have none.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "../types.h"

namespace sluice {

template <class Family>
struct TupleOf {
  typename Family::Address source, destination;
  be16 source_port, destination_port;
};

// What tells UDP from TCP in an IP protocol's number. SCTP is never settled (settled.h), and so
// never compared by it alone.
inline constexpr uint8_t kUdpBit = 0x10;
static_assert((kUdp & kUdpBit) != 0 && (kTcp & kUdpBit) == 0 && (kSctp & kUdpBit) == 0);

enum ConnectionFlag : uint8_t {
  kModeMask = 0x07,
  kHasReplyTuple = 0x08,  // both tuples are in the table
  kUdpConnection = kUdpBit,
  kServerIsnKnown = 0x20,  // server_isn1 is valid
  kOwnsLocalPort = 0x40,   // lport came from LocalPorts
  kCountedActive = 0x80,   // counted in ActiveConn, else InActConn
};

// In Connection::packets of TCP.
enum TcpNote : uint8_t {
  kFailureCounted = 1,  // that its server has not answered (5_handshake.cc)
  kProxied = 2,         // of the SYN proxy: what else is to be known lies beside the record
};

template <class Family>
struct alignas(64) Connection;

template <>
struct alignas(64) Connection<V4> {
  // Behind either tuple there is a byte with kUdpBit as the connection's protocol has it.
  be32 caddr, vaddr;
  be16 cport, vport;
  uint8_t flags;  // ConnectionFlag
  State state;
  uint16_t service;  // slot
  be32 raddr, laddr;
  be16 rport, lport;
  uint32_t settled;       // since when the next hops hold, and how far it needs no check: settled.h
  uint32_t last_seen_ms;  // worker's clock, low 32 bits
  uint32_t next, prev;    // timing wheel, or free list through next
  uint32_t server;        // slot
  union {
    // TCP: server's first sequence number + 1, host order. Of the SYN proxy, until the server has
    // answered, the client's first one.
    uint32_t server_isn1;
    uint32_t born_ms;  // UDP: worker's clock at the first packet; see worth.h
  };
  uint16_t hop[2];   // next-hop index by Direction: towards the real server, the client
  uint8_t packets;   // UDP from the client, see mode::enat::kRepeatEvery; TCP: TcpNote
  uint8_t answered;  // not 0: a reply has come; see worth.h
  // Folded checksum deltas of a translation. Of the IP header by Direction: addresses and TTL - 1.
  // Of L4, addresses and ports, the request's: the reply's is the same change undone, ~l4.
  // TUN translates nothing and has what its outer header needs here, see mode/tunnel.h.
  uint16_t l4;
  uint16_t l3[2];

  Mode mode() const { return static_cast<Mode>(flags & kModeMask); }
  // In place of a mode: no connection, but the way to worker number `server`, which has it. Only
  // the request's tuple is in the table (sync/worker.cc).
  bool is_signpost() const { return (flags & kModeMask) == kModeMask; }
  bool has(ConnectionFlag flag) const { return (flags & flag) != 0; }
  uint8_t protocol() const { return protocol_of(state); }
  // Where the tuple of either direction lies.
  const void* tuple(Direction direction) const {
    return reinterpret_cast<const uint8_t*>(this) + 16 * static_cast<size_t>(direction);
  }
  TupleOf<V4> request() const { return load<TupleOf<V4>>(&caddr); }
  TupleOf<V4> reply() const { return load<TupleOf<V4>>(&raddr); }
};
static_assert(sizeof(Connection<V4>) == 64, "one cache line");

// IPv6: addresses fill the first line, ports and the rest, as in IPv4, half of the second.
template <>
struct alignas(64) Connection<V6> {
  WideAddress caddr, vaddr, raddr, laddr;
  be16 cport, vport, rport, lport;
  uint32_t last_seen_ms, next, prev, server;
  uint16_t service;
  uint8_t flags, packets;  // read together by is_unusual()
  union {
    uint32_t server_isn1, born_ms;
  };
  uint32_t settled;
  uint16_t hop[2];
  State state;
  uint8_t answered;
  uint16_t l4, l3[2];

  Mode mode() const { return static_cast<Mode>(flags & kModeMask); }
  bool is_signpost() const { return (flags & kModeMask) == kModeMask; }
  bool has(ConnectionFlag flag) const { return (flags & flag) != 0; }
  uint8_t protocol() const { return protocol_of(state); }
  TupleOf<V6> request() const { return {caddr, vaddr, cport, vport}; }
  TupleOf<V6> reply() const { return {raddr, laddr, rport, lport}; }
};
static_assert(sizeof(Connection<V6>) == 128, "two cache lines");

template <class Family>
inline bool is_proxied(const Connection<Family>& c) {
  return (c.packets & kProxied) != 0 && c.protocol() == kTcp;
}
// The SYN proxy has a client, and no server yet.
template <class Family>
inline bool is_waiting(const Connection<Family>& c) {
  return is_proxied(c) && !c.has(kServerIsnKnown);
}

// A signpost or a connection of the SYN proxy, and perhaps one of UDP: worth a closer look. One of
// IPv6 has no mode from ENAT on.
inline bool is_unusual(const Connection<V6>& c) {
  constexpr auto kSignpost = static_cast<unsigned>(Mode::enat);
  static_assert(kSignpost == 4 && kModes == 5 && kModeMask == 7);
  static_assert(offsetof(Connection<V6>, packets) == offsetof(Connection<V6>, flags) + 1);
  return (load<uint16_t>(&c.flags) & (kSignpost | unsigned{kProxied} << 8)) != 0;
}

// Key of the table: a tuple and its protocol, exactly as received.
template <class Family>
struct FlowKey {
  TupleOf<Family> tuple;
  uint8_t protocol;
  uint8_t zero[3];  // hashed with the rest

  FlowKey() = default;  // uninitialised
  FlowKey(const TupleOf<Family>& tuple, uint8_t protocol)
      : tuple(tuple), protocol(protocol), zero{} {}
};

// Of the ports' 4 and their addresses' 8 bytes as they lie in an IPv4 packet without options, and
// of 4 bytes behind, which are replaced.
inline FlowKey<V4> key_in(const void* source_address, uint8_t protocol) {
  const __m128i read = _mm_loadu_si128(static_cast<const __m128i*>(source_address));
  FlowKey<V4> key;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&key), _mm_insert_epi32(read, protocol, 3));
  return key;
}

// As in the packet, so that a key is one copy of 16 bytes and a comparison two loads.
static_assert(sizeof(FlowKey<V4>) == 16);
static_assert(sizeof(TupleOf<V4>) == 12 && offsetof(TupleOf<V4>, source_port) == 8);
static_assert(offsetof(Connection<V4>, flags) == sizeof(TupleOf<V4>));
static_assert(offsetof(Connection<V4>, raddr) == sizeof(FlowKey<V4>));
static_assert(offsetof(Connection<V4>, settled) == sizeof(FlowKey<V4>) + sizeof(TupleOf<V4>));

// `at`: a tuple as it lies in a record. Nothing is copied.
inline bool is_tuple(const void* at, const TupleOf<V4>& tuple) {
  const auto* ports = static_cast<const uint8_t*>(at) + offsetof(TupleOf<V4>, source_port);
  return load<uint64_t>(at) == load<uint64_t>(&tuple) &&
         load<uint32_t>(ports) == load<uint32_t>(&tuple.source_port);
}
// The same of a key's tuple and protocol, in one comparison: of the 4 bytes behind the tuple, in a
// settled connection's record, only kUdpBit counts.
inline bool is_tuple_of(const void* at, const FlowKey<V4>& key) {
  const __m128i difference = _mm_xor_si128(_mm_loadu_si128(static_cast<const __m128i*>(at)),
                                           _mm_loadu_si128(reinterpret_cast<const __m128i*>(&key)));
  return _mm_testz_si128(difference, _mm_setr_epi32(-1, -1, -1, kUdpBit)) != 0;
}
inline bool operator==(const TupleOf<V4>& a, const TupleOf<V4>& b) {
  return is_tuple(&a, b);
}
// In registers: comparing arrays is a call of memcmp().
inline bool operator==(const TupleOf<V6>& a, const TupleOf<V6>& b) {
  const auto differs = [](const WideAddress& one, const WideAddress& other) {
    return _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(one.data())),
                         _mm_loadu_si128(reinterpret_cast<const __m128i*>(other.data())));
  };
  const __m128i difference =
      _mm_or_si128(differs(a.source, b.source), differs(a.destination, b.destination));
  return _mm_testz_si128(difference, difference) != 0 && a.source_port == b.source_port &&
         a.destination_port == b.destination_port;
}

}  // namespace sluice
