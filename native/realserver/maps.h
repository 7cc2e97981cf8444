// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The maps, one set an agent: every object declares all of them and the agent makes the objects
// share those of the first. Sizes of `flows` and `reverse` are set by the agent.
#pragma once

#include <linux/bpf.h>
//
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "shared.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct sluice_rs_config);
} config SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, SLUICE_RS_COUNTER_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

// DIPs and LIPs: whose tunnels are opened and whose options are believed.
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 4096);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct sluice_rs_prefix);
  __type(value, __u8);
} directors SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct sluice_rs_address);
  __type(value, __u8);
} vips SEC(".maps");

// The server's own addresses (RIPs), kept up to date by the agent.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct sluice_rs_address);
  __type(value, __u8);
} locals SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 131072);
  __type(key, struct sluice_rs_flow_key);
  __type(value, struct sluice_rs_flow);
} flows SEC(".maps");

// What the server's sockets see → key in `flows`.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 131072);
  __type(key, struct sluice_rs_flow_key);
  __type(value, struct sluice_rs_flow_key);
} reverse SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct sluice_rs_fragment_key);
  __type(value, struct sluice_rs_fragment);
} fragments SEC(".maps");

static __always_inline void count(__u32 which) {
  __u64* value = bpf_map_lookup_elem(&counters, &which);
  if (value) *value += 1;
}

static __always_inline const struct sluice_rs_config* settings(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline void map4(struct sluice_rs_address* to, __be32 address) {
  to->words[0] = 0;
  to->words[1] = 0;
  to->words[2] = bpf_htonl(0xffff);
  to->words[3] = address;
}

static __always_inline int is_director4(__be32 address) {
  struct sluice_rs_prefix key = {.length = 128};
  map4(&key.address, address);
  return bpf_map_lookup_elem(&directors, &key) != 0;
}

static __always_inline int is_vip4(__be32 address) {
  struct sluice_rs_address key;
  map4(&key, address);
  return bpf_map_lookup_elem(&vips, &key) != 0;
}

static __always_inline int is_local4(__be32 address) {
  struct sluice_rs_address key;
  map4(&key, address);
  return bpf_map_lookup_elem(&locals, &key) != 0;
}
