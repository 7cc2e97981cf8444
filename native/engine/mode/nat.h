// NAT (Masq): the destination becomes the real server, the reply's source the virtual service.
#pragma once

#include "mode.h"

namespace sluice::mode::nat {

inline Ends request_ends(const Connection<V4>& c) {
  return {c.caddr, c.raddr, c.cport, c.rport};
}
inline Ends reply_ends(const Connection<V4>& c) {
  return {c.vaddr, c.caddr, c.vport, c.cport};
}

// The tuple its replies arrive with.
inline void prepare(Connection<V4>& c) {
  c.laddr = c.caddr;
  c.lport = c.cport;
  keep_deltas(c, request_ends(c), reply_ends(c));
}

inline void request(net::Ipv4* ip, uint8_t* l4, uint16_t l4_bytes, const Connection<V4>& c) {
  translate(ip, l4, l4_bytes, request_ends(c), c.request_l4);
}
inline void reply(net::Ipv4* ip, uint8_t* l4, uint16_t l4_bytes, const Connection<V4>& c) {
  translate(ip, l4, l4_bytes, reply_ends(c), c.reply_l4);
}

}  // namespace sluice::mode::nat
