#include "apply.h"

#include <rte_cycles.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "addresses.h"
#include "engine/error.h"
#include "engine/live/counter_block.h"
#include "engine/live/lcore.h"
#include "engine/live/routing.h"
#include "generator.h"
#include "port.h"

namespace sluice::bench {
namespace {

constexpr uint32_t kConnections = 1'000'000;
constexpr uint32_t kMostBytes = 1u << 30;
// How long a window stays open behind a publication, and how long the calm one beside it is, us.
constexpr unsigned kAfterUs = 50'000;

double ms_since(uint64_t cycle) {
  return static_cast<double>(rte_rdtsc() - cycle) * 1e3 / static_cast<double>(rte_get_tsc_hz());
}

// False at the end of input.
bool read_exactly(void* to, size_t n) {
  for (auto* at = static_cast<uint8_t*>(to); n > 0;) {
    const ssize_t got = ::read(STDIN_FILENO, at, n);
    if (got <= 0) return false;
    at += got;
    n -= static_cast<size_t>(got);
  }
  return true;
}

// Traffic, and the time between two receive calls, which is that between two turns.
class Traffic final : public PortUser {
 public:
  explicit Traffic(const Case& c) : flows_(c.flows), generator_(c) {
    generator_.start(Segment::data, bench::Traffic::request, true);
  }

  uint16_t receive(rte_mbuf** mbufs, uint16_t n) override {
    const uint64_t now = rte_rdtsc();
    const uint64_t gap = now - last_;
    if (gap > worst_.load(std::memory_order_relaxed)) {
      worst_.store(gap, std::memory_order_relaxed);
    }
    last_ = now;
    if (ending_.load(std::memory_order_relaxed)) return 0;
    if (made_ == flows_) generator_.start(Segment::data, bench::Traffic::request, false);
    n = generator_.make(mbufs, n);
    made_ += n;
    return n;
  }
  void transmit(rte_mbuf* const* mbufs, uint16_t n) override {
    for (uint16_t i = 0; i < n; ++i) digest_ += load<Words>(rte_pktmbuf_mtod(mbufs[i], uint8_t*));
    sent_ += n;
  }

  // From another thread: starts a window; the worst gap in us since the last start.
  void open_window() { worst_.store(0, std::memory_order_relaxed); }
  double worst_us() const {
    return static_cast<double>(worst_.load(std::memory_order_relaxed)) * 1e6 /
           static_cast<double>(rte_get_tsc_hz());
  }
  void end() { ending_.store(true, std::memory_order_relaxed); }
  // After the worker has ended.
  uint64_t made() const { return made_; }
  uint64_t sent() const { return sent_; }
  uint64_t digest() const { return digest_[0] ^ digest_[1] ^ digest_[2] ^ digest_[3]; }

 private:
  const uint64_t flows_;
  Generator generator_;
  uint64_t last_ = rte_rdtsc();
  uint64_t made_ = 0, sent_ = 0;
  Words digest_{};
  alignas(64) std::atomic<uint64_t> worst_{0};
  std::atomic<bool> ending_{false};
};

// Read by the worker at the end of a turn.
struct Turn final : Letter {
  explicit Turn(std::atomic<bool>& read) : was_read(read) {}
  void read(Worker&) noexcept override { was_read.store(true, std::memory_order_release); }
  void answer(bool) override {}
  std::atomic<bool>& was_read;
};

class Apply {
 public:
  Apply(const Limits& limits, const Case& c, Host& host)
      : limits_(limits),
        host_(host),
        traffic_(c),
        port_(host.mbufs, traffic_),
        offsets_(CounterOffsets::of(1, limits)),
        block_(make_counter_block(offsets_.words)),
        routing_({{plan::kDirectorMac, BenchPort::kMtu}}, {}, publisher_) {
    WorkerOptions options;
    options.limits = limits;
    options.counters = block_;
    options.ports = 1;
    options.mbufs = host.mbufs;
    lcore_ = std::make_unique<Lcore>(options, port_.ports(), wiring_, publisher_, IdleOptions{});
  }

  Json run() {
    bool started = false;
    for (uint32_t length = 0; read_exactly(&length, sizeof length);) {
      if (length > kMostBytes) throw Error("ERR_BENCH_ARGUMENT", "a snapshot above 1 GiB");
      if (length == 0) {
        traffic_.open_window();
        continue;
      }
      std::vector<uint8_t> bytes(length);
      if (!read_exactly(bytes.data(), length)) {
        throw Error("ERR_BENCH_ARGUMENT", "stdin ended within a snapshot");
      }
      Json answer = publish(bytes, started);
      if (!started) host_.start([this](unsigned) { lcore_->run(); });
      started = true;
      std::puts(answer.text().c_str());
      std::fflush(stdout);
    }
    traffic_.end();
    if (started) wait_turn();
    lcore_->stop();
    host_.join();
    return accounts();
  }

 private:
  Json publish(const std::vector<uint8_t>& bytes, bool runs) {
    const uint64_t start = rte_rdtsc();
    std::shared_ptr<const Snapshot> snapshot =
        Snapshot::parse(bytes.data(), bytes.size(), limits_, 1, publisher_.current().get());
    const double parse_ms = ms_since(start);
    const uint64_t parsed = rte_rdtsc();
    routing_.set_static(snapshot->fib_input(), snapshot->next_hops_wanted(),
                        snapshot->six().next_hops_wanted());
    const double routes_ms = ms_since(parsed);
    const uint64_t routed = rte_rdtsc();
    publisher_.publish(std::move(snapshot));
    if (runs) {
      // The first may belong to a turn that had begun before.
      wait_turn();
      wait_turn();
    }
    const double swap_ms = ms_since(routed);
    Json answer;
    answer.add("parseMs", parse_ms).add("routesMs", routes_ms).add("swapMs", swap_ms);
    if (!runs) return answer;
    usleep(kAfterUs);
    answer.add("gapUs", traffic_.worst_us());
    publisher_.reclaim();
    traffic_.open_window();
    usleep(kAfterUs);
    return answer.add("calmGapUs", traffic_.worst_us());
  }

  void wait_turn() {
    std::atomic<bool> read{false};
    wiring_.mail[0].in.put(std::make_unique<Turn>(read));
    while (!read.load(std::memory_order_acquire)) rte_pause();
  }

  Json accounts() const {
    uint64_t ends = 0;
    for (size_t i = 0; i < kEndCount; ++i) ends += block_[offsets_.ends + i];
    const uint64_t forwarded = block_[static_cast<size_t>(End::forwarded_fullnat)];
    if (ends != traffic_.made() || forwarded != traffic_.sent()) {
      throw Error("ERR_BENCH_VOID",
                  "of " + std::to_string(traffic_.made()) + " packets offered the counters know " +
                      std::to_string(ends) + "; " + std::to_string(forwarded) +
                      " were forwarded, " + std::to_string(traffic_.sent()) + " frames left");
    }
    Json json;
    json.add("scenario", "apply").add("offered", traffic_.made()).add("accounted", ends);
    json.add("lost", traffic_.made() - forwarded);
    return json.add("digest", std::to_string(traffic_.digest()));
  }

  const Limits limits_;
  Host& host_;
  Traffic traffic_;
  BenchPort port_;
  const CounterOffsets offsets_;
  uint64_t* const block_;
  Wiring wiring_{1};
  Publisher publisher_{1};
  Routing routing_;
  std::unique_ptr<Lcore> lcore_;
};

class ApplyScenario final : public Scenario {
 public:
  void parse(Options& options) override {
    limits_.max_connections = kConnections;
    limits_.max_services = static_cast<uint32_t>(options.number("services", 1024, 1, 1 << 20));
    limits_.max_servers = static_cast<uint32_t>(options.number("servers", 8192, 1, 1 << 22));
    case_.flows = static_cast<uint32_t>(options.number("flows", 10'000, 1, kConnections / 2));
  }
  unsigned lcores() const override { return 1; }
  std::vector<Json> run(Host& host) override { return {Apply(limits_, case_, host).run()}; }

 private:
  Limits limits_{};
  Case case_;
};

}  // namespace

std::unique_ptr<Scenario> make_apply() {
  return std::make_unique<ApplyScenario>();
}

}  // namespace sluice::bench
