// What TUN may put between an outer IP header and a packet: GRE, or UDP and GUE.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../types.h"
#include "headers.h"
#include "ipv6.h"

namespace sluice::net {

// RFC 2784 section 2; the checksum and the word behind it are there when kGreChecksum is set.
struct [[gnu::packed]] Gre {
  be16 flags;
  be16 protocol;  // an EtherType
};
static_assert(sizeof(Gre) == 4);
inline constexpr be16 kGreChecksum = to_be(uint16_t{0x8000});

// draft-ietf-intarea-gue-09 section 3.1, behind UDP.
struct [[gnu::packed]] Gue {
  uint8_t length;  // variant (2 bits), control (1), optional words (5)
  uint8_t protocol;
  be16 flags;
};
static_assert(sizeof(Gue) == 4);

// The IP protocol of what is inside a tunnel's IP payload, and where it begins; nullptr: no tunnel.
struct Inside {
  uint8_t* packet;
  uint8_t protocol;
};

// `l4` … `end`: an IP payload of `protocol`, as far as it is there. `is_gue`: whether UDP to a port
// is GUE of ours, which nothing in the packet tells.
template <class IsGue>
inline Inside look_inside(uint8_t protocol, uint8_t* l4, const uint8_t* end, const IsGue& is_gue) {
  constexpr Inside kNothing{nullptr, 0};
  const auto here = static_cast<size_t>(end - l4);
  switch (protocol) {
    case kIpip:
    case kIpv6InIp:
      return {l4, protocol};
    case kGre: {
      if (here < sizeof(Gre)) return kNothing;
      const auto gre = load<Gre>(l4);
      const bool checked = gre.flags == kGreChecksum;
      if (!checked && gre.flags != 0) return kNothing;
      const size_t bytes = sizeof gre + (checked ? 4 : 0);
      if (here < bytes) return kNothing;
      if (gre.protocol == kEtherIpv4) return {l4 + bytes, kIpip};
      if (gre.protocol == kEtherIpv6) return {l4 + bytes, kIpv6InIp};
      return kNothing;
    }
    case kUdp: {
      if (here < sizeof(Udp) + sizeof(Gue)) return kNothing;
      if (!is_gue(reinterpret_cast<const Udp*>(l4)->destination)) return kNothing;
      const auto gue = load<Gue>(l4 + sizeof(Udp));
      const size_t bytes = sizeof(Udp) + sizeof gue + (gue.length & 0x1fu) * 4;
      if ((gue.length & 0xe0) != 0 || here < bytes) return kNothing;
      return {l4 + bytes, gue.protocol};
    }
    default:
      return kNothing;
  }
}

}  // namespace sluice::net
