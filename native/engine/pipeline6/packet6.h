// An IPv6 packet on its way through the stages.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "../net/headers.h"
#include "../net/ipv6.h"
#include "../pipeline/packet.h"
#include "../table/connection.h"
#include "../table/connection_table.h"

namespace sluice {

using Table6 = ConnectionTable<V6>;

struct Packet6 {
  rte_mbuf* mbuf;
  net::Ipv6* ip;
  uint8_t* l4;        // behind the extension headers
  uint16_t l4_bytes;  // to the end of the packet
  uint16_t port;      // index of the port it arrived on
  uint8_t protocol;   // of l4
  bool handed_off;    // came from another worker
  bool became_whole;  // of fragments, here
  Concern concern;
  uint8_t quote_depth;  // icmp_error: 1 if the quote is a tunnelled packet
  uint8_t quoted_protocol;
  uint16_t fragment_bytes;  // came in fragments, the largest of which was so long; 0: it did not
  uint32_t source;          // mbuf->hash.fdir.hi on arrival
  uint32_t candidate;       // record << 1 | direction by tag alone, or kNone
  uint32_t next_at;         // offset, from ip, of the next-header field that says `protocol`
  net::Ipv6* quoted;  // icmp_error: the header of the quoted packet, the inner one of a tunnel's
  uint8_t* quoted_l4;
  FlowKey<V6> key;
  uint64_t hash;

  net::Ethernet* ethernet() const {
    return reinterpret_cast<net::Ethernet*>(reinterpret_cast<uint8_t*>(ip) - sizeof(net::Ethernet));
  }
  net::Tcp* tcp() const { return reinterpret_cast<net::Tcp*>(l4); }
  net::Udp* udp() const { return reinterpret_cast<net::Udp*>(l4); }
  net::Sctp* sctp() const { return reinterpret_cast<net::Sctp*>(l4); }
  net::Icmp* icmp() const { return reinterpret_cast<net::Icmp*>(l4); }
  // With the header, as MTUs and counters have it.
  uint16_t total_length() const {
    return static_cast<uint16_t>(from_be(ip->payload) + sizeof(net::Ipv6));
  }
  uint8_t* end() const { return reinterpret_cast<uint8_t*>(ip) + total_length(); }
};

}  // namespace sluice
