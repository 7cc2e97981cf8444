// ICMP errors about a tunnel between families, in the other family's words (RFC 7915 sections 4.2
// and 5.2): type and code. What has no counterpart is told to nobody.
#pragma once

#include <cstdint>
#include <optional>

#include "headers.h"
#include "ipv6.h"

namespace sluice::net {

inline constexpr uint8_t kErrorHops = 64;  // TTL, hop limit

struct IcmpKind {
  uint8_t type, code;
};

inline std::optional<IcmpKind> in_icmp6(IcmpKind four) {
  if (four.type == kTimeExceeded) return IcmpKind{kTimeExceeded6, four.code};
  if (four.type != kUnreachable) return std::nullopt;
  switch (four.code) {
    case 2:  // protocol: the pointer of a parameter problem would have to say where it stood
      return std::nullopt;
    case 3:
      return IcmpKind{kUnreachable6, 4};
    case 4:
      return IcmpKind{kTooBig6, 0};
    case 9:
    case 10:
    case 13:
    case 15:
      return IcmpKind{kUnreachable6, 1};
    default:
      return IcmpKind{kUnreachable6, 0};
  }
}

inline std::optional<IcmpKind> in_icmp4(IcmpKind six) {
  switch (six.type) {
    case kTooBig6:
      return IcmpKind{kUnreachable, 4};
    case kTimeExceeded6:
      return IcmpKind{kTimeExceeded, six.code};
    case kUnreachable6:
      return IcmpKind{kUnreachable, six.code == 1   ? uint8_t{10}
                                    : six.code == 4 ? uint8_t{3}
                                                    : uint8_t{1}};
    default:
      return std::nullopt;
  }
}

}  // namespace sluice::net
