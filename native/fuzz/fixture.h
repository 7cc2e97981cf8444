// A director in memory for the fuzzers: services of both families in every mode, two ports, and a
// Sink that checks each frame that leaves.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/net/checksum.h"
#include "engine/net/headers.h"
#include "engine/net/ipv6.h"
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

enum class Net { front, back, vip };

// 192.0.2.LAST, 198.51.100.LAST, 203.0.113.LAST; 2001:db8:1::LAST, 2001:db8:2::LAST,
// 2001:db8:f::LAST.
inline WideAddress address_of(uint8_t family, Net net, uint8_t last) {
  if (family == 4) {
    if (net == Net::front) return wide(v4(192, 0, 2, last));
    return wide(net == Net::back ? v4(198, 51, 100, last) : v4(203, 0, 113, last));
  }
  WideAddress a{0x20, 0x01, 0x0d, 0xb8};
  a[5] = net == Net::front ? 1 : net == Net::back ? 2 : 15;
  a[15] = last;
  return a;
}

// What services take of a snapshot.
struct Served {
  std::vector<wire::Service> services;
  std::vector<wire::Server> servers;
  std::vector<WideAddress> locals, owned;
};

// Two servers by `mode`: IPIP and GUE, GRE and GUE with checksums. UDP's second tunnel leads to a
// server of the other family.
inline void add_servers(Served& all, uint8_t family, Mode mode, uint8_t protocol) {
  for (uint8_t i = 0; i < 2; ++i) {
    wire::Server server{};
    const bool crosses = mode == Mode::tun && protocol == kUdp && i == 1;
    const uint8_t its = crosses ? 10 - family : family;
    server.address = address_of(its, Net::back, static_cast<uint8_t>(11 + i));
    server.port = static_cast<uint16_t>(8000 + static_cast<unsigned>(mode));
    server.mode = static_cast<uint8_t>(mode);
    server.up = 1;
    server.weight = 1 + i;
    server.slot = static_cast<uint32_t>(all.servers.size());
    server.wrap = static_cast<uint8_t>(protocol == kUdp ? 2 + 2 * i : 3 * i);
    server.tunnel_port = 6080;
    all.servers.push_back(server);
  }
}

// One service a mode and protocol: VIP 203.0.113.(10 + mode), or 2001:db8:f:: and that number, port
// 80 (TCP, and SCTP where the mode takes it) or 53 (UDP). TCP by NAT and FullNAT once more, behind
// a SYN proxy, at (20 + mode).
inline void add_services(Served& all, uint8_t family) {
  const auto local = static_cast<uint32_t>(all.locals.size());
  all.locals.push_back(address_of(family, Net::back, 200));
  all.owned.push_back(all.locals.back());
  for (unsigned number = 0; number < kModes; ++number) {
    const auto mode = static_cast<Mode>(number);
    if (mode == Mode::enat && family == 6) continue;
    for (const uint8_t protocol : {kTcp, kUdp, kSctp}) {
      if (protocol == kSctp && mode == Mode::enat) continue;
      wire::Service s{};
      s.address = address_of(family, Net::vip, static_cast<uint8_t>(10 + number));
      s.port = protocol == kUdp ? 53 : 80;
      s.protocol = protocol;
      s.family = family;
      s.scheduler = static_cast<uint8_t>(number);
      s.flags = wire::kClientAddress | (mode == Mode::tun ? wire::kResetOnServerRemoved : 0);
      s.toa_kind = 254;
      s.slot = static_cast<uint32_t>(all.services.size());
      s.first_server = static_cast<uint32_t>(all.servers.size());
      s.server_count = 2;
      s.first_local = local;
      s.local_count = 1;
      all.services.push_back(s);
      if (protocol == kTcp) all.owned.push_back(s.address);
      add_servers(all, family, mode, protocol);
      if (protocol != kTcp || (mode != Mode::nat && mode != Mode::fullnat)) continue;
      s.address = address_of(family, Net::vip, static_cast<uint8_t>(20 + number));
      s.slot = static_cast<uint32_t>(all.services.size());
      s.syn_proxy = 1;
      all.services.push_back(s);
      all.owned.push_back(s.address);
    }
  }
}

inline std::vector<uint8_t> snapshot_bytes() {
  Served all;
  std::vector<wire::Route> routes(2);
  std::vector<wire::Neighbour> neighbours;
  std::vector<wire::PortAddress> addresses;
  auto neighbour = [&](const WideAddress& address, uint8_t port) {
    neighbours.push_back(
        {address, {2, 0, 0, 0, 9, static_cast<uint8_t>(neighbours.size())}, port, 0});
  };
  for (const uint8_t family : {uint8_t{4}, uint8_t{6}}) {
    add_services(all, family);
    wire::Route& route = routes[family == 6];
    route.address = family == 4 ? wide(0) : WideAddress{};
    route.via = address_of(family, Net::front, 254);
    route.family = family;
    neighbour(route.via, 0);
    neighbour(address_of(family, Net::back, 11), 1);
    neighbour(address_of(family, Net::back, 12), 1);
    const uint8_t length = family == 4 ? 24 : 64;
    addresses.push_back({address_of(family, Net::front, 1), length, 0, {}});
    addresses.push_back({address_of(family, Net::back, 1), length, 1, {}});
  }

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
  section(all.services);
  section(all.servers);
  section(all.locals);
  section(all.owned);
  section(routes);
  section(neighbours);
  section(addresses);
  header.total = static_cast<uint32_t>(bytes.size());
  while (next < wire::kSections) header.sections[next++].offset = header.total;
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

// Source and destination.
using Ports = std::array<be16, 2>;

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
  // Of the latest packets to servers, with the ports that followed their headers.
  const net::Ipv4& to_server4() const { return to_server4_; }
  const net::Ipv6& to_server6() const { return to_server6_; }
  const Ports& ports4() const { return ports4_; }
  const Ports& ports6() const { return ports6_; }

 private:
  static uint16_t free_all(rte_mbuf** packets, uint16_t n) {
    for (uint16_t i = 0; i < n; ++i) rte_pktmbuf_free(packets[i]);
    return n;
  }
  void check(uint16_t port, rte_mbuf* mbuf) {
    __rte_mbuf_sanity_check(mbuf, 1);
    const auto* ethernet = rte_pktmbuf_mtod(mbuf, const net::Ethernet*);
    SLUICE_REQUIRE(ethernet->source == (port == 0 ? kFront : kBack));
    const auto bytes = rte_pktmbuf_data_len(mbuf) - sizeof *ethernet;
    if (ethernet->type == net::kEtherIpv4) {
      check_ipv4(port, reinterpret_cast<const net::Ipv4*>(ethernet + 1), bytes);
    } else if (ethernet->type == net::kEtherIpv6) {
      check_ipv6(port, reinterpret_cast<const net::Ipv6*>(ethernet + 1), bytes);
    }
  }
  void check_ipv4(uint16_t port, const net::Ipv4* ip, size_t bytes) {
    SLUICE_REQUIRE(ip->version_ihl >> 4 == 4 && ip->header_bytes() >= 20);
    SLUICE_REQUIRE(from_be(ip->total_length) == bytes && bytes <= 1500);
    SLUICE_REQUIRE(net::fold(net::sum_bytes(ip, ip->header_bytes())) == 0xffff);
    SLUICE_REQUIRE(ip->ttl > 0);
    const bool bare = ip->header_bytes() == sizeof *ip;
    if (!bare || !has_ports(ip->protocol)) return;
    if (port == 0) return look_for_cookie(ip->protocol, ip + 1);
    to_server4_ = *ip;
    ports4_ = load<Ports>(ip + 1);
  }
  void check_ipv6(uint16_t port, const net::Ipv6* ip, size_t bytes) {
    SLUICE_REQUIRE(ip->version() == 6);
    SLUICE_REQUIRE(from_be(ip->payload) + sizeof *ip == bytes && bytes <= 1500);
    SLUICE_REQUIRE(ip->hops > 0);
    if (!has_ports(ip->next)) return;
    if (port == 0) return look_for_cookie(ip->next, ip + 1);
    to_server6_ = *ip;
    ports6_ = load<Ports>(ip + 1);
  }
  static bool has_ports(uint8_t protocol) {
    return protocol == kTcp || protocol == kUdp || protocol == kSctp;
  }
  void look_for_cookie(uint8_t protocol, const void* segment) {
    if (protocol != kTcp) return;
    const auto* tcp = static_cast<const net::Tcp*>(segment);
    constexpr uint8_t kSynAck = net::kSyn | net::kAck;
    if ((tcp->flags & kSynAck) == kSynAck) cookie_ = from_be(tcp->sequence);
  }

  uint32_t cookie_ = 0;
  net::Ipv4 to_server4_{};
  net::Ipv6 to_server6_{};
  Ports ports4_{}, ports6_{};
};

inline uint64_t sum_of_ends(Worker& worker) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kEndCount; ++i) sum += worker.counters().block()[i];
  return sum;
}

}  // namespace sluice::fuzz
