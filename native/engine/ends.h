// The ends of a packet as an enum and a table, from ends.def.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

enum class Kind : uint8_t { FORWARDED, ANSWERED, PUNTED, DROPPED };

enum class End : uint8_t {
#define END(kind, name, help) name,
#include "ends.def"
#undef END
};

struct EndInfo {
  Kind kind;
  const char* name;
  const char* help;
};

inline constexpr EndInfo kEnds[] = {
#define END(kind, name, help) {Kind::kind, #name, help},
#include "ends.def"
#undef END
};

inline constexpr size_t kEndCount = sizeof(kEnds) / sizeof(kEnds[0]);

constexpr Kind kind_of(End end) {
  return kEnds[static_cast<size_t>(end)].kind;
}

// Of a request, by Mode.
inline constexpr End kRequestEnds[] = {End::forwarded_nat, End::forwarded_dr, End::forwarded_tun,
                                       End::forwarded_fullnat, End::forwarded_enat};

}  // namespace sluice
