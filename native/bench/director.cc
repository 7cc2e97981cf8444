#include "director.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <vector>

#include "addresses.h"
#include "engine/live/counter_block.h"
#include "engine/snapshot_wire.h"

namespace sluice::bench {
namespace {

WideAddress v4_mapped(be32 address) {
  WideAddress a{};
  a[10] = a[11] = 0xff;
  store(a.data() + 12, address);
  return a;
}

// LVS's defaults, as src/snapshot.ts has them.
constexpr uint32_t kTimeouts[kStates] = {
    2'000,   900'000, 120'000, 60'000, 120'000, 120'000, 10'000, 60'000, 30'000,
    120'000, 120'000, 300'000, 4'000,  61'000,  61'000,  61'000, 61'000, 61'000,
    61'000,  900'000, 61'000,  61'000, 61'000,  4'000,   61'000};

// Appends a snapshot's sections in their order and notes where each lies.
class Writer {
 public:
  Writer() : bytes_(sizeof(wire::Header)) {
    header_.magic = wire::kMagic;
    header_.version = wire::kVersion;
    header_.generation = 1;
    std::copy(std::begin(kTimeouts), std::end(kTimeouts), header_.timeouts);
  }
  template <class Record>
  void section(const std::vector<Record>& records) {
    header_.sections[next_++] = {static_cast<uint32_t>(bytes_.size()),
                                 static_cast<uint32_t>(records.size())};
    const auto* at = reinterpret_cast<const uint8_t*>(records.data());
    bytes_.insert(bytes_.end(), at, at + records.size() * sizeof(Record));
    bytes_.resize((bytes_.size() + 7) & ~size_t{7});
  }
  const std::vector<uint8_t>& finish() {
    header_.total = static_cast<uint32_t>(bytes_.size());
    while (next_ < wire::kSections) header_.sections[next_++].offset = header_.total;
    std::memcpy(bytes_.data(), &header_, sizeof header_);
    return bytes_;
  }

 private:
  wire::Header header_{};
  std::vector<uint8_t> bytes_;
  unsigned next_ = 0;
};

std::vector<uint8_t> snapshot_bytes(const Case& c) {
  const bool six = c.family == 6;
  auto wide = [six](be32 address) { return six ? plan::v6(address) : v4_mapped(address); };
  std::vector<wire::Server> servers;
  std::vector<wire::Neighbour> neighbours{{wide(plan::kRouter), plan::kRouterMac, 0, 0}};
  for (unsigned i = 0; i < plan::kServers; ++i) {
    wire::Server server{};
    server.address = wide(plan::server(i));
    server.port = from_be(plan::kRport);
    server.mode = static_cast<uint8_t>(c.mode);
    server.up = 1;
    server.weight = 1;
    server.slot = i;
    servers.push_back(server);
    neighbours.push_back({wide(plan::server(i)), plan::server_mac(i), 0, 0});
  }
  std::vector<WideAddress> locals, owned{wide(plan::kVip)};
  if (c.mode == Mode::fullnat || c.mode == Mode::enat) {
    for (unsigned i = 0; i < plan::locals_for(c.flows); ++i) locals.push_back(wide(plan::local(i)));
    owned.insert(owned.end(), locals.begin(), locals.end());
  }
  wire::Service service{};
  service.address = owned[0];
  service.port = from_be(plan::kVport);
  service.protocol = c.protocol;
  service.family = static_cast<uint8_t>(c.family);
  service.scheduler = static_cast<uint8_t>(SchedulerKind::rr);
  service.flags = wire::kClientAddress;
  service.toa_kind = 254;
  service.server_count = plan::kServers;
  service.local_count = static_cast<uint32_t>(locals.size());
  wire::Route route{};
  route.address = six ? WideAddress{} : v4_mapped(0);
  route.via = wide(plan::kRouter);
  route.family = static_cast<uint8_t>(c.family);

  Writer writer;
  writer.section(std::vector{service});
  writer.section(servers);
  writer.section(locals);
  writer.section(owned);
  writer.section(std::vector{route});
  writer.section(neighbours);
  const uint8_t length = six ? 120 : 24;
  writer.section(std::vector<wire::PortAddress>{{wide(plan::kDip), length, 0, {}},
                                                {wide(plan::kFrontAddress), length, 0, {}}});
  return writer.finish();
}

}  // namespace

// The configuration's defaults, but for more flows than they have room for.
Limits Director::limits_of(const Case& c, const DirectorOptions& options) {
  const uint32_t room =
      options.connections != 0 ? options.connections : std::max(kDefaultConnections, c.flows);
  return {room, 1024, 8192};
}

Director::Director(const Case& c, rte_mempool* mbufs, const BenchPort& port,
                   const uint64_t* clock_ms, const DirectorOptions& wanted)
    : offsets_(CounterOffsets::of(1, limits_of(c, wanted))),
      block_(make_counter_block(offsets_.words)) {
  WorkerOptions options;
  options.limits = limits_of(c, wanted);
  options.counters = block_;
  options.ports = 1;
  options.mbufs = mbufs;
  lcore_ =
      std::make_unique<Lcore>(options, port.ports(), wiring_, publisher_, wanted.idle, clock_ms);

  const std::vector<uint8_t> bytes = snapshot_bytes(c);
  std::shared_ptr<const Snapshot> snapshot =
      Snapshot::parse(bytes.data(), bytes.size(), options.limits, 1);
  FibInput fib = snapshot->fib_input();
  fib.ports = {{plan::kDirectorMac, BenchPort::kMtu}};
  publisher_.publish(std::make_shared<const Fib>(fib, 1));
  publisher_.publish(std::move(snapshot));
}

// A thread begins with its maker's CPUs, which here is pinned to the one that is measured.
void Director::synchronise(const SyncOptions& options, const std::vector<unsigned>& busy_cpus) {
  cpu_set_t own, all;
  CPU_ZERO(&all);
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &all);
  pthread_getaffinity_np(pthread_self(), sizeof own, &own);
  pthread_setaffinity_np(pthread_self(), sizeof all, &all);
  sync_thread_ = std::make_unique<SyncThread>(
      options, std::vector{lcore_->worker().feeds()}, nullptr, publisher_, wiring_, [](Event) {},
      busy_cpus, lcore_->first_cycle());
  pthread_setaffinity_np(pthread_self(), sizeof own, &own);
}

uint64_t Director::sum_of_ends() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < kEndCount; ++i) sum += block_[offsets_.ends + i];
  return sum;
}

std::string Director::losses() const {
  std::string text;
  for (size_t i = 0; i < kEndCount; ++i) {
    if (kEnds[i].kind == Kind::FORWARDED || block_[i] == 0) continue;
    text +=
        (text.empty() ? "" : ", ") + std::string(kEnds[i].name) + " " + std::to_string(block_[i]);
  }
  return text.empty() ? "none" : text;
}

}  // namespace sluice::bench
