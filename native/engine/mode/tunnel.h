// TUN (Tunnel): the untouched packet inside an outer one to the real server. IPIP (RFC 2003) here.
#pragma once

#include "mode.h"

namespace sluice::mode::tunnel {

inline constexpr unsigned kIpipBytes = 20;

// Writes the outer header at `outer` (kIpipBytes right before the inner one, whose TTL has been
// lowered). Fields as Linux has them: TTL of the inner packet, DSCP copied, CE turned to ECT(0),
// DF copied; `id` is used where DF is clear (RFC 6864 section 4.1).
inline void encapsulate(uint8_t* outer, const net::Ipv4& inner, be32 source, be32 destination,
                        be16 id) {
  auto* ip = reinterpret_cast<net::Ipv4*>(outer);
  ip->version_ihl = 0x45;
  ip->tos = (inner.tos & 3) == 3 ? static_cast<uint8_t>((inner.tos & ~3) | 2) : inner.tos;
  ip->total_length = to_be(static_cast<uint16_t>(from_be(inner.total_length) + kIpipBytes));
  ip->id = inner.dont_fragment() ? 0 : id;
  ip->fragment = inner.fragment & net::kDontFragment;
  ip->ttl = inner.ttl;
  ip->protocol = kIpip;
  ip->source = source;
  ip->destination = destination;
  net::set_ip_checksum(*ip);
}

}  // namespace sluice::mode::tunnel
