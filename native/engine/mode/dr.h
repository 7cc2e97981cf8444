// DR (Route): the packet as it is, to the real server's MAC; routed, so the TTL falls.
#pragma once

#include "mode.h"

namespace sluice::mode::dr {

inline void request(net::Ipv4* ip) {
  net::decrement_ttl(*ip);
}

}  // namespace sluice::mode::dr
