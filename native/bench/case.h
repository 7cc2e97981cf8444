// What one measurement is of, as the command line names it.
#pragma once

#include <string>

#include "engine/types.h"
#include "json.h"
#include "options.h"

namespace sluice::bench {

enum class Traffic : uint8_t { request, reply, mixed };

// Frame sizes are Ethernet's own, the 4 bytes of FCS included (RFC 1242 section 3.5): a frame of 64
// has 60 bytes in memory. In IPv6 UDP's shortest is 66 and TCP's 78: a case of 64 means these.
inline constexpr unsigned kFcs = 4;
inline constexpr unsigned kImix = 0;  // 7 of 64, 4 of 594, 1 of 1518

struct Case {
  Mode mode = Mode::fullnat;
  uint8_t protocol = kUdp;
  unsigned family = 4;
  uint32_t flows = 1000;
  unsigned bytes = 64;  // kImix: the mix
  Traffic traffic = Traffic::request;

  // Real server's replies pass the director.
  bool sees_replies() const { return mode == Mode::nat || mode == Mode::fullnat; }
  // The director tells the real server who the client is; UDP over IPv6 has no option for it.
  bool tells_client() const {
    return (mode == Mode::fullnat || mode == Mode::enat) && (family == 4 || protocol == kTcp);
  }
  std::string name() const;  // fullnat/udp/request/1000/64, IPv6 with /6 behind it
};

const char* name_of(Mode mode);
const char* name_of(Traffic traffic);

// Each throws ERR_BENCH_ARGUMENT with what it would have taken.
Mode mode_of(const std::string& text);
uint8_t protocol_of(const std::string& text);
Traffic traffic_of(const std::string& text);
unsigned bytes_of(const std::string& text);
unsigned family_of(const std::string& text);
// mode/protocol/direction[/flows[/bytes[/family]]]
Case case_of(const std::string& text);
// --mode, --protocol, --family, --flows, --bytes, --direction.
Case case_of(Options& options);
// A case that can't be: replies that the director never sees, ENAT in IPv6, flows beyond the
// address plan.
void check(const Case& c);

// mode, protocol, family, flows, bytes, direction.
Json& add_case(Json& json, const Case& c);

}  // namespace sluice::bench
