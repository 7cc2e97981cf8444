// A director in memory for the fuzzers: services in every mode, two ports, and a Sink that checks
// each frame that leaves.
#pragma once

#include <rte_mbuf.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/net/checksum.h"
#include "engine/net/headers.h"
#include "engine/port/eal.h"
#include "engine/snapshot.h"
#include "engine/worker.h"

namespace sluice::fuzz {

inline constexpr Mac kFront{2, 0, 0, 0, 1, 1};
inline constexpr Mac kBack{2, 0, 0, 0, 1, 2};
inline constexpr Limits kLimits{512, 32, 64};  // small, so that full tables are reached
inline constexpr be32 v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return to_be(uint32_t{a} << 24 | uint32_t{b} << 16 | uint32_t{c} << 8 | d);
}

#define SLUICE_REQUIRE(what)                                                         \
  do {                                                                               \
    if (!(what)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what); \
      std::abort();                                                                  \
    }                                                                                \
  } while (false)

inline WideAddress wide(be32 address) {
  WideAddress a{};
  a[10] = a[11] = 0xff;
  store(a.data() + 12, address);
  return a;
}

// One service a mode and protocol: VIP 203.0.113.(10 + mode), port 80 (TCP, and SCTP where the mode
// takes it) or 53 (UDP), two servers each.
inline std::vector<uint8_t> snapshot_bytes() {
  std::vector<wire::Service> services;
  std::vector<wire::Server> servers;
  std::vector<WideAddress> locals{wide(v4(198, 51, 100, 200))}, owned{locals[0]};
  for (unsigned mode = 0; mode < kModes; ++mode) {
    const WideAddress vip = wide(v4(203, 0, 113, static_cast<uint8_t>(10 + mode)));
    owned.push_back(vip);
    for (const uint8_t protocol : {kTcp, kUdp, kSctp}) {
      if (protocol == kSctp && static_cast<Mode>(mode) == Mode::enat) continue;
      wire::Service s{};
      s.address = vip;
      s.port = protocol == kUdp ? 53 : 80;
      s.protocol = protocol;
      s.family = 4;
      s.scheduler = static_cast<uint8_t>(mode);
      s.flags = wire::kClientAddress | (mode == 2 ? wire::kResetOnServerRemoved : 0);
      s.toa_kind = 254;
      s.slot = static_cast<uint32_t>(services.size());
      s.first_server = static_cast<uint32_t>(servers.size());
      s.server_count = 2;
      s.local_count = 1;
      services.push_back(s);
      for (uint8_t i = 0; i < 2; ++i) {
        wire::Server server{};
        server.address = wide(v4(198, 51, 100, static_cast<uint8_t>(11 + i)));
        server.port = static_cast<uint16_t>(8000 + mode);
        server.mode = static_cast<uint8_t>(mode);
        server.up = 1;
        server.weight = 1 + i;
        server.slot = static_cast<uint32_t>(servers.size());
        // IPIP and GUE, GRE and GUE with checksums.
        const unsigned wrap = protocol == kUdp ? 2 + 2 * i : 3 * i;
        server.wrap = static_cast<uint8_t>(wrap);
        server.tunnel_port = 6080;
        servers.push_back(server);
      }
    }
  }
  // NAT and FullNAT once more, behind a SYN proxy: 203.0.113.20 and .23.
  for (const Mode mode : {Mode::nat, Mode::fullnat}) {
    const auto last = static_cast<uint8_t>(20 + static_cast<unsigned>(mode));
    wire::Service s = services[3 * static_cast<size_t>(mode)];
    s.address = wide(v4(203, 0, 113, last));
    s.slot = static_cast<uint32_t>(services.size());
    s.syn_proxy = 1;
    SLUICE_REQUIRE(s.protocol == kTcp &&
                   servers[s.first_server].mode == static_cast<uint8_t>(mode));
    owned.push_back(s.address);
    services.push_back(s);
  }
  std::vector<wire::Route> routes(1);
  routes[0].address = wide(0);
  routes[0].via = wide(v4(192, 0, 2, 254));
  routes[0].family = 4;
  std::vector<wire::Neighbour> neighbours;
  auto neighbour = [&](be32 address, uint8_t port) {
    neighbours.push_back(
        {wide(address), {2, 0, 0, 0, 9, static_cast<uint8_t>(neighbours.size())}, port, 0});
  };
  neighbour(v4(192, 0, 2, 254), 0);
  neighbour(v4(198, 51, 100, 11), 1);
  neighbour(v4(198, 51, 100, 12), 1);
  std::vector<wire::PortAddress> addresses(2);
  addresses[0] = {wide(v4(192, 0, 2, 1)), 24, 0, {}};
  addresses[1] = {wide(v4(198, 51, 100, 1)), 24, 1, {}};

  std::vector<uint8_t> bytes(sizeof(wire::Header));
  wire::Header header{};
  header.magic = wire::kMagic;
  header.version = wire::kVersion;
  header.generation = 1;
  for (uint32_t& timeout : header.timeouts) timeout = 60'000;
  unsigned next = 0;
  auto section = [&](const auto& records) {
    header.sections[next++] = {static_cast<uint32_t>(bytes.size()),
                               static_cast<uint32_t>(records.size())};
    const auto* at = reinterpret_cast<const uint8_t*>(records.data());
    bytes.insert(bytes.end(), at, at + records.size() * sizeof(records[0]));
    bytes.resize((bytes.size() + 7) & ~size_t{7});
  };
  section(services);
  section(servers);
  section(locals);
  section(owned);
  section(routes);
  section(neighbours);
  section(addresses);
  header.total = static_cast<uint32_t>(bytes.size());
  while (next < wire::kSections) header.sections[next++].offset = header.total;
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

// Checks and frees what the worker sends.
class CheckingSink final : public Sink {
 public:
  uint16_t transmit(uint16_t port, rte_mbuf** packets, uint16_t n) override {
    SLUICE_REQUIRE(port < 2);
    for (uint16_t i = 0; i < n; ++i) check(port, packets[i]);
    return free_all(packets, n);
  }
  uint16_t punt(uint16_t, rte_mbuf** packets, uint16_t n) override { return free_all(packets, n); }
  uint16_t hand_off(uint16_t, rte_mbuf**, uint16_t) override { return 0; }
  void resolve(uint16_t, be32) override {}
  void resolve(uint16_t, const WideAddress&) override {}
  void note(Note, uint32_t, uint32_t) override {}
  // Of the latest SYN-ACK to a client, host order: the cookie of a SYN proxy, most likely.
  uint32_t cookie() const { return cookie_; }

 private:
  static uint16_t free_all(rte_mbuf** packets, uint16_t n) {
    for (uint16_t i = 0; i < n; ++i) rte_pktmbuf_free(packets[i]);
    return n;
  }
  void check(uint16_t port, rte_mbuf* mbuf) {
    __rte_mbuf_sanity_check(mbuf, 1);
    const auto* ethernet = rte_pktmbuf_mtod(mbuf, const net::Ethernet*);
    SLUICE_REQUIRE(ethernet->source == (port == 0 ? kFront : kBack));
    if (ethernet->type != net::kEtherIpv4) return;
    const auto* ip = reinterpret_cast<const net::Ipv4*>(ethernet + 1);
    SLUICE_REQUIRE(ip->version_ihl >> 4 == 4 && ip->header_bytes() >= 20);
    SLUICE_REQUIRE(from_be(ip->total_length) + sizeof *ethernet == rte_pktmbuf_data_len(mbuf));
    SLUICE_REQUIRE(net::fold(net::sum_bytes(ip, ip->header_bytes())) == 0xffff);
    SLUICE_REQUIRE(from_be(ip->total_length) <= 1500);
    SLUICE_REQUIRE(ip->ttl > 0);
    if (port != 0 || ip->protocol != kTcp || ip->header_bytes() != sizeof *ip) return;
    const auto* tcp = reinterpret_cast<const net::Tcp*>(ip + 1);
    constexpr uint8_t kSynAck = net::kSyn | net::kAck;
    if ((tcp->flags & kSynAck) == kSynAck) cookie_ = from_be(tcp->sequence);
  }

  uint32_t cookie_ = 0;
};

inline uint64_t sum_of_ends(Worker& worker) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kEndCount; ++i) sum += worker.counters().block()[i];
  return sum;
}

}  // namespace sluice::fuzz
