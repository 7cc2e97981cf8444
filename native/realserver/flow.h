// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The agent's memory of flows: learning, port collisions, ageing.
//
// A collision: one client port talks over two VIPs to the same RIP:rport, so that both flows would
// be CIP:cport → RIP:rport to the server. The one that comes second is shown under a substitute
// port; replies get the real one back, and getpeername tells the real one.
#pragma once

#include "options.h"

#define SECOND 1000000000ull
#define PORT_TRIES 8

static __always_inline int same_address(const struct sluice_rs_address* a,
                                        const struct sluice_rs_address* b) {
  return a->words[0] == b->words[0] && a->words[1] == b->words[1] && a->words[2] == b->words[2] &&
         a->words[3] == b->words[3];
}

static __always_inline int same_key(const struct sluice_rs_flow_key* a,
                                    const struct sluice_rs_flow_key* b) {
  return same_address(&a->remote, &b->remote) && same_address(&a->local, &b->local) &&
         a->remote_port == b->remote_port && a->local_port == b->local_port &&
         a->protocol == b->protocol;
}

static __always_inline int same_flow(const struct sluice_rs_flow* a,
                                     const struct sluice_rs_flow* b) {
  return a->kind == b->kind && same_address(&a->client, &b->client) &&
         a->client_port == b->client_port && same_address(&a->vip, &b->vip) && a->vport == b->vport;
}

static __always_inline int rewrites(const struct sluice_rs_flow* flow) {
  return flow->kind == SLUICE_RS_KIND_UOA || flow->kind == SLUICE_RS_KIND_ENAT;
}

static __always_inline int rested(const struct sluice_rs_config* cfg,
                                  const struct sluice_rs_flow* flow, __u8 protocol, __u64 now) {
  return now - flow->last_seen > (protocol == IPPROTO_UDP ? cfg->udp_idle : cfg->tcp_idle);
}

static __always_inline int ended(const struct sluice_rs_flow* flow) {
  return (flow->closing & SLUICE_RS_RST) ||
         (flow->closing & (SLUICE_RS_FIN_IN | SLUICE_RS_FIN_OUT)) ==
             (SLUICE_RS_FIN_IN | SLUICE_RS_FIN_OUT);
}

// The flow as the server's sockets see it.
static __always_inline void seen_key(struct sluice_rs_flow_key* seen,
                                     const struct sluice_rs_flow_key* key,
                                     const struct sluice_rs_flow* flow, __be16 port) {
  *seen = *key;
  seen->remote = flow->client;
  seen->remote_port = port;
}

static __always_inline void forget(const struct sluice_rs_flow_key* key,
                                   const struct sluice_rs_flow* flow) {
  if (rewrites(flow)) {
    struct sluice_rs_flow_key seen;
    seen_key(&seen, key, flow, flow->seen_port);
    struct sluice_rs_flow_key* owner = bpf_map_lookup_elem(&reverse, &seen);
    if (owner && same_key(owner, key)) bpf_map_delete_elem(&reverse, &seen);
  }
  bpf_map_delete_elem(&flows, key);
}

// The order of substitutes follows from the flow alone, so that an agent that learns a flow anew
// (a director took it over, its record was pushed out) gives it the port the socket knows.
static __always_inline __be16 candidate_port(const struct sluice_rs_flow* flow, __u32 attempt) {
  if (attempt == 0) return flow->client_port;
  __u32 hash = flow->vip.words[3] ^ ((__u32)flow->client_port << 16 | flow->vport);
  hash = (hash ^ attempt) * 0x9e3779b1u;
  hash = (hash ^ hash >> 15) * 0x85ebca6bu;
  hash ^= hash >> 13;
  return bpf_htons(1024 + hash % (65536 - 1024));
}

// Whether the flow that owns a port keeps it. The same client and virtual service over another
// LIP:lport is the same flow, come anew or from another director.
static __always_inline int keeps_port(const struct sluice_rs_config* cfg,
                                      const struct sluice_rs_flow* owner,
                                      const struct sluice_rs_flow* flow, __u8 protocol, __u64 now) {
  if (ended(owner) || rested(cfg, owner, protocol, now)) return 0;
  return flow->kind != SLUICE_RS_KIND_ENAT || !same_flow(owner, flow);
}

static __always_inline __be16 claim_port(const struct sluice_rs_config* cfg,
                                         const struct sluice_rs_flow_key* key,
                                         const struct sluice_rs_flow* flow, __u64 now) {
  struct sluice_rs_flow_key seen;
  for (__u32 attempt = 0; attempt < PORT_TRIES; attempt++) {
    __be16 port = candidate_port(flow, attempt);
    seen_key(&seen, key, flow, port);
    struct sluice_rs_flow_key* owner = bpf_map_lookup_elem(&reverse, &seen);
    if (owner && !same_key(owner, key)) {
      struct sluice_rs_flow* other = bpf_map_lookup_elem(&flows, owner);
      if (other && other->seen_port == port && same_address(&other->client, &flow->client)) {
        if (keeps_port(cfg, other, flow, key->protocol, now)) continue;
        struct sluice_rs_flow_key old = *owner;
        bpf_map_delete_elem(&flows, &old);
      }
    }
    bpf_map_update_elem(&reverse, &seen, key, BPF_ANY);
    if (attempt > 0) count(SLUICE_RS_COLLISIONS);
    return port;
  }
  count(SLUICE_RS_COLLISION_DROPS);
  return 0;
}

// A write a second keeps both records young in their LRU lists, and brings the reverse one back
// should it have been pushed out while only requests came.
static __always_inline void touch(const struct sluice_rs_flow_key* key, struct sluice_rs_flow* flow,
                                  __u64 now) {
  if (now - flow->last_seen < SECOND) return;
  flow->last_seen = now;
  if (!rewrites(flow)) return;
  struct sluice_rs_flow_key seen;
  seen_key(&seen, key, flow, flow->seen_port);
  if (!bpf_map_lookup_elem(&reverse, &seen)) bpf_map_update_elem(&reverse, &seen, key, BPF_NOEXIST);
}

static __always_inline __u8 kind_told(const struct told* told, __u8 protocol) {
  if (told->has_vip) return SLUICE_RS_KIND_ENAT;
  return protocol == IPPROTO_TCP ? SLUICE_RS_KIND_TOA : SLUICE_RS_KIND_UOA;
}

enum belief { REFUSED, BELIEVED, WRONG };

// Who may tell: a director's address; a VIP as source is ENAT's own without local addresses.
static __always_inline enum belief judge(const struct sluice_rs_config* cfg,
                                         const struct told* told, __be32 source) {
  __u32 mode = told->has_vip ? SLUICE_RS_MODE_ENAT : SLUICE_RS_MODE_TOA;
  if (!(cfg->modes & mode) || !(is_director4(source) || (told->has_vip && is_vip4(source)))) {
    count(SLUICE_RS_OPTION_REFUSED);
    return REFUSED;
  }
  if (told->has_vip && !is_vip4(told->vip.address)) {
    count(SLUICE_RS_ENAT_NOT_VIP);
    return WRONG;
  }
  return BELIEVED;
}

// Makes or renews the flow that `told` describes; null: there is no port for it.
static __always_inline struct sluice_rs_flow* learn(const struct sluice_rs_config* cfg,
                                                    const struct sluice_rs_flow_key* key,
                                                    const struct told* told, __u32 interface,
                                                    __u64 now) {
  struct sluice_rs_flow fresh = {
      .client_port = told->client.port,
      .seen_port = told->client.port,
      .kind = kind_told(told, key->protocol),
      .last_seen = now,
      .interface = interface,
  };
  map4(&fresh.client, told->client.address);
  if (told->has_vip) {
    map4(&fresh.vip, told->vip.address);
    fresh.vport = told->vip.port;
  }
  struct sluice_rs_flow* old = bpf_map_lookup_elem(&flows, key);
  if (old) {
    if (same_flow(old, &fresh)) {
      old->closing = 0;
      old->interface = interface;
      touch(key, old, now);
      return old;
    }
    forget(key, old);
  }
  if (rewrites(&fresh)) {
    fresh.seen_port = claim_port(cfg, key, &fresh, now);
    if (fresh.seen_port == 0) return 0;
  }
  bpf_map_update_elem(&flows, key, &fresh, BPF_ANY);
  if (fresh.kind == SLUICE_RS_KIND_TOA)
    count(SLUICE_RS_TOA_LEARNED);
  else if (fresh.kind == SLUICE_RS_KIND_UOA)
    count(SLUICE_RS_UOA_LEARNED);
  else
    count(SLUICE_RS_ENAT_LEARNED);
  return bpf_map_lookup_elem(&flows, key);
}

static __always_inline void note_end(struct sluice_rs_flow* flow, __u8 tcp_flags, __u8 fin) {
  if (tcp_flags & TCP_RST) flow->closing |= SLUICE_RS_RST;
  if (tcp_flags & TCP_FIN) flow->closing |= fin;
}
