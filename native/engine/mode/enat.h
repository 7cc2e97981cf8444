// ENAT (triangle): the request as FullNAT's, with the virtual address told as well; the real
// server's agent sends the reply straight to the client, so only ICMP errors come back here.
#pragma once

#include "fullnat.h"

namespace sluice::mode::enat {

inline void prepare(Connection<V4>& c) {
  fullnat::prepare(c);
}
inline void request(net::Ipv4* ip, uint8_t* l4, uint16_t l4_bytes, const Connection<V4>& c) {
  fullnat::request(ip, l4, l4_bytes, c);
}

// UDP: the agent may have lost its state, and never tells: the options are repeated.
inline constexpr unsigned kRepeatEvery = 32;  // client packets
inline bool repeats(const Connection<V4>& c) {
  return c.packets % kRepeatEvery == 0;
}
// Of FullNAT's and ENAT's UDP, whose first packets carry the client's address: one more. It comes
// to every multiple again, and never to the first ones.
inline void count_packet(Connection<V4>& c) {
  c.packets =
      c.packets == UINT8_MAX ? UINT8_MAX + 1 - kRepeatEvery : static_cast<uint8_t>(c.packets + 1);
}

}  // namespace sluice::mode::enat
