// libFuzzer target: bytes become a series of frames into a worker, from parse to transmit.
//
// Input: records of [control, length (u16 LE), frame bytes]. Control bits 0: port; 1: repair the
// IPv4, ICMP and L4 checksums (so that mutations get past them); 2: repair the destination MAC; 3:
// start a new burst; 4–5: let time pass (0, 1 s, 61 s, 20 min) first; 6: acknowledge the latest
// SYN-ACK's number; 7: answer the latest packet to a server.
#include <rte_mempool.h>

#include <algorithm>

#include "fixture.h"

using namespace sluice;
using namespace sluice::fuzz;

namespace {

struct Director {
  rte_mempool *pool, *datagrams;
  std::unique_ptr<Snapshot> snapshot;
  std::unique_ptr<Fib> fib;

  Director() {
    ensure_eal();
    pool = make_mbuf_pool("fuzz", 1023, 1500, false);
    datagrams = make_mbuf_pool("fuzzd", 31, kMostFragments * 1500, false);
    const std::vector<uint8_t> bytes = snapshot_bytes();
    snapshot = Snapshot::parse(bytes.data(), bytes.size(), kLimits, 2);
    FibInput input = snapshot->fib_input();
    input.ports = {{kFront, 1500}, {kBack, 1500}};
    fib = std::make_unique<Fib>(input, 1);
  }
};

void repair_ipv4(uint8_t* frame, size_t n) {
  if (n < 34) return;
  auto* ip = reinterpret_cast<net::Ipv4*>(frame + 14);
  const size_t header = ip->header_bytes(), total = from_be(ip->total_length);
  if (header < 20 || header > total || total > n - 14) return;
  net::set_ip_checksum(*ip);
  uint8_t* l4 = frame + 14 + header;
  const auto bytes = static_cast<uint16_t>(total - header);
  if (ip->protocol == kTcp && bytes >= sizeof(net::Tcp)) {
    auto* tcp = reinterpret_cast<net::Tcp*>(l4);
    tcp->checksum = 0;
    tcp->checksum = net::l4_checksum(*ip, l4, bytes);
  } else if (ip->protocol == kUdp && bytes >= sizeof(net::Udp)) {
    auto* udp = reinterpret_cast<net::Udp*>(l4);
    if (udp->checksum == 0) return;  // none
    udp->checksum = 0;
    const be16 sum = net::l4_checksum(*ip, l4, bytes);
    udp->checksum = sum == 0 ? be16{0xffff} : sum;
  } else if (ip->protocol == kSctp && bytes >= sizeof(net::Sctp)) {
    reinterpret_cast<net::Sctp*>(l4)->checksum = net::sctp_checksum(l4, bytes);
  } else if (ip->protocol == kIcmp && bytes >= sizeof(net::Icmp)) {
    auto* icmp = reinterpret_cast<net::Icmp*>(l4);
    icmp->checksum = 0;
    icmp->checksum = net::checksum_of(l4, bytes);
  }
}

// Behind extension headers they stay as they are.
void repair_ipv6(uint8_t* frame, size_t n) {
  if (n < 54) return;
  const auto* ip = reinterpret_cast<const net::Ipv6*>(frame + 14);
  const uint16_t bytes = from_be(ip->payload);
  if (bytes > n - 54) return;
  uint8_t* l4 = frame + 54;
  auto set = [&](be16& checksum) {
    checksum = 0;
    const be16 sum = net::l4_checksum(ip->source, ip->destination, ip->next, l4, bytes);
    checksum = ip->next == kUdp && sum == 0 ? be16{0xffff} : sum;
  };
  if (ip->next == kTcp && bytes >= sizeof(net::Tcp)) {
    set(reinterpret_cast<net::Tcp*>(l4)->checksum);
  } else if (ip->next == kUdp && bytes >= sizeof(net::Udp)) {
    set(reinterpret_cast<net::Udp*>(l4)->checksum);
  } else if (ip->next == net::kIcmp6 && bytes >= sizeof(net::Icmp)) {
    set(reinterpret_cast<net::Icmp*>(l4)->checksum);
  } else if (ip->next == kSctp && bytes >= sizeof(net::Sctp)) {
    reinterpret_cast<net::Sctp*>(l4)->checksum = net::sctp_checksum(l4, bytes);
  }
}

bool is_ipv6(const uint8_t* frame) {
  return frame[12] == 0x86 && frame[13] == 0xdd;
}

// Makes a mutated frame's checksums right where its lengths allow it.
void repair(uint8_t* frame, size_t n) {
  if (n < 14) return;
  if (frame[12] == 8 && frame[13] == 0) repair_ipv4(frame, n);
  if (is_ipv6(frame)) repair_ipv6(frame, n);
}

// Has a segment acknowledge a SYN proxy's cookie, which no mutation would hit upon.
void return_cookie(uint8_t* frame, size_t n, uint32_t cookie) {
  if (n < 54) return;
  size_t at = 0;
  if (frame[12] == 8 && frame[13] == 0 && frame[14] == 0x45 && frame[23] == kTcp) at = 34;
  if (is_ipv6(frame) && frame[20] == kTcp) at = 54;
  if (at == 0 || n < at + sizeof(net::Tcp)) return;
  reinterpret_cast<net::Tcp*>(frame + at)->acknowledgement = to_be(cookie + 1);
}

// Makes a frame come from whom the latest packet to a server went to, and go to whom that had come
// from: a local port of FullNAT is nothing that a mutation would hit upon either.
void become_answer(uint8_t* frame, size_t n, const CheckingSink& sink) {
  auto turn = [&](auto* ip, const auto& asked, const Ports& ports) {
    ip->source = asked.destination;
    ip->destination = asked.source;
    store(ip + 1, Ports{ports[1], ports[0]});
  };
  if (n >= 38 && frame[12] == 8 && frame[13] == 0 && frame[14] == 0x45) {
    turn(reinterpret_cast<net::Ipv4*>(frame + 14), sink.to_server4(), sink.ports4());
  } else if (n >= 58 && is_ipv6(frame)) {
    turn(reinterpret_cast<net::Ipv6*>(frame + 14), sink.to_server6(), sink.ports6());
  }
}

void run(Worker& worker, uint16_t port, std::vector<rte_mbuf*>& burst) {
  if (burst.empty()) return;
  worker.receive(port, burst.data(), static_cast<uint16_t>(burst.size()));
  worker.flush();
  burst.clear();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Director director;
  const CounterOffsets offsets = CounterOffsets::of(2, kLimits);
  std::vector<uint64_t> block(offsets.words);
  CheckingSink sink;
  WorkerOptions options;
  options.limits = kLimits;
  options.ports = 2;
  options.counters = block.data();
  options.mbufs = director.pool;
  options.datagrams = director.datagrams;
  options.partial_checksums[0] = true;
  uint64_t offered = 0, now = 1'000'000;
  {
    Worker worker(options, sink);
    worker.begin(now, director.snapshot.get(), director.fib.get());
    std::vector<rte_mbuf*> burst;
    uint16_t port = 0;
    while (size >= 3) {
      const uint8_t control = data[0];
      size_t length = data[1] | data[2] << 8;
      data += 3;
      size -= 3;
      length = std::min(std::min(length, size), size_t{1514});
      static constexpr uint64_t kPass[] = {0, 1'000, 61'000, 1'200'000};
      const uint64_t pass = kPass[control >> 4 & 3];
      if ((control & 1) != port || (control & 8) || pass != 0 || burst.size() == kBurst) {
        run(worker, port, burst);
        now += pass;
        worker.begin(now, director.snapshot.get(), director.fib.get());
        while (!worker.housekeep()) continue;
      }
      port = control & 1;
      rte_mbuf* mbuf = rte_pktmbuf_alloc(director.pool);
      SLUICE_REQUIRE(mbuf != nullptr);
      auto* frame =
          reinterpret_cast<uint8_t*>(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(length)));
      std::memcpy(frame, data, length);
      if ((control & 4) && length >= 6) std::memcpy(frame, (port == 0 ? kFront : kBack).data(), 6);
      if (control & 0x40) return_cookie(frame, length, sink.cookie());
      if (control & 0x80) become_answer(frame, length, sink);
      if (control & 2) repair(frame, length);
      burst.push_back(mbuf);
      ++offered;
      data += length;
      size -= length;
    }
    run(worker, port, burst);
    SLUICE_REQUIRE(sum_of_ends(worker) == offered);
    // Everything expires, and every local port comes back.
    worker.begin(now + 10'000'000, director.snapshot.get(), director.fib.get());
    while (!worker.housekeep(1'000'000)) continue;
    SLUICE_REQUIRE(worker.connections() == 0);
  }
  SLUICE_REQUIRE(rte_mempool_in_use_count(director.pool) == 0);
  SLUICE_REQUIRE(rte_mempool_in_use_count(director.datagrams) == 0);
  return 0;
}
