#include "case.h"

#include <sstream>
#include <vector>

#include "addresses.h"
#include "engine/error.h"

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
         (bytes == kImix ? "imix" : std::to_string(bytes));
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

uint64_t number_of(const std::string& option, const std::string& text, uint64_t least,
                   uint64_t most) {
  size_t used = 0;
  uint64_t value = 0;
  try {
    value = std::stoull(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size() || text[0] == '-' || value < least || value > most) {
    refuse(option + " '" + text + "': a number from " + std::to_string(least) + " to " +
           std::to_string(most));
  }
  return value;
}

unsigned bytes_of(const std::string& text) {
  if (text == "imix") return kImix;
  return static_cast<unsigned>(number_of("bytes", text, 64, 1518));
}

Case case_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, '/');) words.push_back(word);
  if (words.size() < 3 || words.size() > 5) {
    refuse("case '" + text + "': mode/protocol/direction[/flows[/bytes]]");
  }
  Case c;
  c.mode = mode_of(words[0]);
  c.protocol = protocol_of(words[1]);
  c.traffic = traffic_of(words[2]);
  if (words.size() > 3) {
    c.flows = static_cast<uint32_t>(number_of("flows", words[3], 1, plan::kMostFlows));
  }
  if (words.size() > 4) c.bytes = bytes_of(words[4]);
  check(c);
  return c;
}

void check(const Case& c) {
  if (c.traffic != Traffic::request && !c.sees_replies()) {
    refuse(std::string("direction ") + name_of(c.traffic) + ": with " + name_of(c.mode) +
           " the director sees requests only");
  }
  if (c.flows == 0 || c.flows > plan::kMostFlows) {
    refuse("flows: 1 to " + std::to_string(plan::kMostFlows));
  }
}

}  // namespace sluice::bench
