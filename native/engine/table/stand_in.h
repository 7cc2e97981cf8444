// What stands for an IPv6 server in an IPv4 connection's record, which has no room for its address
// (TUN, IPv4 in IPv6): an address of this network (RFC 1122 section 3.2.1.3), which nobody has. The
// same on every director, so that two that tell each other of connections mean the same server.
#pragma once

#include "../types.h"
#include "hash.h"

namespace sluice {

// Never 0. Two servers may share one: the record's slot tells them apart.
inline be32 stand_in(const WideAddress& a) {
  const auto hash = static_cast<uint32_t>(mum(load<uint64_t>(a.data()) ^ 0x9e3779b97f4a7c15u,
                                              load<uint64_t>(a.data() + 8) ^ 0xbf58476d1ce4e5b9u));
  constexpr uint32_t kFirstByte = 0xff;  // on the wire
  return hash <= kFirstByte ? kFirstByte + 1 : hash & ~kFirstByte;
}

inline bool is_stand_in(be32 address) {
  return (address & 0xff) == 0 && address != 0;
}

}  // namespace sluice
