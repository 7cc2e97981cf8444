#include "marks.h"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

constexpr unsigned kAllBits = 128;

bool is_in(const WideAddress& address, const WideAddress& network, unsigned bits) {
  const unsigned bytes = bits / 8, rest = bits % 8;
  if (std::memcmp(address.data(), network.data(), bytes) != 0) return false;
  return rest == 0 || ((address[bytes] ^ network[bytes]) >> (8 - rest)) == 0;
}

bool is_of(uint8_t wanted, uint8_t protocol) {
  return wanted == 0 ? protocol != kSctp : protocol == wanted;
}

}  // namespace

void MarkRules::add(const MarkRule& rule) {
  const auto index = static_cast<uint32_t>(rules_.size());
  rules_.push_back(rule);
  if (rule.destination_bits == kAllBits) {
    by_address_[rule.destination].push_back(index);
  } else {
    networks_.push_back(index);
  }
}

const MarkRule* MarkRules::find(const WideAddress& source, const WideAddress& destination,
                                be16 destination_port, uint8_t protocol, uint8_t port) const {
  const uint16_t number = from_be(destination_port);
  auto first_of = [&](const std::vector<uint32_t>& candidates) {
    for (const uint32_t index : candidates) {
      const MarkRule& rule = rules_[index];
      if (number < rule.low || number > rule.high) continue;
      if (!is_of(rule.protocol, protocol)) continue;
      if (rule.port != kAnyPort && rule.port != port) continue;
      if (!is_in(source, rule.source, rule.source_bits)) continue;
      if (is_in(destination, rule.destination, rule.destination_bits)) return index;
    }
    return kNone;
  };
  const auto own = by_address_.find(destination);
  const uint32_t narrow = own == by_address_.end() ? kNone : first_of(own->second);
  const uint32_t first = std::min(narrow, first_of(networks_));
  return first == kNone ? nullptr : &rules_[first];
}

bool MarkRules::covers(const WideAddress& destination) const {
  return std::ranges::any_of(networks_, [&](uint32_t index) {
    return is_in(destination, rules_[index].destination, rules_[index].destination_bits);
  });
}

}  // namespace sluice
