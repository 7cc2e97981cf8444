// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Headers of one packet at tc, read by value: packets may be non-linear, and clang 14's verifier
// trouble with packet pointers at variable offsets is avoided.
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "maps.h"

// Next program (TCX) or next filter (clsact): both know -1.
#define NEXT TC_ACT_UNSPEC
#define DROP TC_ACT_SHOT

#define L3 ETH_HLEN
#define IP_OFFSET 0x1fff
#define IP_MORE 0x2000

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct ports {
  __be16 source;
  __be16 destination;
};

struct packet {
  struct iphdr ip;
  struct ports ports;
  __u32 l4;        // offset of the transport header from the frame's start
  __u8 tcp_words;  // TCP data offset
  __u8 tcp_flags;
  __u8 first_fragment;
  __u8 later_fragment;
};

// 0: not ours to look at (not IPv4, or too short).
static __always_inline int read_ip(struct __sk_buff* skb, __u32 at, struct iphdr* ip) {
  if (bpf_skb_load_bytes(skb, at, ip, sizeof(*ip)) < 0) return 0;
  return ip->version == 4 && ip->ihl >= 5;
}

static __always_inline int read_packet(struct __sk_buff* skb, struct packet* p) {
  if (skb->protocol != bpf_htons(ETH_P_IP)) return 0;
  if (!read_ip(skb, L3, &p->ip)) return 0;
  __u16 fragment = bpf_ntohs(p->ip.frag_off);
  p->l4 = L3 + p->ip.ihl * 4;
  p->first_fragment = (fragment & (IP_OFFSET | IP_MORE)) == IP_MORE;
  p->later_fragment = (fragment & IP_OFFSET) != 0;
  p->ports.source = 0;
  p->ports.destination = 0;
  p->tcp_words = 0;
  p->tcp_flags = 0;
  if (p->later_fragment) return 1;
  if (p->ip.protocol == IPPROTO_TCP) {
    __u8 bytes[2];
    if (bpf_skb_load_bytes(skb, p->l4 + 12, bytes, 2) < 0) return 0;
    p->tcp_words = bytes[0] >> 4;
    p->tcp_flags = bytes[1];
  }
  if (p->ip.protocol == IPPROTO_TCP || p->ip.protocol == IPPROTO_UDP) {
    if (bpf_skb_load_bytes(skb, p->l4, &p->ports, sizeof(p->ports)) < 0) return 0;
  }
  return 1;
}

// Where a transport header keeps its checksum.
static __always_inline __u32 checksum_at(__u8 protocol) {
  return protocol == IPPROTO_TCP ? 16 : 6;
}
