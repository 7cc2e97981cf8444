// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Changing an address and port of a packet with its checksums. BPF_F_PSEUDO_HDR tells the kernel
// that an address is in the pseudo-header only, which is what makes it right for a checksum that
// is still partial (CHECKSUM_PARTIAL: local veth, virtio, GSO) as well as for a finished one.
#pragma once

#include "packet.h"

enum side { SOURCE, DESTINATION };

static __always_inline int rewrite_address(struct __sk_buff* skb, enum side side, __be32 from,
                                           __be32 to) {
  __u32 at = L3 + (side == SOURCE ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr));
  if (from == to) return 0;
  if (bpf_l3_csum_replace(skb, L3 + offsetof(struct iphdr, check), from, to, 4) < 0) return -1;
  return bpf_skb_store_bytes(skb, at, &to, 4, 0);
}

// UDP's checksum 0 means none and stays so; one that becomes 0 is sent as ffff (RFC 768).
static __always_inline __u64 checksum_flags(__u8 protocol) {
  return protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
}

static __always_inline int rewrite(struct __sk_buff* skb, const struct packet* p, enum side side,
                                   __be32 to, __be16 to_port) {
  __be32 from = side == SOURCE ? p->ip.saddr : p->ip.daddr;
  __be16 from_port = side == SOURCE ? p->ports.source : p->ports.destination;
  __u64 flags = checksum_flags(p->ip.protocol);
  __u32 sum = p->l4 + checksum_at(p->ip.protocol);
  if (from != to && bpf_l4_csum_replace(skb, sum, from, to, flags | BPF_F_PSEUDO_HDR | 4) < 0)
    return -1;
  if (from_port != to_port) {
    if (bpf_l4_csum_replace(skb, sum, from_port, to_port, flags | 2) < 0) return -1;
    if (bpf_skb_store_bytes(skb, p->l4 + (side == SOURCE ? 0 : 2), &to_port, 2, 0) < 0) return -1;
  }
  return rewrite_address(skb, side, from, to);
}
