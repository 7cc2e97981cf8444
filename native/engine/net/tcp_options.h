// TCP options: finding one, lowering the MSS, writing the client-address options.
#pragma once

#include <cstdint>
#include <cstring>

#include "../types.h"
#include "checksum.h"
#include "headers.h"

namespace sluice::net {

inline constexpr unsigned kMaxTcpHeader = 60;  // RFC 9293 section 3.1
inline constexpr uint8_t kOptionMss = 2;
inline constexpr uint8_t kOptionExperiment = 253;  // RFC 6994
inline constexpr uint16_t kEnatExid = 0x534c;      // our experiment's identifier
inline constexpr uint8_t kIpOptionClient = 31;     // UOA
inline constexpr uint8_t kIpOptionVirtual = 94;    // RFC 4727
inline constexpr unsigned kToaBytes = 8;           // kind len port ip
inline constexpr unsigned kToa6Bytes = 20;         // the same with an IPv6 address
inline constexpr unsigned kEnatBytes = 20;         // TOA, ExID option of 10, two NOPs

// Lowers the MSS that a SYN announces by `less` bytes (RFC 9293 section 3.7.1), never below the
// 88 bytes that Linux takes for the least. The checksum is kept right. A malformed option list is
// left alone: the receiver's stack is the one to judge it.
inline void lower_mss(Tcp* tcp, unsigned less) {
  uint8_t* const start = reinterpret_cast<uint8_t*>(tcp);
  uint8_t* const end = start + tcp->header_bytes();
  for (uint8_t* at = start + sizeof(Tcp); at + 1 < end;) {
    if (at[0] == 0) return;
    if (at[0] == 1) {
      ++at;
      continue;
    }
    if (at[1] < 2 || at + at[1] > end) return;
    if (at[0] != kOptionMss || at[1] != 4) {
      at += at[1];
      continue;
    }
    const be16 was = load<be16>(at + 2);
    const uint16_t mss = from_be(was);
    if (mss < 88 + less) return;
    const be16 now = to_be(static_cast<uint16_t>(mss - less));
    store(at + 2, now);
    // At an odd offset the two bytes fall into different words of the sum: swapped.
    const bool odd = ((at - start) & 1) != 0;
    Delta delta;
    delta.change16(odd ? __builtin_bswap16(was) : was, odd ? __builtin_bswap16(now) : now);
    be16 checksum = tcp->checksum;
    delta.apply(checksum);
    tcp->checksum = checksum;
    return;
  }
}

struct ClientOption {
  uint8_t toa_kind;
  be32 client;
  be16 client_port;
  be32 virtual_address;  // ENAT
  be16 virtual_port;
};

// TOA (kToaBytes) at `at`.
inline void write_toa(uint8_t* at, const ClientOption& o) {
  at[0] = o.toa_kind;
  at[1] = kToaBytes;
  store(at + 2, o.client_port);
  store(at + 4, o.client);
}

// TOA of IPv6 (kToa6Bytes) at `at`.
inline void write_toa6(uint8_t* at, uint8_t kind, const WideAddress& client, be16 port) {
  at[0] = kind;
  at[1] = kToa6Bytes;
  store(at + 2, port);
  store(at + 4, client);
}

// TOA, then the virtual address under our RFC 6994 identifier (kEnatBytes in all).
inline void write_enat(uint8_t* at, const ClientOption& o) {
  write_toa(at, o);
  at[8] = kOptionExperiment;
  at[9] = 10;
  store(at + 10, to_be(kEnatExid));
  store(at + 12, o.virtual_port);
  store(at + 14, o.virtual_address);
  at[18] = at[19] = 1;  // NOP
}

// False for segments without options or with timestamps alone (RFC 7323 appendix A): nearly all.
inline bool may_carry_client_option(const Tcp& tcp) {
  constexpr uint32_t kTimestampsAlone = 0x0a080101;  // NOP NOP 8 10
  if (tcp.header_bytes() == sizeof(Tcp)) return false;
  return tcp.header_bytes() != sizeof(Tcp) + 12 || load<uint32_t>(&tcp + 1) != kTimestampsAlone;
}

// Overwrites with NOPs what a client itself sends under our options' kinds: the real server would
// take it for the director's word.
inline void blot_tcp_options(Tcp* tcp, uint8_t toa_kind) {
  uint8_t* const start = reinterpret_cast<uint8_t*>(tcp);
  const unsigned header = tcp->header_bytes();
  const uint16_t before = fold(sum_bytes(start, header));
  bool found = false;
  for (uint8_t *at = start + sizeof(Tcp), *end = start + header; at + 1 < end && at[0] != 0;) {
    if (at[0] == 1) {
      ++at;
      continue;
    }
    const uint8_t length = at[1];
    if (length < 2 || at + length > end) break;
    const bool enat =
        at[0] == kOptionExperiment && length >= 4 && load<be16>(at + 2) == to_be(kEnatExid);
    if (at[0] == toa_kind || enat) {
      std::memset(at, 1, length);
      found = true;
    }
    at += length;
  }
  if (!found) return;
  Delta delta;
  delta.change16(before, fold(sum_bytes(start, header)));
  be16 checksum = tcp->checksum;
  delta.apply(checksum);
  tcp->checksum = checksum;
}

// The same for the IP options of UDP.
inline void blot_ip_options(Ipv4* ip) {
  uint8_t* const start = reinterpret_cast<uint8_t*>(ip);
  uint8_t* const end = start + ip->header_bytes();
  bool found = false;
  for (uint8_t* at = start + sizeof(Ipv4); at + 1 < end && at[0] != 0;) {
    if (at[0] == 1) {
      ++at;
      continue;
    }
    const uint8_t length = at[1];
    if (length < 2 || at + length > end) break;
    if (at[0] == kIpOptionClient || at[0] == kIpOptionVirtual) {
      std::memset(at, 1, length);
      found = true;
    }
    at += length;
  }
  if (found) set_ip_checksum(*ip);
}

// IP options for UDP: 31 (UOA, as DPVS), and 94 (RFC 4727 experimental) with the virtual address.
inline constexpr unsigned kUoaBytes = 8;
inline constexpr unsigned kEnatUdpBytes = 16;

// Eight bytes as they lie in memory.
inline uint64_t ip_option(uint8_t kind, be16 port, be32 address) {
  return uint64_t{kind} | 8 << 8 | uint64_t{port} << 16 | uint64_t{address} << 32;
}

}  // namespace sluice::net
