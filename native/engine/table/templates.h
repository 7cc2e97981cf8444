// Persistence templates of one worker: which real server a client's network goes to, service by
// service, for some time after its last new connection and for as long as it has one. Nothing
// visits them: what has run out is not found any more, and its place is taken.
//
// Eight places a set, and a template lies in its set or nowhere, so first packets pay a bounded
// look. When a set is full the template without connections that would run out first gives way,
// else the first to run out of all: its client is scheduled anew.
#pragma once

#include <cstdint>

#include "../net/ipv6.h"
#include "../types.h"
#include "hash.h"
#include "memory.h"

namespace sluice {

// What of a client's address counts: of IPv4 `part` is a mask, which may have holes, of IPv6 a
// number of leading bits.
inline be32 network_of(be32 client, uint32_t part) {
  return client & part;
}
inline WideAddress network_of(const WideAddress& client, uint32_t part) {
  return net::masked(client, part);
}

template <class Family>
struct TemplateOf {
  typename Family::Address network;  // client, masked
  uint32_t part;                     // by which; see network_of()
  uint32_t service, server;          // slots
  uint32_t controlled;               // connections made by it and alive
  uint32_t told;                     // low half of the until_ms that the peer knows; 0: of none
  uint64_t until_ms;                 // worker's clock

  // An empty place never is.
  bool is_live(uint64_t now_ms) const { return controlled != 0 || until_ms > now_ms; }
};
static_assert(sizeof(TemplateOf<V4>) == 32, "two a line");
static_assert(sizeof(TemplateOf<V6>) == 48);

template <class Family>
class TemplatesOf {
  using Address = typename Family::Address;

 public:
  using Template = TemplateOf<Family>;
  // LVS looks again a minute after it has found a template in use.
  static constexpr uint64_t kAfterwardsMs = 60'000;

  TemplatesOf(uint32_t most, uint64_t seed)
      : sets_(most / kWays + 1), places_(uint64_t{sets_} * kWays), secret_(mix64(seed)) {}

  // nullptr: there is none, or it has run out.
  Template* find(const Address& network, uint32_t part, uint32_t service, uint64_t now_ms) {
    for (Template& one : set_of(network, service)) {
      if (is(one, network, part, service)) return one.is_live(now_ms) ? &one : nullptr;
    }
    return nullptr;
  }

  // The network's next connections to the service go to `server` for `ms`. `controls`: a connection
  // has been made of it, whose end is told by let_go().
  Template& keep(const Address& network, uint32_t part, uint32_t service, uint32_t server,
                 uint64_t now_ms, uint32_t ms, bool controls) {
    Template& one = place(network, part, service, now_ms);
    if (!is(one, network, part, service) || one.server != server || !one.is_live(now_ms)) {
      one = {network, part, service, server, 0, 0, 0};
    }
    one.until_ms = now_ms + ms;
    if (controls) ++one.controlled;
    return one;
  }

  // `ended_ms`: when the connection did.
  void let_go(const Address& network, uint32_t part, uint32_t service, uint32_t server,
              uint64_t ended_ms) {
    for (Template& one : set_of(network, service)) {
      if (is(one, network, part, service)) return let_go(one, server, ended_ms);
    }
  }
  void let_go(uint32_t place, uint32_t server, uint64_t ended_ms) {
    let_go(places_[place], server, ended_ms);
  }

  // What another director has told, with what is left of it: who has made the later connection is
  // right about the server. False: this worker knows better.
  bool adopt(const Address& network, uint32_t part, uint32_t service, uint32_t server,
             uint64_t now_ms, uint32_t left_ms) {
    const uint64_t until_ms = now_ms + left_ms;
    if (const Template* known = find(network, part, service, now_ms);
        known != nullptr && known->until_ms >= until_ms) {
      return false;
    }
    keep(network, part, service, server, now_ms, left_ms, false);
    find(network, part, service, now_ms)->told = static_cast<uint32_t>(until_ms);
    return true;
  }

  uint32_t places() const { return static_cast<uint32_t>(places_.size()); }
  const Template& operator[](uint32_t place) const { return places_[place]; }
  uint32_t place_of(const Template& one) const { return static_cast<uint32_t>(&one - &places_[0]); }
  void note_told(uint32_t place, uint64_t until_ms) {
    places_[place].told = static_cast<uint32_t>(until_ms);
  }

 private:
  static void let_go(Template& one, uint32_t server, uint64_t ended_ms) {
    // Of another server: the client has moved, and this connection was left behind.
    if (one.server != server || one.controlled == 0) return;
    if (--one.controlled == 0 && one.until_ms < ended_ms + kAfterwardsMs) {
      one.until_ms = ended_ms + kAfterwardsMs;
    }
  }
  static constexpr unsigned kWays = 8;
  struct Set {
    Template* first;
    Template* begin() const { return first; }
    Template* end() const { return first + kWays; }
  };

  static bool is(const Template& one, const Address& network, uint32_t part, uint32_t service) {
    return one.network == network && one.service == service && one.part == part;
  }
  uint64_t mixed(be32 network) const { return uint64_t{network} << 32; }
  uint64_t mixed(const WideAddress& network) const {
    return mum(load<uint64_t>(network.data()) ^ secret_,
               load<uint64_t>(network.data() + 8) ^ 0x9e3779b97f4a7c15u)
           << 32;
  }
  Set set_of(const Address& network, uint32_t service) {
    const uint64_t h = mum((mixed(network) | service) ^ secret_, 0x9e3779b97f4a7c15u);
    return {&places_[((h & 0xffffffffu) * sets_ >> 32) * kWays]};
  }
  Template& place(const Address& network, uint32_t part, uint32_t service, uint64_t now_ms) {
    Template* worst = nullptr;
    for (Template& one : set_of(network, service)) {
      if (is(one, network, part, service)) return one;
      if (worst == nullptr || gives_way(one, *worst, now_ms)) worst = &one;
    }
    return *worst;
  }
  static bool gives_way(const Template& a, const Template& b, uint64_t now_ms) {
    const bool live = a.is_live(now_ms);
    if (live != b.is_live(now_ms)) return !live;
    if ((a.controlled == 0) != (b.controlled == 0)) return a.controlled == 0;
    return a.until_ms < b.until_ms;
  }

  uint64_t sets_;
  TableMemory<Template> places_;
  uint64_t secret_;
};
using Templates = TemplatesOf<V4>;
using Templates6 = TemplatesOf<V6>;

}  // namespace sluice
