// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What a director tells in options.
//   TCP:  TOA            kind 08 port16 ip32              the client (kind 254 unless told)
//         ENAT           253 0A 534C port16 ip32          VIP:vport (RFC 6994, ExID "SL")
//   IPv4: UOA            1F 08 port16 ip32                the client
//         ENAT           5E 08 port16 ip32                VIP:vport (RFC 4727 experimental)
#pragma once

#include "packet.h"

#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTION_MSS 2
#define TCP_OPTION_EXPERIMENT 253
#define MSS_LEAST 88  // what Linux takes for the least
#define ENAT_EXID 0x534c
#define IP_OPTION_CLIENT 0x1f
#define IP_OPTION_VIP 0x5e

struct endpoint {
  __be16 port;
  __be32 address;
} __attribute__((packed));

struct told {
  struct endpoint client;
  struct endpoint vip;
  __u8 has_client;
  __u8 has_vip;
  __u8 bytes;  // IP options to strip
};

#define TCP_OPTION_BYTES 40  // RFC 9293 3.1

// Where the options of interest are, from the frame's start; 0: none met.
struct tcp_options {
  __u32 toa;
  __u32 vip;
  __u32 mss;
};

// The first option of a kind counts: the director puts its own before whatever the client sent.
//
// Written for the verifier. A step's length is computed without a branch and its place kept below
// 256 (14 + 60 + 60 at most), so that the paths of a step meet again instead of multiplying over 40
// steps. Neither bpf_loop, which needs a JIT, nor a global function, which needs the kernel's BTF.
static __always_inline void find_tcp_options(struct __sk_buff* skb, const struct packet* p,
                                             __u8 toa_kind, struct tcp_options* found) {
  __u32 at = p->l4 + sizeof(struct tcphdr);
  __u32 end = p->l4 + p->tcp_words * 4;
  for (int step = 0; step < TCP_OPTION_BYTES; step++) {
    __u8 head[2];
    if (at + 2 > end || bpf_skb_load_bytes(skb, at, head, 2) < 0) return;
    __u32 kind = head[0];
    if (kind == TCP_OPTION_END) return;
    __u32 nop = ((kind ^ TCP_OPTION_NOP) - 1) >> 31;
    asm volatile("" : "+r"(nop));
    __u32 length = nop + head[1] * (1 - nop);
    if (length + nop < 2 || at + length > end) return;
    if (kind == TCP_OPTION_MSS && length == 4) found->mss = at;
    if (kind == toa_kind && length == 8 && !found->toa) found->toa = at;
    if (kind == TCP_OPTION_EXPERIMENT && length == 10 && !found->vip) found->vip = at;
    at = (at + length) & 0xff;
  }
}

static __always_inline void read_tcp_options(struct __sk_buff* skb, const struct packet* p,
                                             __u8 toa_kind, struct told* told) {
  struct tcp_options found = {};
  struct {
    __be16 id;
    struct endpoint vip;
  } __attribute__((packed)) option;
  if (p->tcp_words == 5) return;
  find_tcp_options(skb, p, toa_kind, &found);
  if (!found.toa || bpf_skb_load_bytes(skb, found.toa + 2, &told->client, 6) < 0) return;
  told->has_client = 1;
  if (!found.vip || bpf_skb_load_bytes(skb, found.vip + 2, &option, sizeof(option)) < 0) return;
  if (option.id != bpf_htons(ENAT_EXID)) return;
  told->vip = option.vip;
  told->has_vip = 1;
}

// The director puts its options right after the fixed header, so they are looked for there only:
// that is also the one place adjust_room can take bytes from.
static __always_inline void read_ip_options(struct __sk_buff* skb, const struct packet* p,
                                            struct told* told) {
  struct {
    __u8 kind;
    __u8 length;
    struct endpoint endpoint;
  } __attribute__((packed)) option;
  if (p->ip.ihl < 7 || bpf_skb_load_bytes(skb, L3 + 20, &option, sizeof(option)) < 0) return;
  if (option.kind != IP_OPTION_CLIENT || option.length != 8) return;
  told->client = option.endpoint;
  told->has_client = 1;
  told->bytes = 8;
  if (p->ip.ihl < 9 || bpf_skb_load_bytes(skb, L3 + 28, &option, sizeof(option)) < 0) return;
  if (option.kind != IP_OPTION_VIP || option.length != 8) return;
  told->vip = option.endpoint;
  told->has_vip = 1;
  told->bytes = 16;
}

// Takes the director's options out of the IPv4 header. The checksum is carried on by difference
// (RFC 1624), so other options may stay behind ours.
static __always_inline int strip_ip_options(struct __sk_buff* skb, struct packet* p, __u8 bytes) {
  struct {
    __be32 first;
    __be32 options[4];
  } old = {};
  if (bpf_skb_load_bytes(skb, L3, &old.first, 4) < 0) return -1;
  if (bpf_skb_load_bytes(skb, L3 + 20, old.options, 8) < 0) return -1;
  if (bytes == 16 && bpf_skb_load_bytes(skb, L3 + 28, &old.options[2], 8) < 0) return -1;

  struct iphdr ip = p->ip;
  ip.ihl -= bytes / 4;
  ip.tot_len = bpf_htons(bpf_ntohs(ip.tot_len) - bytes);
  __be32 first;
  __builtin_memcpy(&first, &ip, 4);
  __s64 sum = bpf_csum_diff(&old.first, sizeof(old), &first, 4, (__u16)~ip.check);
  if (sum < 0) return -1;
  __u32 folded = sum;
  folded = (folded & 0xffff) + (folded >> 16);
  folded = (folded & 0xffff) + (folded >> 16);
  ip.check = (__u16)~folded;

  if (bytes == 16) {
    if (bpf_skb_adjust_room(skb, -16, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) < 0) return -1;
  } else {
    if (bpf_skb_adjust_room(skb, -8, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) < 0) return -1;
  }
  if (bpf_skb_store_bytes(skb, L3, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM) < 0) return -1;
  p->ip = ip;
  p->l4 -= bytes;
  return 0;
}

// Lowers the MSS of a SYN-ACK so that what the director adds to the client's segments still fits.
// 1: lowered, 0: nothing to lower, negative: the kernel refused.
static __always_inline int lower_mss(struct __sk_buff* skb, const struct packet* p, __u16 by) {
  struct tcp_options found = {};
  __be16 from;
  find_tcp_options(skb, p, 0, &found);
  if (!found.mss || bpf_skb_load_bytes(skb, found.mss + 2, &from, 2) < 0) return 0;
  __u16 mss = bpf_ntohs(from);
  if (mss <= MSS_LEAST + by) return 0;
  __be16 to = bpf_htons(mss - by);
  // At an odd offset the bytes lie in the other halves of the checksum's words.
  int odd = (found.mss - p->l4) & 1;
  __u16 sum_from = odd ? __builtin_bswap16(from) : from;
  __u16 sum_to = odd ? __builtin_bswap16(to) : to;
  if (bpf_l4_csum_replace(skb, p->l4 + 16, sum_from, sum_to, 2) < 0) return -1;
  if (bpf_skb_store_bytes(skb, found.mss + 2, &to, 2, 0) < 0) return -1;
  return 1;
}
