// NAT (Masq): the destination becomes the real server, the reply's source the virtual service.
#pragma once

#include "mode.h"

namespace sluice::mode::nat {

// The tuple its replies arrive with: local is the client itself.
inline void prepare(Connection<V4>& c) {
  c.laddr = c.caddr;
  c.lport = c.cport;
  keep_deltas(c);
}

inline void request(net::Ipv4* ip, uint8_t* l4, uint16_t l4_bytes, const Connection<V4>& c) {
  translate_any(ip, l4, l4_bytes, c, Direction::request);
}
inline void reply(net::Ipv4* ip, uint8_t* l4, uint16_t l4_bytes, const Connection<V4>& c) {
  translate_any(ip, l4, l4_bytes, c, Direction::reply);
}

}  // namespace sluice::mode::nat
