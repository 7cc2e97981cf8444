// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// ICMP errors quote a packet by the addresses it had where the error was made. For flows that are
// rewritten here that is the director's side of the rewriting, and the kernel knows the other:
//   in:  quotes RIP:rport → LIP:lport, becomes RIP:rport → CIP:port, so that path MTU discovery and
//        port-unreachable reach the socket;
//   out: quotes CIP:port → RIP:rport; for the director (UDP over FullNAT) it becomes
//        LIP:lport → RIP:rport, for the client (ENAT) CIP:cport → VIP:vport from the VIP.
#pragma once

#include "flow.h"
#include "rewrite.h"

#define ICMP_UNREACHABLE 3
#define ICMP_QUENCH 4
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER 12

struct quoted {
  struct iphdr ip;
  struct ports ports;
  __u32 at;   // of the quoted IP header
  __u32 l4;   // of the quoted transport header
  __u32 sum;  // of the ICMP checksum
};

static __always_inline int read_quoted(struct __sk_buff* skb, const struct packet* p,
                                       struct quoted* q) {
  __u8 type;
  if (bpf_skb_load_bytes(skb, p->l4, &type, 1) < 0) return 0;
  if (type != ICMP_UNREACHABLE && type != ICMP_QUENCH && type != ICMP_TIME_EXCEEDED &&
      type != ICMP_PARAMETER)
    return 0;
  q->sum = p->l4 + 2;
  q->at = p->l4 + 8;
  if (!read_ip(skb, q->at, &q->ip)) return 0;
  if (q->ip.protocol != IPPROTO_TCP && q->ip.protocol != IPPROTO_UDP) return 0;
  if (bpf_ntohs(q->ip.frag_off) & IP_OFFSET) return 0;
  q->l4 = q->at + q->ip.ihl * 4;
  return bpf_skb_load_bytes(skb, q->l4, &q->ports, sizeof(q->ports)) == 0;
}

// The ICMP checksum covers the quotation, so each changed word is told to it. Nothing here is in a
// pseudo-header of this packet: no BPF_F_PSEUDO_HDR.
static __always_inline int replace16(struct __sk_buff* skb, const struct quoted* q, __u32 at,
                                     __be16 from, __be16 to) {
  if (from == to) return 0;
  if (bpf_l4_csum_replace(skb, q->sum, from, to, 2) < 0) return -1;
  return bpf_skb_store_bytes(skb, at, &to, 2, 0);
}

// A checksum inside the quotation: changed by the helper, then told to ICMP's.
static __always_inline int quoted_sum(struct __sk_buff* skb, const struct quoted* q, __u32 at,
                                      __be32 from, __be32 to, __u64 flags) {
  __be16 before;
  __be16 after;
  if (bpf_skb_load_bytes(skb, at, &before, 2) < 0) return 0;  // TCP's may not be quoted
  if (bpf_l4_csum_replace(skb, at, from, to, flags) < 0) return -1;
  if (bpf_skb_load_bytes(skb, at, &after, 2) < 0) return -1;
  if (before == after) return 0;
  return bpf_l4_csum_replace(skb, q->sum, before, after, 2);
}

static __always_inline int rewrite_quoted(struct __sk_buff* skb, const struct quoted* q,
                                          enum side side, __be32 to, __be16 to_port) {
  __be32 from = side == SOURCE ? q->ip.saddr : q->ip.daddr;
  __be16 from_port = side == SOURCE ? q->ports.source : q->ports.destination;
  __u32 at =
      q->at + (side == SOURCE ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr));
  __u32 sum = q->l4 + checksum_at(q->ip.protocol);
  __u64 flags = checksum_flags(q->ip.protocol);
  if (from != to) {
    if (quoted_sum(skb, q, q->at + offsetof(struct iphdr, check), from, to, 4) < 0 ||
        quoted_sum(skb, q, sum, from, to, flags | 4) < 0 ||
        bpf_l4_csum_replace(skb, q->sum, from, to, 4) < 0 ||
        bpf_skb_store_bytes(skb, at, &to, 4, 0) < 0)
      return -1;
  }
  if (from_port == to_port) return 0;
  if (quoted_sum(skb, q, sum, from_port, to_port, flags | 2) < 0) return -1;
  return replace16(skb, q, q->l4 + (side == SOURCE ? 0 : 2), from_port, to_port);
}

static __always_inline int icmp_ingress(struct __sk_buff* skb, const struct packet* p) {
  struct quoted q;
  if (!read_quoted(skb, p, &q)) return NEXT;
  struct sluice_rs_flow_key key = {.protocol = q.ip.protocol};
  map4(&key.remote, q.ip.daddr);
  map4(&key.local, q.ip.saddr);
  key.remote_port = q.ports.destination;
  key.local_port = q.ports.source;
  struct sluice_rs_flow* flow = bpf_map_lookup_elem(&flows, &key);
  if (!flow || !rewrites(flow)) return NEXT;
  if (rewrite_quoted(skb, &q, DESTINATION, flow->client.words[3], flow->seen_port) < 0) {
    count(SLUICE_RS_REWRITE_FAILED);
    return DROP;
  }
  count(SLUICE_RS_ICMP_IN);
  return NEXT;
}

static __always_inline int icmp_egress(struct __sk_buff* skb, const struct packet* p) {
  struct quoted q;
  if (!read_quoted(skb, p, &q)) return NEXT;
  struct sluice_rs_flow_key seen = {.protocol = q.ip.protocol};
  map4(&seen.remote, q.ip.saddr);
  map4(&seen.local, q.ip.daddr);
  seen.remote_port = q.ports.source;
  seen.local_port = q.ports.destination;
  struct sluice_rs_flow_key* key = bpf_map_lookup_elem(&reverse, &seen);
  struct sluice_rs_flow* flow = key ? bpf_map_lookup_elem(&flows, key) : 0;
  if (!flow || p->ip.daddr != q.ip.saddr) return NEXT;
  if (flow->kind == SLUICE_RS_KIND_UOA) {
    __be32 lip = key->remote.words[3];
    __u32 interface = flow->interface;
    if (rewrite_quoted(skb, &q, SOURCE, lip, key->remote_port) < 0 ||
        rewrite_address(skb, DESTINATION, p->ip.daddr, lip) < 0)
      goto failed;
    count(SLUICE_RS_ICMP_OUT);
    return bpf_redirect_neigh(interface, 0, 0, 0);
  }
  __be32 vip = flow->vip.words[3];
  if (rewrite_quoted(skb, &q, SOURCE, q.ip.saddr, flow->client_port) < 0 ||
      rewrite_quoted(skb, &q, DESTINATION, vip, flow->vport) < 0 ||
      rewrite_address(skb, SOURCE, p->ip.saddr, vip) < 0)
    goto failed;
  count(SLUICE_RS_ICMP_OUT);
  return NEXT;
failed:
  count(SLUICE_RS_REWRITE_FAILED);
  return DROP;
}
