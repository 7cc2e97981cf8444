// Words shared by the whole engine: addresses, modes, schedulers, states, limits.
//
// Byte order: names with `be` hold network byte order as read from the packet; everything else is
// the host's.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace sluice {

using be16 = uint16_t;
using be32 = uint32_t;

constexpr be16 to_be(uint16_t value) {
  return __builtin_bswap16(value);
}
constexpr uint16_t from_be(be16 value) {
  return __builtin_bswap16(value);
}
constexpr be32 to_be(uint32_t value) {
  return __builtin_bswap32(value);
}
constexpr uint32_t from_be(be32 value) {
  return __builtin_bswap32(value);
}

// Network mask of an IPv4 prefix, 0 … 32.
constexpr be32 prefix_mask(unsigned length) {
  return length == 0 ? 0 : to_be(static_cast<uint32_t>(~uint32_t{0} << (32 - length)));
}

// Loads and stores at any alignment; packets promise none.
template <class T>
inline T load(const void* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <class T>
inline void store(void* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

// 16 network-order bytes; IPv4 as ::ffff:a.b.c.d, as on the boundary.
using WideAddress = std::array<uint8_t, 16>;
using Mac = std::array<uint8_t, 6>;

inline bool is_v4(const WideAddress& a) {
  constexpr uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(a.data(), prefix, sizeof prefix) == 0;
}
inline be32 v4_of(const WideAddress& a) {
  return load<be32>(a.data() + 12);
}

// Address families: what a record or template needs to know of each.
struct V4 {
  using Address = be32;
  static constexpr unsigned kHeader = 20;  // bytes, without options (RFC 791)
};
struct V6 {
  using Address = WideAddress;
  static constexpr unsigned kHeader = 40;  // RFC 8200
};

inline constexpr uint8_t kIcmp = 1;
inline constexpr uint8_t kIpip = 4;
inline constexpr uint8_t kTcp = 6;
inline constexpr uint8_t kUdp = 17;
inline constexpr uint8_t kGre = 47;
inline constexpr uint8_t kSctp = 132;

// Those whose flows are told apart by ports, which all have in the same place.
constexpr bool has_ports(uint8_t protocol) {
  return protocol == kTcp || protocol == kUdp || protocol == kSctp;
}

enum class Mode : uint8_t { nat, dr, tun, fullnat, enat };
inline constexpr unsigned kModes = 5;

// What TUN puts around packets: IP alone (RFC 2003, 2473, 4213), GRE (RFC 2784), GUE variant 0
// (draft-ietf-intarea-gue), the latter two also with a checksum. Order is the boundary's (WRAPS in
// src/native.ts).
enum class Wrap : uint8_t { ipip, gre, gre_checked, gue, gue_checked };
inline constexpr unsigned kWraps = 5;

enum class SchedulerKind : uint8_t {
  rr,
  wrr,
  lc,
  wlc,
  sh,
  mh,
  dh,
  sed,
  nq,
  fo,
  ovf,
  twos,
  lblc,
  lblcr
};
inline constexpr unsigned kSchedulers = 14;

// Order is the boundary's (STATES in src/native.ts). Those of an SCTP association are LVS's, in its
// order (table/sctp_state.h).
enum class State : uint8_t {
  none,
  established,
  syn_sent,
  syn_recv,
  fin_wait,
  time_wait,
  close,
  close_wait,
  last_ack,
  listen,
  synack,
  udp,
  sctp_init1,
  sctp_init,
  sctp_cookie_sent,
  sctp_cookie_replied,
  sctp_cookie_wait,
  sctp_cookie,
  sctp_cookie_echoed,
  sctp_established,
  sctp_shutdown_sent,
  sctp_shutdown_received,
  sctp_shutdown_ack_sent,
  sctp_rejected,
  sctp_closed,
};
inline constexpr unsigned kStates = 25;

// A connection's state tells its protocol; that of no connection is TCP's.
inline constexpr std::array<uint8_t, kStates> kProtocolOfState = [] {
  std::array<uint8_t, kStates> protocols{};
  for (unsigned state = 0; state < kStates; ++state) {
    protocols[state] = state < static_cast<unsigned>(State::udp)    ? kTcp
                       : state == static_cast<unsigned>(State::udp) ? kUdp
                                                                    : kSctp;
  }
  return protocols;
}();
constexpr uint8_t protocol_of(State state) {
  return kProtocolOfState[static_cast<unsigned>(state)];
}

// Both ends of a TCP connection or SCTP association have agreed to it.
constexpr bool is_established(State state) {
  return state == State::established || state == State::sctp_established;
}

enum class Direction : uint8_t { request = 0, reply = 1 };

// Packets a receive call, at most: what a burst costs as a whole is shared by all of them, and
// their headers, mbufs and records together still fit L1.
inline constexpr unsigned kBurst = 64;
inline constexpr unsigned kMaxPorts = 16;    // ports of one director
inline constexpr unsigned kMaxWorkers = 16;  // worker lcores
inline constexpr uint32_t kNone = UINT32_MAX;

struct Limits {
  uint32_t max_connections;  // a worker
  uint32_t max_services;     // slots
  uint32_t max_servers;      // slots
};

}  // namespace sluice
