// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the BPF programs and the agent that loads them both know. Plain C, no kernel internals.
#pragma once

#include <linux/types.h>

#include "counters.h"

#define SLUICE_RS_MODE_TUN 1u
#define SLUICE_RS_MODE_TOA 2u
#define SLUICE_RS_MODE_ENAT 4u

// Always 16 bytes, IPv4 as ::ffff:a.b.c.d, so that IPv6 needs no new map layout.
struct sluice_rs_address {
  __be32 words[4];
};

struct sluice_rs_config {
  // Cgroup hooks run for every namespace on the machine; this one's sockets alone are ours.
  __u64 netns_cookie;
  // A flow that rests longer is another flow when it comes back without an option (ns).
  __u64 tcp_idle;
  __u64 udp_idle;
  __u32 modes;
  __u8 toa_kind;
  __u8 pad[3];
};

// Key of `directors`, a longest-prefix trie: bits of a 16-byte address, so IPv4 counts from 96.
struct sluice_rs_prefix {
  __u32 length;
  struct sluice_rs_address address;
};

// A flow as one side of this machine sees it. In `flows`: remote is what the director sends from
// (LIP:lport or VIP:lport); in `reverse`: remote is what the server's sockets see.
struct sluice_rs_flow_key {
  struct sluice_rs_address remote;
  struct sluice_rs_address local;
  __be16 remote_port;
  __be16 local_port;
  __u8 protocol;
  __u8 pad[3];
};

enum sluice_rs_kind {
  SLUICE_RS_KIND_TOA = 1,   // FullNAT TCP: nothing rewritten, getpeername answers
  SLUICE_RS_KIND_UOA = 2,   // FullNAT UDP: source rewritten, replies go back to the LIP
  SLUICE_RS_KIND_ENAT = 3,  // source rewritten, replies leave as VIP:vport
  SLUICE_RS_KIND_TUN = 4    // remote CIP:cport, local VIP:vport: the SYN-ACK's MSS is lowered
};

#define SLUICE_RS_FIN_IN 1
#define SLUICE_RS_FIN_OUT 2
#define SLUICE_RS_RST 4

struct sluice_rs_flow {
  struct sluice_rs_address client;
  struct sluice_rs_address vip;  // all zero unless ENAT
  __be16 client_port;
  __be16 vport;
  __be16 seen_port;  // the client's port as the server sees it; differs after a collision
  __u8 kind;
  __u8 closing;
  __u64 last_seen;  // ns, about a second coarse
  __u32 interface;  // where the director's packets come in
  __u32 pad;
};

// Later fragments carry no ports: what the first one of the packet got.
struct sluice_rs_fragment_key {
  struct sluice_rs_address source;
  struct sluice_rs_address destination;
  __be16 id;
  __u8 protocol;
  __u8 egress;
};

struct sluice_rs_fragment {
  struct sluice_rs_address address;
  __u32 interface;  // not 0: send towards the new destination over this interface
  __u8 source;      // 1: the source address changes, 0: the destination
  __u8 pad[3];
};

#ifdef __cplusplus
static_assert(sizeof(sluice_rs_address) == 16);
static_assert(sizeof(sluice_rs_flow_key) == 40);
static_assert(sizeof(sluice_rs_flow) == 56);
static_assert(sizeof(sluice_rs_fragment_key) == 36);
static_assert(sizeof(sluice_rs_config) == 32);
static_assert(sizeof(sluice_rs_prefix) == 20);
#else
_Static_assert(sizeof(struct sluice_rs_address) == 16, "address");
_Static_assert(sizeof(struct sluice_rs_flow_key) == 40, "flow key");
_Static_assert(sizeof(struct sluice_rs_flow) == 56, "flow");
_Static_assert(sizeof(struct sluice_rs_fragment_key) == 36, "fragment key");
_Static_assert(sizeof(struct sluice_rs_config) == 32, "config");
_Static_assert(sizeof(struct sluice_rs_prefix) == 20, "prefix");
#endif
