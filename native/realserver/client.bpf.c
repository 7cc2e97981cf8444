// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// FullNAT and ENAT: learns the client from the director's options and gives the packet its address
// (ENAT, and UDP over FullNAT); turns the replies of such flows round.
//
// What a packet of a director is taken for:
//   an option naming the VIP too   ENAT, from then on by its flow record
//   an option naming the client    FullNAT
//   TCP SYN without option         a flow whose client is not told: what was known is forgotten
//   no record, no option           from a VIP: dropped (a reply to it would go astray), else passed
#include "flow.h"
#include "fragment.h"
#include "icmp.h"

#define TUNNEL_OVERHEAD 20  // IPIP
#define ENAT_OVERHEAD 20    // both options and two NOPs
#define FROM_HOST 0         // skb->pkt_type of a frame for this machine

static __always_inline int unlabelled(const struct sluice_rs_config* cfg, __be32 source,
                                      int fresh) {
  if ((cfg->modes & SLUICE_RS_MODE_ENAT) && is_vip4(source)) {
    count(SLUICE_RS_ENAT_STATELESS);
    return DROP;
  }
  if (fresh && is_director4(source)) count(SLUICE_RS_UNLABELLED);
  return NEXT;
}

static __always_inline int give_client(struct __sk_buff* skb, const struct packet* p,
                                       struct sluice_rs_flow* flow) {
  if (!rewrites(flow)) return NEXT;
  note_fragment(p, 0, SOURCE, &flow->client, 0);
  __u8 kind = flow->kind;
  if (rewrite(skb, p, SOURCE, flow->client.words[3], flow->seen_port) < 0) {
    count(SLUICE_RS_REWRITE_FAILED);
    return DROP;
  }
  count(kind == SLUICE_RS_KIND_ENAT ? SLUICE_RS_ENAT_REQUESTS : SLUICE_RS_UOA_REQUESTS);
  return NEXT;
}

static __always_inline int tcp_ingress(struct __sk_buff* skb, const struct sluice_rs_config* cfg,
                                       struct packet* p, const struct sluice_rs_flow_key* key) {
  __u64 now = bpf_ktime_get_ns();
  struct sluice_rs_flow* flow = bpf_map_lookup_elem(&flows, key);
  int syn = (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
  if (flow && flow->kind == SLUICE_RS_KIND_TUN) return NEXT;
  if (!flow || syn) {
    struct told told = {};
    read_tcp_options(skb, p, cfg->toa_kind, &told);
    enum belief belief = told.has_client ? judge(cfg, &told, p->ip.saddr) : REFUSED;
    if (belief != BELIEVED) {
      if (flow) forget(key, flow);
      return belief == WRONG ? DROP : unlabelled(cfg, p->ip.saddr, syn);
    }
    flow = learn(cfg, key, &told, skb->ifindex, now);
    if (!flow) return DROP;
  }
  touch(key, flow, now);
  note_end(flow, p->tcp_flags, SLUICE_RS_FIN_IN);
  return give_client(skb, p, flow);
}

static __always_inline int udp_ingress(struct __sk_buff* skb, const struct sluice_rs_config* cfg,
                                       struct packet* p, const struct sluice_rs_flow_key* key) {
  __u64 now = bpf_ktime_get_ns();
  struct sluice_rs_flow* flow;
  struct told told = {};
  if (p->ip.ihl > 5) read_ip_options(skb, p, &told);
  enum belief belief = told.has_client ? judge(cfg, &told, p->ip.saddr) : REFUSED;
  if (belief == WRONG) return DROP;
  if (belief == BELIEVED) {
    flow = learn(cfg, key, &told, skb->ifindex, now);
    if (!flow) return DROP;
    if (strip_ip_options(skb, p, told.bytes) < 0) {
      count(SLUICE_RS_REWRITE_FAILED);
      return DROP;
    }
    count(SLUICE_RS_OPTIONS_STRIPPED);
  } else {
    flow = bpf_map_lookup_elem(&flows, key);
    // The director marks the first packets of a flow only: after a rest this may be another's.
    if (flow && rested(cfg, flow, IPPROTO_UDP, now)) {
      forget(key, flow);
      flow = 0;
    }
    if (!flow) return unlabelled(cfg, p->ip.saddr, 1);
  }
  touch(key, flow, now);
  return give_client(skb, p, flow);
}

SEC("tc")
int client_ingress(struct __sk_buff* skb) {
  const struct sluice_rs_config* cfg = settings();
  struct packet p;
  if (!cfg || skb->pkt_type != FROM_HOST || !read_packet(skb, &p)) return NEXT;
  if (!(cfg->modes & (SLUICE_RS_MODE_TOA | SLUICE_RS_MODE_ENAT))) return NEXT;
  if (p.later_fragment) return rewrite_fragment(skb, &p, 0);
  if (p.ip.protocol == IPPROTO_ICMP) return icmp_ingress(skb, &p);
  struct sluice_rs_flow_key key = {.protocol = p.ip.protocol};
  map4(&key.remote, p.ip.saddr);
  map4(&key.local, p.ip.daddr);
  key.remote_port = p.ports.source;
  key.local_port = p.ports.destination;
  if (p.ip.protocol == IPPROTO_TCP) return tcp_ingress(skb, cfg, &p, &key);
  if (p.ip.protocol == IPPROTO_UDP) return udp_ingress(skb, cfg, &p, &key);
  return NEXT;
}

static __always_inline int enat_reply(struct __sk_buff* skb, const struct packet* p,
                                      struct sluice_rs_flow* flow) {
  __be16 client_port = flow->client_port;
  struct packet half = *p;
  note_fragment(p, 1, SOURCE, &flow->vip, 0);
  if (rewrite(skb, p, SOURCE, flow->vip.words[3], flow->vport) < 0 ||
      rewrite(skb, &half, DESTINATION, p->ip.daddr, client_port) < 0)
    return -1;
  count(SLUICE_RS_ENAT_REPLIES);
  return 0;
}

// Replies to the LIP leave towards the director: the neighbour the kernel chose was the client's.
static __always_inline int uoa_reply(struct __sk_buff* skb, const struct packet* p,
                                     const struct sluice_rs_flow_key* key,
                                     const struct sluice_rs_flow* flow) {
  __u32 interface = flow->interface;
  note_fragment(p, 1, DESTINATION, &key->remote, interface);
  if (rewrite(skb, p, DESTINATION, key->remote.words[3], key->remote_port) < 0) {
    count(SLUICE_RS_REWRITE_FAILED);
    return DROP;
  }
  count(SLUICE_RS_UOA_REPLIES);
  return bpf_redirect_neigh(interface, 0, 0, 0);
}

static __always_inline int leave_room(struct __sk_buff* skb, const struct packet* p, __u16 bytes) {
  if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK)) return 0;
  int done = lower_mss(skb, p, bytes);
  if (done > 0) count(SLUICE_RS_MSS_LOWERED);
  return done;
}

// A connection that came by the tunnel: the reply is the server's own, all but the MSS.
static __always_inline int tunnel_reply(struct __sk_buff* skb, const struct packet* p,
                                        const struct sluice_rs_flow_key* seen) {
  if (!(p->tcp_flags & TCP_SYN)) return NEXT;
  struct sluice_rs_flow* flow = bpf_map_lookup_elem(&flows, seen);
  if (flow && flow->kind == SLUICE_RS_KIND_TUN && leave_room(skb, p, TUNNEL_OVERHEAD) < 0) {
    count(SLUICE_RS_REWRITE_FAILED);
    return DROP;
  }
  return NEXT;
}

SEC("tc")
int client_egress(struct __sk_buff* skb) {
  struct packet p;
  if (!read_packet(skb, &p)) return NEXT;
  if (p.later_fragment) return rewrite_fragment(skb, &p, 1);
  if (p.ip.protocol == IPPROTO_ICMP) return icmp_egress(skb, &p);
  if (p.ip.protocol != IPPROTO_TCP && p.ip.protocol != IPPROTO_UDP) return NEXT;
  struct sluice_rs_flow_key seen = {.protocol = p.ip.protocol};
  map4(&seen.remote, p.ip.daddr);
  map4(&seen.local, p.ip.saddr);
  seen.remote_port = p.ports.destination;
  seen.local_port = p.ports.source;
  struct sluice_rs_flow_key* key = bpf_map_lookup_elem(&reverse, &seen);
  if (!key) return tunnel_reply(skb, &p, &seen);
  struct sluice_rs_flow* flow = bpf_map_lookup_elem(&flows, key);
  if (!flow) return NEXT;
  if (flow->kind == SLUICE_RS_KIND_UOA) return uoa_reply(skb, &p, key, flow);
  if (flow->kind != SLUICE_RS_KIND_ENAT) return NEXT;
  note_end(flow, p.tcp_flags, SLUICE_RS_FIN_OUT);
  if (enat_reply(skb, &p, flow) < 0 || leave_room(skb, &p, ENAT_OVERHEAD) < 0) {
    count(SLUICE_RS_REWRITE_FAILED);
    return DROP;
  }
  return NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
