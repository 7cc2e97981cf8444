// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the agent counts, as data: the BPF programs index by it, the agent names by it.
#pragma once

// clang-format off
#define SLUICE_RS_COUNTERS(X)                                                                     \
  X(TUN_DECAPSULATED,   "tunDecapsulated",   "IPIP packets of a director, taken out of their tunnel") \
  X(TUN_FOREIGN,        "tunForeign",        "IPIP packets of others, left as they were: anything but 0 means a director that was not named, or somebody else's tunnel") \
  X(TUN_NOT_VIP,        "tunNotVip",         "IPIP packets of a director for an address that is no VIP here, dropped: anything but 0 means a VIP that was not named") \
  X(TUN_MALFORMED,      "tunMalformed",      "IPIP packets without a sound inner IPv4 header, dropped") \
  X(TUN_CONGESTED,      "tunCongested",      "CE of the outer header passed on to the inner one (RFC 6040), or the packet dropped where the inner cannot carry it") \
  X(TOA_LEARNED,        "toaLearned",        "FullNAT TCP connections whose client is known from the TOA option") \
  X(TOA_ANSWERED,       "toaAnswered",       "getpeername and accept answered with the true client") \
  X(UOA_LEARNED,        "uoaLearned",        "FullNAT UDP flows whose client is known from the IP option") \
  X(UOA_REQUESTS,       "uoaRequests",       "FullNAT UDP packets given the client's address as source") \
  X(UOA_REPLIES,        "uoaReplies",        "FullNAT UDP replies sent back to the director's local address") \
  X(ENAT_LEARNED,       "enatLearned",       "ENAT flows learned from their options") \
  X(ENAT_REQUESTS,      "enatRequests",      "ENAT packets given the client's address as source") \
  X(ENAT_REPLIES,       "enatReplies",       "ENAT replies given the virtual service's address as source") \
  X(ENAT_STATELESS,     "enatStateless",     "packets from a VIP with neither option nor known flow, dropped: seen after a restart without --pin") \
  X(ENAT_NOT_VIP,       "enatNotVip",        "packets whose ENAT option names an address that is no VIP here, dropped: anything but 0 means a VIP that was not named") \
  X(COLLISIONS,         "collisions",        "flows shown to the server under another port, because its client's own is taken by a flow over another VIP") \
  X(COLLISION_DROPS,    "collisionDrops",    "packets of a flow for which no free port was found, dropped") \
  X(OPTION_REFUSED,     "optionRefused",     "client addresses told by somebody who is no director, or for a mode that is off, not believed: anything but 0 means a director's local address that was not named, or forgery") \
  X(UNLABELLED,         "unlabelled",        "new flows of a director without a client address: the server sees the director's") \
  X(OPTIONS_STRIPPED,   "optionsStripped",   "UDP packets freed of the director's IP options") \
  X(FRAGMENTS,          "fragments",         "fragments rewritten like the first one of their packet") \
  X(ICMP_IN,            "icmpIn",            "ICMP errors for the server whose quoted packet was turned into the server's own") \
  X(ICMP_OUT,           "icmpOut",           "ICMP errors of the server turned into what the director or client sent") \
  X(MSS_LOWERED,        "mssLowered",        "SYN-ACKs whose MSS leaves room for what the director adds") \
  X(REWRITE_FAILED,     "rewriteFailed",     "packets dropped because the kernel refused a change: anything but 0 is a fault")
// clang-format on

enum sluice_rs_counter {
#define X(id, name, help) SLUICE_RS_##id,
  SLUICE_RS_COUNTERS(X)
#undef X
      SLUICE_RS_COUNTER_COUNT
};
