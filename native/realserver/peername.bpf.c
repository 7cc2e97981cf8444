// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// FullNAT TCP: getpeername(2) and accept(2) answer with the client the TOA option told of. No
// packet is changed, so routes, rp_filter, conntrack and `ss` go on with the director's address.
// The hooks run for every namespace under the cgroup: sockets of others are let alone.
#include "maps.h"

#include <linux/in.h>

static __always_inline int find_client(struct bpf_sock_addr* ctx, __be32 remote, __be32* address,
                                       __be16* port) {
  const struct sluice_rs_config* cfg = settings();
  if (!cfg || ctx->protocol != IPPROTO_TCP || !ctx->sk) return 0;
  if (bpf_get_netns_cookie(ctx) != cfg->netns_cookie) return 0;
  struct sluice_rs_flow_key key = {.protocol = IPPROTO_TCP};
  map4(&key.remote, remote);
  map4(&key.local, ctx->sk->src_ip4);
  key.remote_port = ctx->user_port;
  key.local_port = bpf_htons(ctx->sk->src_port);  // the one field in host order
  struct sluice_rs_flow* flow = bpf_map_lookup_elem(&flows, &key);
  if (!flow) {
    // ENAT after a collision: the socket has a substitute for the client's port.
    struct sluice_rs_flow_key* forward = bpf_map_lookup_elem(&reverse, &key);
    if (!forward) return 0;
    flow = bpf_map_lookup_elem(&flows, forward);
    if (!flow || flow->seen_port == flow->client_port) return 0;
  } else if (flow->kind != SLUICE_RS_KIND_TOA) {
    return 0;
  }
  *address = flow->client.words[3];
  *port = flow->client_port;
  count(SLUICE_RS_TOA_ANSWERED);
  return 1;
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr* ctx) {
  __be32 address;
  __be16 port;
  if (find_client(ctx, ctx->user_ip4, &address, &port)) {
    ctx->user_ip4 = address;
    ctx->user_port = port;
  }
  return 1;
}

// Dual-stack listeners see IPv4 clients as ::ffff:a.b.c.d.
SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr* ctx) {
  __be32 address;
  __be16 port;
  if (ctx->user_ip6[0] || ctx->user_ip6[1] || ctx->user_ip6[2] != bpf_htonl(0xffff)) return 1;
  if (find_client(ctx, ctx->user_ip6[3], &address, &port)) {
    ctx->user_ip6[3] = address;
    ctx->user_port = port;
  }
  return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
