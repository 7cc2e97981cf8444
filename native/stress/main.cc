// sluice_stress SECONDS WORKERS [other]: the live engine with a plain main, for the thread
// sanitizer.
//
// Workers forward, hand off, reassemble and translate errors while the main thread publishes
// snapshots, lists connections, traces, captures and reads counters and gauges, as fast as it can.
// `other`: the NICs spread packets by another key than they were told. Status 0: everything
// received has come to an end, and every kind of thing has happened. Before that, the publisher
// alone with two readers.
#include <rte_ethdev.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "engine/live/engine.h"
#include "engine/live/publisher.h"
#include "fuzz/fixture.h"
#include "mempool.h"
#include "onlookers.h"
#include "wire.h"

namespace sluice::stress {
namespace {

constexpr Limits kLimits{1024, 32, 64};
constexpr unsigned kPorts = 2;

EngineOptions options_for(unsigned workers) {
  EngineOptions options;
  options.eal.memory_mib = 256;
  // More workers than CPUs take turns: a thread may be stopped anywhere, which is the point.
  const auto cpus = static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN));
  for (unsigned i = 0; i < workers; ++i) options.eal.worker_cpus.push_back(i % cpus);
  for (unsigned i = 0; i < kPorts; ++i) {
    PortOptions port;
    port.name = i == 0 ? "front" : "back";
    port.device = "net_null" + std::to_string(i);
    port.mac = i == 0 ? fuzz::kFront : fuzz::kBack;
    options.ports.push_back(port);
  }
  options.limits = kLimits;
  options.mbufs = 32768;
  return options;
}

// The fixture's, with one server down, weights turned about or timeouts short.
std::vector<uint8_t> variant(unsigned number) {
  std::vector<uint8_t> bytes = fuzz::snapshot_bytes();
  wire::Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.generation = number + 1;
  for (uint32_t& timeout : header.timeouts) timeout = number % 3 == 0 ? 50 : 60'000;
  std::memcpy(bytes.data(), &header, sizeof header);
  const wire::SectionRef servers = header.sections[wire::kServers];
  for (uint32_t i = 0; i < servers.count; ++i) {
    uint8_t* const at = bytes.data() + servers.offset + i * sizeof(wire::Server);
    wire::Server server;
    std::memcpy(&server, at, sizeof server);
    server.up = number % 5 != i % 5;
    server.weight = 1 + (number + i) % 3;
    std::memcpy(at, &server, sizeof server);
  }
  return bytes;
}

// As the null driver keeps it for us.
PortKey key_of(uint16_t device, unsigned workers, bool other) {
  PortKey nic{{}, Steering::even_table(Steering::kEntries, static_cast<uint16_t>(workers))};
  rte_eth_rss_conf conf{};
  conf.rss_key = nic.key.data();
  conf.rss_key_len = static_cast<uint8_t>(nic.key.size());
  if (rte_eth_dev_rss_hash_conf_get(device, &conf) != 0) throw std::runtime_error("no RSS key");
  if (other) nic.key[1] ^= 0x5a;
  return nic;
}

struct Sums {
  uint64_t ends[kEndCount]{};
  uint64_t extras[kExtraCount]{};
  uint64_t ended = 0;
  uint64_t extra(Extra which) const { return extras[static_cast<size_t>(which)]; }
};

Sums sums_of(const Engine& engine) {
  const CounterOffsets offsets = CounterOffsets::of(kPorts, kLimits);
  Sums sums;
  for (size_t w = 0; w < engine.workers(); ++w) {
    // Counters are written by their worker while others read them: words, never torn.
    const uint64_t* block = engine.counters() + w * offsets.words;
    auto word = [block](size_t at) { return __atomic_load_n(block + at, __ATOMIC_RELAXED); };
    for (size_t i = 0; i < kEndCount; ++i) sums.ends[i] += word(offsets.ends + i);
    for (size_t i = 0; i < kExtraCount; ++i) sums.extras[i] += word(offsets.extra + i);
  }
  for (const uint64_t end : sums.ends) sums.ended += end;
  return sums;
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::exit(1);
}

// What a worker has read is freed after it has left, while another goes on.
void outlive_a_worker() {
  Publisher publisher(2);
  auto publish = [&publisher](uint16_t generation) {
    publisher.publish(std::make_shared<const Fib>(FibInput{}, generation));
  };
  std::atomic<bool> has_left{false}, stop{false};
  publish(1);
  auto read = [&publisher](unsigned worker) {
    require(publisher.fib()->next_hops() != nullptr, "a fib has next hops");
    publisher.quiescent(worker);
  };
  std::thread stays([&] {
    publisher.enter(0);
    while (!stop.load(std::memory_order_relaxed)) read(0);
    publisher.leave(0);
  });
  std::thread leaves([&] {
    publisher.enter(1);
    read(1);
    publisher.leave(1);
    // Orders nothing: that is the publisher's business.
    has_left.store(true, std::memory_order_relaxed);
  });
  while (!has_left.load(std::memory_order_relaxed)) std::this_thread::yield();
  for (publish(2); publisher.waiting() != 0; publisher.reclaim()) std::this_thread::yield();
  stop.store(true, std::memory_order_relaxed);
  leaves.join();
  stays.join();
}

void run(unsigned seconds, unsigned workers, bool other) {
  std::atomic<unsigned> pages{0}, agrees{0}, disagrees{0};
  const EngineOptions options = options_for(workers);
  start_eal(options.eal);
  require(use_visible_pools(), "pools are DPDK's rings");
  rte_mempool* const answers = make_mbuf_pool("answers", 8191, 1500, true);
  std::unique_ptr<Wire> wire;
  Engine engine(options, [&](Event event) {
    if (event.code == "ERR_RSS_DISAGREES") ++disagrees;
    if (event.message.find("brings packets") != std::string::npos) ++agrees;
  });
  std::vector<PortKey> nics;
  for (uint16_t port = 0; port < kPorts; ++port) nics.push_back(key_of(port, workers, other));
  wire = std::make_unique<Wire>(nics, workers, answers);
  engine.publish(variant(1).data(), variant(1).size());
  for (uint16_t port = 0; port < kPorts; ++port) {
    for (uint16_t queue = 0; queue < workers; ++queue) wire->attach(port, port, queue);
  }

  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  Onlookers onlookers(engine.watches());
  unsigned published = 1;
  while (std::chrono::steady_clock::now() < end) {
    const std::vector<uint8_t> bytes = variant(++published);
    engine.publish(bytes.data(), bytes.size());
    engine.connections(published % workers, 0, 256, [&](std::unique_ptr<ConnectionPage> page) {
      if (page) ++pages;
    });
    onlookers.look();
    engine.ports();
    engine.gauges();
    engine.worker_lag_us();
    sums_of(engine);
    usleep(2000);
  }
  engine.stop();

  const Sums sums = sums_of(engine);
  std::printf(
      "%u workers%s: %lu received, %lu handed off, %lu connections made, %u snapshots, "
      "%u listings\n",
      workers, other ? ", another key" : "", sums.extra(Extra::received),
      sums.extra(Extra::handed_off), sums.extra(Extra::connections_created), published,
      pages.load());
  // Rings may still hold what was on its way from one worker to another at the end.
  const uint64_t lost = sums.extra(Extra::received) - sums.ended;
  require(lost <= uint64_t{workers} * workers * Wiring::kPackets, "every packet has an end");
  const bool many = workers > 1;
  require(!many || sums.extra(Extra::handed_off) > 0, "packets were handed off");
  require(sums.extra(Extra::datagrams_reassembled) > 0, "datagrams were reassembled");
  require(pages.load() > 0, "connections were listed");
  require(onlookers.traced() > 0, "packets were traced");
  require(onlookers.captured() > 0, "packets were captured");
  for (const End each : {End::forwarded_nat, End::forwarded_dr, End::forwarded_tun,
                         End::forwarded_fullnat, End::forwarded_enat, End::forwarded_nat_reply,
                         End::forwarded_fullnat_reply, End::forwarded_icmp_error}) {
    require(sums.ends[static_cast<size_t>(each)] > 0, kEnds[static_cast<size_t>(each)].name);
  }
  require(!many || (other ? disagrees : agrees).load() > 0, "the ports were found out");
  wire.reset();
  rte_mempool_free(answers);
}

}  // namespace
}  // namespace sluice::stress

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "sluice_stress SECONDS WORKERS [other]\n");
    return 2;
  }
  try {
    sluice::stress::outlive_a_worker();
    sluice::stress::run(static_cast<unsigned>(std::atoi(argv[1])),
                        static_cast<unsigned>(std::atoi(argv[2])),
                        argc > 3 && std::strcmp(argv[3], "other") == 0);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sluice_stress: %s\n", error.what());
  }
  return 1;
}
