// The network of the benchmark: one armed, clients behind a router, 16 real servers on link, as
// DPVS was measured. Flow n is a client address and port by arithmetic alone, so that making a
// request reads no table.
#pragma once

#include <algorithm>

#include "engine/types.h"

namespace sluice::bench::plan {

inline constexpr be32 v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return to_be(uint32_t{a} << 24 | uint32_t{b} << 16 | uint32_t{c} << 8 | d);
}

// In IPv6 every address of the plan is 2001:db8:: with the IPv4 one as its last four bytes.
inline constexpr unsigned kPrefixBytes = 12;
inline constexpr WideAddress kPrefix6{0x20, 0x01, 0x0d, 0xb8};
inline WideAddress v6(be32 last) {
  WideAddress address = kPrefix6;
  store(address.data() + kPrefixBytes, last);
  return address;
}

inline constexpr Mac kDirectorMac{2, 0, 0, 0, 1, 1};
inline constexpr Mac kRouterMac{2, 0, 0, 0, 9, 254};
inline constexpr Mac server_mac(unsigned server) {
  return {2, 0, 0, 0, 8, static_cast<uint8_t>(server)};
}

inline constexpr be32 kVip = v4(203, 0, 113, 10);
inline constexpr be16 kVport = to_be(uint16_t{80});
inline constexpr be32 kRouter = v4(192, 0, 2, 254);
inline constexpr be32 kFrontAddress = v4(192, 0, 2, 1);
inline constexpr be32 kDip = v4(198, 51, 100, 1);

inline constexpr unsigned kServers = 16;
inline constexpr be16 kRport = to_be(uint16_t{8080});
inline constexpr be32 server(unsigned i) {
  return v4(198, 51, 100, static_cast<uint8_t>(11 + i));
}
inline constexpr unsigned server_of(be32 address) {
  return (from_be(address) & 0xff) - 11;
}

inline constexpr unsigned kMostLocals = 239;
inline constexpr be32 local(unsigned i) {
  return v4(203, 0, 113, static_cast<uint8_t>(16 + i));
}
inline constexpr unsigned local_of(be32 address) {
  return (from_be(address) & 0xff) - 16;
}
// A local address has 64 512 ports towards each server; filled to at most 95 %.
inline constexpr uint32_t kPerLocal = kServers * 61'200u;
inline constexpr unsigned locals_for(uint32_t flows) {
  return std::max(2u, static_cast<unsigned>(flows / kPerLocal + 1));
}
inline constexpr uint32_t kMostConnections = (kMostLocals - 1) * kPerLocal;

// 198.18.0.0/15 and ports from 1024.
inline constexpr unsigned kClientBits = 17;
inline constexpr uint32_t kMostFlows = 20'000'000;
inline constexpr be32 client(uint32_t flow) {
  return to_be((uint32_t{198} << 24 | uint32_t{18} << 16) + (flow & ((1u << kClientBits) - 1)));
}
inline constexpr be16 client_port(uint32_t flow) {
  return to_be(static_cast<uint16_t>(1024 + (flow >> kClientBits)));
}
static_assert(locals_for(kMostFlows) <= kMostLocals);
static_assert((kMostFlows >> kClientBits) < 64'512);

}  // namespace sluice::bench::plan
