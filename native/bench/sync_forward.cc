#include "sync_forward.h"

#include <pthread.h>
#include <rte_cycles.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "addresses.h"
#include "clock.h"
#include "director.h"
#include "engine/error.h"
#include "frames.h"
#include "histogram.h"

namespace sluice::bench {
namespace {

constexpr uint32_t kRate = 200'000;       // new connections a second of the worker's time
constexpr uint32_t kApart = kRate / 100;  // of them, between the packets of one
constexpr uint32_t kMostNew = 4'000'000;  // in all runs
constexpr uint32_t kBurstRoom = 64;       // left of it when the last job ends
constexpr double kSettleSeconds = 0.4;    // more than sync's `after`
constexpr double kMostBulkSeconds = 10;
constexpr double kTail = 0.999;

enum class What : uint8_t { fill, warm, alone, quiet, begin, synced, bulk };

struct Job {
  What what;
  double seconds = 0;
};

struct Parts {
  Histogram quiet, bulk;  // turns by the thread's own time, ns
  std::vector<Run> alone, synced;
  uint64_t offered = 0, accounted = 0;
  uint64_t begun = 0, told = 0, overflowed = 0;  // of the runs with sync
  uint64_t bulk_swept = 0, bulk_packets = 0;
};

class SyncForward final : public PortUser {
 public:
  SyncForward(const Case& c, uint32_t established, unsigned runs, double seconds, Host& host)
      : six_(c.family == 6),
        established_(established),
        frame_(kUdp, Segment::data, false, 64, c.family),
        port_(host.mbufs, *this),
        director_(c, host.mbufs, port_) {
    script_ = {{What::fill}, {What::warm, seconds}, {What::warm, seconds}, {What::warm, seconds}};
    for (unsigned i = 0; i < runs; ++i) script_.push_back({What::alone, seconds});
    script_.push_back({What::quiet, seconds});
    script_.push_back({What::begin, kSettleSeconds});
    for (unsigned i = 0; i < runs; ++i) script_.push_back({What::synced, seconds});
    script_.push_back({What::bulk, kMostBulkSeconds});
    director_.synchronise(sync_options(), host.cpus);
  }

  Parts run() {
    director_.run();
    if (!failure_.empty()) throw Error("ERR_BENCH_VOID", failure_);
    return std::move(parts_);
  }

  uint16_t receive(rte_mbuf** mbufs, uint16_t n) override;
  void transmit(rte_mbuf* const* mbufs, uint16_t n) override {
    for (uint16_t i = 0; i < n; ++i) digest_ += load<Words>(rte_pktmbuf_mtod(mbufs[i], void*));
  }

 private:
  static SyncOptions sync_options() {
    SyncOptions options;
    options.settings.adopts = false;
    options.socket.interface = "lo";
    options.socket.destination = plan::v4(127, 0, 0, 1);
    options.socket.port = static_cast<uint16_t>(20'000 + getpid() % 20'000);
    return options;
  }

  void write(rte_mbuf* mbuf, uint32_t flow) const {
    const be32 client = plan::client(flow);
    if (six_) {
      frame_.head().write_request<V6>(mbuf, flow, client, plan::client_port(flow));
    } else {
      frame_.head().write_request(mbuf, flow, client, plan::client_port(flow));
    }
  }
  uint16_t make(const Job& job, rte_mbuf** mbufs, uint16_t n);
  // A system call a turn: not where speed is measured.
  static bool looks_at_turns(const Job& job) {
    return job.what == What::quiet || job.what == What::bulk;
  }
  bool is_over(const Job& job, uint64_t now);
  void begin(const Job& job);
  void end(const Job& job, uint64_t now);
  // Of the family's feed.
  template <class Use>
  auto with_feed(Use&& use) {
    const sync::Feeds feeds = director_.worker().feeds();
    return six_ ? use(*feeds.six) : use(*feeds.four);
  }
  const sync::FeedFigures& figures() {
    return *with_feed([](auto& feed) { return &feed.figures; });
  }
  void fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
  }

  const bool six_;
  const uint32_t established_;
  const Frame frame_;
  BenchPort port_;
  Director director_;
  std::vector<Job> script_;
  size_t at_ = 0;
  bool started_ = false;
  uint32_t filled_ = 0, begun_ = 0;
  uint64_t every_ = 0;  // packets to a new connection; 0: none
  uint64_t since_ = 0;  // packets since the last
  uint64_t random_ = 0x9e3779b97f4a7c15u;
  uint64_t made_ = 0, first_cycle_ = 0, first_ns_ = 0, turn_ns_ = 0;
  struct Before {
    uint64_t ends, forwarded, told, overflowed, swept;
    uint32_t begun;
  } before_{};
  Words digest_{};
  Parts parts_;
  std::string failure_;
};

uint16_t SyncForward::make(const Job& job, rte_mbuf** mbufs, uint16_t n) {
  if (job.what == What::fill) {
    uint16_t made = 0;
    while (made < n && filled_ < established_) write(mbufs[made++], filled_++);
    return made;
  }
  for (uint16_t made = 0; made < n; ++made) {
    if (every_ != 0 && ++since_ >= every_ && made + 1 < n) {
      since_ = 0;
      write(mbufs[made++], established_ + begun_);
      write(mbufs[made], established_ + (begun_ < kApart ? 0 : begun_ - kApart));
      ++begun_;
      continue;
    }
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    write(mbufs[made], static_cast<uint32_t>(((random_ >> 32) * established_) >> 32));
  }
  return n;
}

bool SyncForward::is_over(const Job& job, uint64_t now) {
  if (job.what == What::fill) return filled_ == established_;
  const auto passed = static_cast<double>(now - first_cycle_);
  const bool late = passed >= job.seconds * static_cast<double>(rte_get_tsc_hz());
  if (job.what != What::bulk) return late;
  // A share of new connections that was found in a disturbed moment may be far too high.
  const bool through = !with_feed([](auto& feed) { return feed.sweep.everything; });
  return late || begun_ >= kMostNew - kBurstRoom || through;
}

// Between two turns all frames made before have left.
uint16_t SyncForward::receive(rte_mbuf** mbufs, uint16_t n) {
  const uint64_t now = rte_rdtsc();
  if (started_) {
    if (looks_at_turns(script_[at_])) {
      Histogram& turns = script_[at_].what == What::bulk ? parts_.bulk : parts_.quiet;
      turns.add(thread_ns() - turn_ns_);
    }
    if (is_over(script_[at_], now)) end(script_[at_], now);
  }
  if (!failure_.empty() || at_ == script_.size()) {
    director_.stop();
    return 0;
  }
  if (!started_) begin(script_[at_]);
  n = make(script_[at_], mbufs, n);
  made_ += n;
  if (looks_at_turns(script_[at_])) turn_ns_ = thread_ns();
  return n;
}

void SyncForward::begin(const Job& job) {
  if (job.what == What::begin) {
    sync::FeedOptions options;
    options.tells = true;
    director_.worker().start_sync(options);
  } else if (job.what == What::bulk) {
    with_feed([](auto& feed) {
      feed.sweeps_wanted.fetch_add(1);
      feed.sweep.everything = true;  // the worker sees the wish in its next turn
    });
  }
  before_ = {director_.sum_of_ends(), director_.end(End::forwarded_fullnat),
             figures().told.load(),   figures().overflowed.load(),
             figures().swept.load(),  begun_};
  made_ = 0;
  started_ = true;
  first_ns_ = turn_ns_ = thread_ns();
  first_cycle_ = rte_rdtsc();
}

void SyncForward::end(const Job& job, uint64_t now) {
  const Run run{made_, now - first_cycle_, thread_ns() - first_ns_};
  const uint64_t accounted = director_.end(End::forwarded_fullnat) - before_.forwarded;
  if (accounted != made_ || director_.sum_of_ends() - before_.ends != made_) {
    fail("of " + std::to_string(made_) + " packets " + std::to_string(accounted) +
         " were forwarded; losses: " + director_.losses());
  }
  if (begun_ > kMostNew) fail("more new connections than there is room for");
  parts_.offered += made_;
  parts_.accounted += accounted;
  switch (job.what) {
    case What::fill:
    case What::quiet:
    case What::begin:
      break;
    case What::warm:
      every_ = run.packets * 1'000'000'000 / (uint64_t{kRate} * std::max<uint64_t>(run.cpu_ns, 1));
      every_ = std::max<uint64_t>(every_, 3);
      break;
    case What::alone:
      parts_.alone.push_back(run);
      break;
    case What::synced:
      parts_.synced.push_back(run);
      parts_.begun += begun_ - before_.begun;
      parts_.told += figures().told.load() - before_.told;
      parts_.overflowed += figures().overflowed.load() - before_.overflowed;
      break;
    case What::bulk:
      parts_.bulk_packets = run.packets;
      parts_.bulk_swept = figures().swept.load() - before_.swept;
      break;
  }
  started_ = false;
  ++at_;
}

class SyncForwardScenario final : public Scenario {
 public:
  void parse(Options& options) override {
    runs_ = static_cast<unsigned>(options.number("runs", 5, 1, 1000));
    seconds_ = options.seconds("milliseconds", 0.3);
    connections_ = static_cast<uint32_t>(options.number("connections", 100'000, 1000, 1'000'000));
    family_ = family_of(options.text("family", "4"));
  }
  std::vector<Json> run(Host& host) override {
    Case c;
    c.family = family_;
    c.flows = connections_ + kMostNew;
    const Parts parts = SyncForward(c, connections_, runs_, seconds_, host).run();
    Json json;
    json.add("connections", connections_)
        .add("alone", json_of(parts.alone))
        .add("synced", json_of(parts.synced))
        .add("begun", parts.begun)
        .add("told", parts.told)
        .add("overflowed", parts.overflowed)
        .add("quietNs", parts.quiet.quantile(kTail))
        .add("quietMostNs", parts.quiet.most())
        .add("bulkNs", parts.bulk.quantile(kTail))
        .add("bulkMostNs", parts.bulk.most())
        .add("bulkTold", parts.bulk_swept)
        .add("bulkPackets", parts.bulk_packets)
        .add("offered", parts.offered)
        .add("accounted", parts.accounted);
    return {json};
  }

 private:
  unsigned runs_ = 5;
  double seconds_ = 0.3;
  uint32_t connections_ = 100'000;
  unsigned family_ = 4;
};

}  // namespace

std::unique_ptr<Scenario> make_sync_forward() {
  return std::make_unique<SyncForwardScenario>();
}

}  // namespace sluice::bench
