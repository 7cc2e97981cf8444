// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// TUN: takes the director's IPIP header off at tc ingress, so that the server needs no tunnel
// device. The reply leaves from the VIP by the server's own routes: nothing to do for it, but for
// the MSS of the SYN-ACK (client.bpf.c).
#include "rewrite.h"

#define ECN_MASK 3
#define ECN_CE 3

// RFC 6040 4.2: congestion met inside the tunnel is told to the inner packet.
static __always_inline int pass_congestion(struct __sk_buff* skb, const struct iphdr* inner) {
  count(SLUICE_RS_TUN_CONGESTED);
  if ((inner->tos & ECN_MASK) == 0) return -1;
  __u8 tos = inner->tos | ECN_CE;
  if (bpf_l3_csum_replace(skb, L3 + offsetof(struct iphdr, check), bpf_htons(inner->tos),
                          bpf_htons(tos), 2) < 0)
    return -1;
  return bpf_skb_store_bytes(skb, L3 + offsetof(struct iphdr, tos), &tos, 1, 0);
}

// The SYN-ACK goes to the client directly, so only this machine can tell it to leave the director
// room for the outer header; client_egress does, for the connections noted here.
static __always_inline void note_syn(struct __sk_buff* skb) {
  struct packet p;
  if (!read_packet(skb, &p) || p.ip.protocol != IPPROTO_TCP) return;
  if ((p.tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) return;
  struct sluice_rs_flow_key key = {.protocol = IPPROTO_TCP};
  struct sluice_rs_flow flow = {.kind = SLUICE_RS_KIND_TUN};
  map4(&key.remote, p.ip.saddr);
  map4(&key.local, p.ip.daddr);
  key.remote_port = p.ports.source;
  key.local_port = p.ports.destination;
  bpf_map_update_elem(&flows, &key, &flow, BPF_ANY);
}

SEC("tc")
int tunnel_ingress(struct __sk_buff* skb) {
  const struct sluice_rs_config* cfg = settings();
  if (!cfg || !(cfg->modes & SLUICE_RS_MODE_TUN)) return NEXT;
  struct iphdr outer;
  struct iphdr inner;
  if (skb->protocol != bpf_htons(ETH_P_IP) || !read_ip(skb, L3, &outer)) return NEXT;
  if (outer.protocol != IPPROTO_IPIP || !is_local4(outer.daddr)) return NEXT;
  if (!is_director4(outer.saddr)) {
    count(SLUICE_RS_TUN_FOREIGN);
    return NEXT;
  }
  // A director never sends options or fragments of its outer header to a server it can reach
  // unfragmented; the stack would have to reassemble before us.
  if (outer.ihl != 5 || (bpf_ntohs(outer.frag_off) & (IP_OFFSET | IP_MORE)) ||
      !read_ip(skb, L3 + sizeof(outer), &inner) ||
      bpf_ntohs(inner.tot_len) + sizeof(outer) > bpf_ntohs(outer.tot_len)) {
    count(SLUICE_RS_TUN_MALFORMED);
    return DROP;
  }
  if (!is_vip4(inner.daddr)) {
    count(SLUICE_RS_TUN_NOT_VIP);
    return DROP;
  }
  if (bpf_skb_adjust_room(skb, -(__s32)sizeof(outer), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) <
      0) {
    count(SLUICE_RS_REWRITE_FAILED);
    return DROP;
  }
  if ((outer.tos & ECN_MASK) == ECN_CE && (inner.tos & ECN_MASK) != ECN_CE &&
      pass_congestion(skb, &inner) < 0)
    return DROP;
  count(SLUICE_RS_TUN_DECAPSULATED);
  note_syn(skb);
  return NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
