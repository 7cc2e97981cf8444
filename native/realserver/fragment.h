// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Fragments after the first have no ports: they get the address the first one of their packet got.
// One that overtakes its first fragment is let through as it is, and its packet is lost.
#pragma once

#include "rewrite.h"

static __always_inline void fragment_key(struct sluice_rs_fragment_key* key, const struct iphdr* ip,
                                         int egress) {
  map4(&key->source, ip->saddr);
  map4(&key->destination, ip->daddr);
  key->id = ip->id;
  key->protocol = ip->protocol;
  key->egress = egress;
}

static __always_inline void note_fragment(const struct packet* p, int egress, enum side side,
                                          const struct sluice_rs_address* address,
                                          __u32 interface) {
  if (!p->first_fragment) return;
  struct sluice_rs_fragment_key key;
  struct sluice_rs_fragment value = {
      .address = *address, .interface = interface, .source = side == SOURCE};
  fragment_key(&key, &p->ip, egress);
  bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
}

static __always_inline int rewrite_fragment(struct __sk_buff* skb, const struct packet* p,
                                            int egress) {
  struct sluice_rs_fragment_key key;
  fragment_key(&key, &p->ip, egress);
  struct sluice_rs_fragment* first = bpf_map_lookup_elem(&fragments, &key);
  if (!first) return NEXT;
  __u32 interface = first->interface;
  __be32 to = first->address.words[3];
  int failed = first->source ? rewrite_address(skb, SOURCE, p->ip.saddr, to)
                             : rewrite_address(skb, DESTINATION, p->ip.daddr, to);
  if (failed) {
    count(SLUICE_RS_REWRITE_FAILED);
    return DROP;
  }
  count(SLUICE_RS_FRAGMENTS);
  return interface ? bpf_redirect_neigh(interface, 0, 0, 0) : NEXT;
}
