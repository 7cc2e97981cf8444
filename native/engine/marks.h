// Rules that give first packets a mark, whose service they then are for whatever their address and
// port: what a Linux director's netfilter does for IPVS. Of both families, addresses as on the
// boundary; looked at by first packets alone. The first rule that fits counts.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "table/hash.h"
#include "types.h"

namespace sluice {

inline constexpr uint8_t kAnyPort = 0xff;  // of the director: the packet may come by any

struct MarkRule {
  WideAddress destination, source;
  uint8_t destination_bits, source_bits;  // leading bits that count, of 128
  uint8_t protocol;                       // 0: TCP and UDP
  uint8_t port;                           // of the director, or kAnyPort
  uint16_t low, high;                     // destination ports
  uint32_t service;                       // slot; kNone: nothing has its mark
};

class MarkRules {
 public:
  void add(const MarkRule& rule);

  bool empty() const { return rules_.empty(); }
  const std::vector<MarkRule>& all() const { return rules_; }
  bool has_networks() const { return !networks_.empty(); }
  // nullptr: none fits. `port`: that the packet came by; kAnyPort: not known.
  const MarkRule* find(const WideAddress& source, const WideAddress& destination,
                       be16 destination_port, uint8_t protocol, uint8_t port) const;
  // A rule for a whole network has the address.
  bool covers(const WideAddress& destination) const;

 private:
  struct Hash {
    size_t operator()(const WideAddress& a) const {
      return mum(load<uint64_t>(a.data()) ^ 0x9e3779b97f4a7c15u,
                 load<uint64_t>(a.data() + 8) ^ 0xbf58476d1ce4e5b9u);
    }
  };

  std::vector<MarkRule> rules_;
  std::unordered_map<WideAddress, std::vector<uint32_t>, Hash> by_address_;  // indices into rules_
  std::vector<uint32_t> networks_;                                           // the same
};

// IPv4 as ::ffff:a.b.c.d.
inline WideAddress widened(be32 v4) {
  WideAddress wide{};
  wide[10] = wide[11] = 0xff;
  store(wide.data() + 12, v4);
  return wide;
}

}  // namespace sluice
