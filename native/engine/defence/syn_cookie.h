// SYN cookies (RFC 4987 section 3.6): the sequence number a SYN is answered with says all that has
// to be known of it, so that nothing is kept until the client has acknowledged it.
//
//   31 … 8  SipHash-2-4 of addresses, ports, the client's sequence number, the period, and bits 7…0
//    7 … 5  MSS, a class of kClasses rounded down
//    4 … 1  window scale, 15: none
//        0  SACK permitted
//
// A cookie holds for the rest of its period and for the next one. Who has not seen the SYN-ACK has
// to guess 24 bits, and has won a connection to a real server then, as if he had not spoofed.
#pragma once

#include <optional>
#include <type_traits>

#include "../net/siphash.h"
#include "../net/tcp_syn.h"
#include "../table/connection.h"
#include "../table/hash.h"

namespace sluice {

template <class Family>
class SynCookies {
 public:
  static constexpr unsigned kPeriodShift = 16;  // of milliseconds: 65.5 s

  // `seed`: the director's, as any of its workers may get the client's answer; or that of two, one
  // of which may take over from the other. `base_ms` and the worker's clock together are a time
  // that all of them agree about.
  SynCookies(uint64_t seed, uint64_t base_ms)
      : k0_(mix64(seed)), k1_(mix64(seed)), base_ms_(base_ms) {}

  // `client`: as in the SYN. Sequence numbers are in host order.
  uint32_t make(const TupleOf<Family>& client, uint32_t client_isn, const net::SynOffer& offer,
                uint64_t now_ms) const {
    return sealed(client, client_isn, bits_of(offer), period_at(now_ms));
  }
  // What the SYN had offered. Nothing: no cookie of ours for this flow, or too old.
  std::optional<net::SynOffer> read(const TupleOf<Family>& client, uint32_t client_isn,
                                    uint32_t cookie, uint64_t now_ms) const {
    const auto bits = static_cast<uint8_t>(cookie);
    const uint64_t period = period_at(now_ms);
    if (sealed(client, client_isn, bits, period) != cookie &&
        sealed(client, client_isn, bits, period - 1) != cookie) {
      return std::nullopt;
    }
    return offer_of(cookie);
  }
  // Of a cookie that is known to be good.
  static net::SynOffer offer_of(uint32_t cookie) {
    return {kClasses[cookie >> 5 & 7], static_cast<uint8_t>(cookie >> 1 & 15), (cookie & 1) != 0};
  }

 private:
  static constexpr bool kSix = std::is_same_v<Family, V6>;
  // What links have in common, tunnels and jumbo frames included.
  static constexpr uint16_t kClasses[8] = {64,
                                           536,
                                           1220,
                                           kSix ? 1280 : 1300,
                                           kSix ? 1360 : 1380,
                                           kSix ? 1420 : 1440,
                                           kSix ? 1440 : 1460,
                                           kSix ? 8940 : 8960};
  // RFC 9293 section 3.7.1: of a SYN that doesn't say.
  static constexpr uint16_t kDefaultMss = kSix ? 1220 : 536;

  uint64_t period_at(uint64_t now_ms) const { return (base_ms_ + now_ms) >> kPeriodShift; }
  static uint8_t bits_of(const net::SynOffer& offer) {
    const uint16_t mss = offer.mss == 0 ? kDefaultMss : offer.mss;
    unsigned place = 7;
    while (place > 0 && kClasses[place] > mss) --place;
    return static_cast<uint8_t>(place << 5 | offer.scale << 1 | (offer.sack ? 1 : 0));
  }
  uint32_t sealed(const TupleOf<Family>& client, uint32_t client_isn, uint8_t bits,
                  uint64_t period) const {
    net::SipState state(k0_, k1_);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&client);
    constexpr size_t kPorts = offsetof(TupleOf<Family>, source_port);
    static_assert(kPorts % 8 == 0);
    for (size_t at = 0; at < kPorts; at += 8) state.take(load<uint64_t>(bytes + at), 2);
    state.take(uint64_t{client_isn} << 32 | load<uint32_t>(bytes + kPorts), 2);
    state.take(period << 8 | bits, 2);
    state.v2 ^= 0xff;
    state.rounds(4);
    return (static_cast<uint32_t>(state.result()) & ~uint32_t{0xff}) | bits;
  }

  uint64_t k0_, k1_, base_ms_;
};

}  // namespace sluice
