#include "case.h"

#include "addresses.h"
#include "engine/error.h"
#include "options.h"

namespace sluice::bench {
namespace {

constexpr const char* kModeNames[kModes] = {"nat", "dr", "tun", "fullnat", "enat"};
constexpr const char* kTrafficNames[] = {"request", "reply", "mixed"};

[[noreturn]] void refuse(const std::string& what) {
  throw Error("ERR_BENCH_ARGUMENT", what);
}

}  // namespace

const char* name_of(Mode mode) {
  return kModeNames[static_cast<unsigned>(mode)];
}
const char* name_of(Traffic traffic) {
  return kTrafficNames[static_cast<unsigned>(traffic)];
}

std::string Case::name() const {
  return std::string(name_of(mode)) + "/" + (protocol == kTcp ? "tcp" : "udp") + "/" +
         name_of(traffic) + "/" + std::to_string(flows) + "/" +
         (bytes == kImix ? "imix" : std::to_string(bytes)) + (family == 6 ? "/6" : "");
}

Mode mode_of(const std::string& text) {
  for (unsigned i = 0; i < kModes; ++i) {
    if (text == kModeNames[i]) return static_cast<Mode>(i);
  }
  refuse("mode '" + text + "': nat, dr, tun, fullnat or enat");
}

uint8_t protocol_of(const std::string& text) {
  if (text == "udp") return kUdp;
  if (text == "tcp") return kTcp;
  refuse("protocol '" + text + "': udp or tcp");
}

Traffic traffic_of(const std::string& text) {
  for (unsigned i = 0; i < 3; ++i) {
    if (text == kTrafficNames[i]) return static_cast<Traffic>(i);
  }
  refuse("direction '" + text + "': request, reply or mixed");
}

unsigned bytes_of(const std::string& text) {
  if (text == "imix") return kImix;
  return static_cast<unsigned>(number_of("bytes", text, 64, 1518));
}

unsigned family_of(const std::string& text) {
  if (text == "4") return 4;
  if (text == "6") return 6;
  refuse("family '" + text + "': 4 or 6");
}

Case case_of(const std::string& text) {
  const std::vector<std::string> words = split(text, '/');
  if (words.size() < 3 || words.size() > 6) {
    refuse("case '" + text + "': mode/protocol/direction[/flows[/bytes[/family]]]");
  }
  Case c;
  c.mode = mode_of(words[0]);
  c.protocol = protocol_of(words[1]);
  c.traffic = traffic_of(words[2]);
  if (words.size() > 3) {
    c.flows = static_cast<uint32_t>(number_of("flows", words[3], 1, plan::kMostFlows));
  }
  if (words.size() > 4) c.bytes = bytes_of(words[4]);
  if (words.size() > 5) c.family = family_of(words[5]);
  check(c);
  return c;
}

Case case_of(Options& options) {
  Case c;
  c.mode = mode_of(options.text("mode", name_of(c.mode)));
  c.protocol = protocol_of(options.text("protocol", "udp"));
  c.family = family_of(options.text("family", "4"));
  c.traffic = traffic_of(options.text("direction", name_of(c.traffic)));
  c.bytes = bytes_of(options.text("bytes", "64"));
  c.flows = static_cast<uint32_t>(options.number("flows", c.flows, 1, plan::kMostFlows));
  check(c);
  return c;
}

Json& add_case(Json& json, const Case& c) {
  json.add("mode", name_of(c.mode)).add("protocol", c.protocol == kTcp ? "tcp" : "udp");
  json.add("family", c.family).add("flows", c.flows);
  if (c.bytes == kImix) {
    json.add("bytes", "imix");
  } else {
    json.add("bytes", c.bytes);
  }
  return json.add("direction", name_of(c.traffic));
}

void check(const Case& c) {
  if (c.traffic != Traffic::request && !c.sees_replies()) {
    refuse(std::string("direction ") + name_of(c.traffic) + ": with " + name_of(c.mode) +
           " the director sees requests only");
  }
  if (c.family == 6 && c.mode == Mode::enat) refuse("mode enat: IPv4 only");
  if (c.flows == 0 || c.flows > plan::kMostFlows) {
    refuse("flows: 1 to " + std::to_string(plan::kMostFlows));
  }
}

}  // namespace sluice::bench
