// A packet on its way through the stages, and the burst it came with.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "../net/headers.h"
#include "../table/connection.h"
#include "../table/connection_table.h"

namespace sluice {

// What the next stage has to do with a packet.
enum class Concern : uint8_t {
  ended,       // has reached its end
  flow,        // TCP, UDP or SCTP: `key` and `hash` are set
  icmp_error,  // quotes a packet: key and hash are the reverse of the quoted packet's
  other        // IPv4, ours or the kernel's by destination alone
};

using Table = ConnectionTable<V4>;

struct Packet {
  // What a plain packet, as nearly all are, needs until it is forwarded: a cache line.
  net::Ipv4* ip;
  // Stage 1: the home bucket of its key. Only a plain packet has one: any other has the empty
  // bucket, so that stage 3 finds nothing ahead of its turn.
  const Table::Bucket* bucket;
  // Stage 3: the record that its tag names, or one that is no connection's.
  Connection<V4>* record;
  uint64_t hash;
  FlowKey<V4> key;
  uint32_t candidate;  // record << 1 | direction by tag alone, or kNone
  uint16_t ip_bytes;   // of a plain packet, with the IP header

  // The rest, which unfold() sets for a plain packet that takes the full way after all.
  Concern concern;
  uint8_t quote_depth;      // icmp_error: 1 if the quote is a tunnelled packet
  uint16_t port;            // index of the port it arrived on
  uint16_t l4_bytes;        // of the IP payload
  uint16_t fragment_bytes;  // came in fragments of at most this IP length; 0: came whole
  uint8_t* l4;
  rte_mbuf* mbuf;
  net::Ipv4* quoted;  // icmp_error: the quoted packet's header (the inner one when tunnelled)
  uint32_t source;    // mbuf->hash.fdir.hi on arrival, beside the RSS hash

  net::Ethernet* ethernet() const {
    return reinterpret_cast<net::Ethernet*>(reinterpret_cast<uint8_t*>(ip) - sizeof(net::Ethernet));
  }
  net::Tcp* tcp() const { return reinterpret_cast<net::Tcp*>(l4); }
  net::Udp* udp() const { return reinterpret_cast<net::Udp*>(l4); }
  net::Sctp* sctp() const { return reinterpret_cast<net::Sctp*>(l4); }
  net::Icmp* icmp() const { return reinterpret_cast<net::Icmp*>(l4); }
  uint16_t total_length() const { return from_be(ip->total_length); }
  bool is_plain() const { return bucket != Table::empty_bucket(); }
};

// Set where one worker sends a packet on to another that has its connection (sync/worker.cc), in a
// field that is nobody else's between receiving and freeing.
inline bool went_by_signpost(const rte_mbuf* mbuf) {
  return mbuf->vlan_tci_outer == UINT16_MAX;
}
inline void set_went_by_signpost(rte_mbuf* mbuf) {
  mbuf->vlan_tci_outer = UINT16_MAX;
}

// Packets that go through the stages together: part of a burst.
struct Group {
  Packet* packets;
  rte_mbuf** mbufs;  // theirs, as they came
  uint16_t n;
  uint16_t port;    // where they arrived; when handed off each mbuf says so
  bool handed_off;  // came from another worker: already counted as received, and ours
};

// Groups follow one another through the stages, one group parsing while the one before it looks up
// and the one before that is forwarded. A burst then has some 32 misses on their way at once: more
// than L1 keeps account of, see prefetch_far.
inline constexpr uint16_t kGroup = 16;
// A record is asked for twice: far ahead, which the processor may ignore, and into L1 this many
// packets before its own. Eight that have to come from memory are what L1 takes without a jam.
inline constexpr uint16_t kRecordsAhead = 8;

}  // namespace sluice
