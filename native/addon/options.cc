#include "options.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr uint32_t kMostConnections = 1u << 28;
constexpr uint32_t kMostSlots = 1u << 20;
constexpr uint32_t kMostServices = 1u << 16;  // a connection keeps its service in 16 bits

PortOptions read_port(const Argument& port, bool live) {
  PortOptions o;
  o.name = port["name"].text();
  if (o.name.empty()) port["name"].fail("a name");
  // RFC 791: every link carries 68 bytes.
  o.mtu = static_cast<uint16_t>(port["mtu"].integer<uint32_t>(68, 65535 - 14));
  if (const Argument mac = port["mac"]; !mac.is_absent()) {
    const auto [bytes, n] = mac.bytes();
    if (n != 6) mac.fail("6 bytes");
    o.mac.emplace();
    std::copy_n(bytes, n, o.mac->begin());
  } else if (!live) {
    mac.fail("6 bytes");
  }
  if (const Argument partial = port["partialChecksums"]; !partial.is_absent()) {
    o.partial_checksums = partial.boolean();
  }
  if (!live) return o;
  o.device = port["device"].text();
  o.twin = port["twin"].text_or("");
  if (const Argument fd = port["twinFd"]; !fd.is_absent()) {
    o.twin_fd = fd.integer<int>(3, INT32_MAX);
  }
  o.queues = port["queues"].integer_or<uint32_t>(0, 1, kMaxWorkers);
  if (const Argument addresses = port["addresses"]; !addresses.is_absent()) {
    for (const Argument& address : addresses.elements(256)) o.addresses.push_back(address.text());
  }
  return o;
}

std::vector<PortOptions> read_ports(const Argument& ports, bool live) {
  std::vector<PortOptions> all;
  for (const Argument& port : ports.elements(kMaxPorts)) {
    all.push_back(read_port(port, live));
    for (size_t i = 0; i + 1 < all.size(); ++i) {
      if (all[i].name == all.back().name) port["name"].fail("unique");
    }
  }
  if (all.empty()) ports.fail("an array of at least one port");
  return all;
}

Distribution read_distribution(const Argument& distribution) {
  constexpr std::pair<const char*, Distribution> kWords[] = {{"inTurn", Distribution::in_turn},
                                                             {"nic", Distribution::nic},
                                                             {"otherKey", Distribution::other_key},
                                                             {"noHash", Distribution::no_hash}};
  const std::string text = distribution.text_or(kWords[0].first);
  for (const auto& [word, value] : kWords) {
    if (text == word) return value;
  }
  distribution.fail("'inTurn', 'nic', 'otherKey' or 'noHash'");
}

EalOptions read_eal(const Argument& eal) {
  EalOptions o;
  o.hugepages = eal["hugepages"].boolean();
  o.memory_mib = eal["memory"].integer<uint32_t>(16, 1u << 20);
  for (const Argument& cpu : eal["workerCpus"].elements(kMaxWorkers)) {
    o.worker_cpus.push_back(cpu.integer<uint32_t>(0, 1023));
    const auto last = o.worker_cpus.end() - 1;
    if (std::find(o.worker_cpus.begin(), last, *last) != last) cpu.fail("a CPU of its own");
  }
  for (const Argument& device : eal["pci"].elements(kMaxPorts)) o.pci.push_back(device.text());
  o.log_level = eal["logLevel"].integer_or<int>(4, 1, 8);
  return o;
}

// -1: all local ports.
int read_port_half(const Argument& half) {
  return half.is_absent() ? -1 : half.integer<int>(0, 1);
}

}  // namespace

Limits read_limits(const Argument& limits) {
  return {limits["maxConnections"].integer<uint32_t>(1, kMostConnections),
          limits["maxServices"].integer<uint32_t>(1, kMostServices),
          limits["maxServers"].integer<uint32_t>(1, kMostSlots)};
}

EngineOptions read_engine_options(const Argument& options) {
  EngineOptions o;
  o.eal = read_eal(options["eal"]);
  if (o.eal.worker_cpus.empty()) options["eal"]["workerCpus"].fail("an array of at least one CPU");
  o.ports = read_ports(options["ports"], true);
  o.limits = read_limits(options["limits"]);
  o.idle.after_us = options["idle"]["afterUs"].integer<uint32_t>(0, 60'000'000);
  // Bounded: timers, requests and stop wait for a sleeping worker.
  o.idle.sleep_us = options["idle"]["sleepUs"].integer<uint32_t>(0, 10'000);
  o.mbufs = options["mbufs"].integer<uint32_t>(1, 1u << 26);
  o.port_half = read_port_half(options["portHalf"]);
  if (const Argument waits = options["waits"]; !waits.is_absent()) o.waits = waits.boolean();
  if (const Argument seed = options["rssSeed"]; !seed.is_absent()) o.rss_seed = seed.bigint();
  if (const Argument seed = options["cookieSeed"]; !seed.is_absent()) o.cookie_seed = seed.bigint();
  return o;
}

ReplayOptions read_replay_options(const Argument& options) {
  ReplayOptions o;
  o.ports = read_ports(options["ports"], false);
  o.limits = read_limits(options["limits"]);
  o.seed = options["seed"].integer<uint64_t>(0, (uint64_t{1} << 53) - 1);
  o.burst = options["burst"].integer<uint32_t>(1, kBurst);
  o.workers = options["workers"].integer_or<uint32_t>(1, 1, kMaxWorkers);
  o.distribution = read_distribution(options["distribution"]);
  o.port_half = read_port_half(options["portHalf"]);
  return o;
}

}  // namespace sluice
