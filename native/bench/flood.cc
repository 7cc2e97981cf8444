#include "flood.h"

#include <rte_cycles.h>

#include <algorithm>
#include <string>
#include <vector>

#include "clock.h"
#include "director.h"
#include "engine/error.h"
#include "flood_traffic.h"
#include "floor.h"
#include "histogram.h"
#include "pace.h"
#include "stamp.h"

namespace sluice::bench {
namespace {

constexpr unsigned kHardest = 20;  // the factor that capacity is measured with
constexpr unsigned kRing = 1024;   // descriptors of the receive ring
constexpr uint64_t kStartMs = 1000;
constexpr uint64_t kLastingMs = 2100;  // UDP counts as lasting
constexpr unsigned kSettleTurns = 1 << 14;
constexpr double kStageSeconds = 0.005;  // between two packets of a new connection

struct FloodOptions {
  unsigned factor = kHardest;
  uint32_t flows = 65'536;
  uint32_t connections = 262'144;
  double load = 0.5;
  unsigned runs = 5;
  double seconds = 0.3;
};

struct Job {
  enum What : uint8_t { fill, jump, settle, calibrate, full_speed, floor, quiet, flooded } what;
  Segment segment = Segment::data;  // fill
  bool reply = false;
  uint64_t ms = 0;     // jump
  double seconds = 0;  // of those that take a while
  bool measured = false;
};

// A run of arrivals at their own pace.
struct Arrived {
  uint64_t offered[FloodTraffic::kKinds]{}, served[FloodTraffic::kKinds]{};
  uint64_t missed = 0;   // found the receive ring full
  uint64_t unasked = 0;  // answers to requests that were lost: never sent
  uint64_t evicted = 0;
  uint64_t cycles = 0;
  Histogram latency;  // legitimate packets, arrival to transmission, TSC cycles
};

Json json_of(const Arrived& a) {
  return Json()
      .add("established", a.offered[FloodTraffic::established])
      .add("establishedServed", a.served[FloodTraffic::established])
      .add("fresh", a.offered[FloodTraffic::fresh])
      .add("freshServed", a.served[FloodTraffic::fresh])
      .add("flood", a.offered[FloodTraffic::flood])
      .add("missed", a.missed)
      .add("unasked", a.unasked)
      .add("evicted", a.evicted)
      .add("cycles", a.cycles)
      .add("p50Cycles", a.latency.quantile(0.5))
      .add("p99Cycles", a.latency.quantile(0.99))
      .add("maxCycles", a.latency.most());
}

class Flood final : public PortUser {
 public:
  Flood(const Case& c, const FloodOptions& options, rte_mempool* mbufs)
      : case_(c),
        options_(options),
        traffic_(c, options.flows),
        port_(mbufs, *this),
        director_(c, mbufs, port_, &now_ms_, {options.connections, {1000, 0}}) {
    write_script();
  }

  Json run() {
    director_.run();
    if (failure_.empty() && at_ < script_.size()) fail("the script did not end");
    if (!failure_.empty()) throw Error("ERR_BENCH_VOID", case_.name() + ": " + failure_);
    auto arrived = [](const std::vector<Arrived>& runs) {
      std::vector<Json> all;
      for (const Arrived& each : runs) all.push_back(json_of(each));
      return all;
    };
    return Json()
        .add("scenario", "flood")
        .add("mode", name_of(case_.mode))
        .add("protocol", case_.protocol == kTcp ? "tcp" : "udp")
        .add("kind", case_.protocol == kTcp ? "syn" : "udp")
        .add("factor", options_.factor)
        .add("flows", options_.flows)
        .add("connections", options_.connections)
        .add("capacityNs", capacity_ns_)
        .add("legitimateCycles", legitimate_cycles_)
        .add("director", json_of(full_speed_))
        .add("floor", json_of(floors_))
        .add("quiet", arrived(quiet_))
        .add("flooded", arrived(flooded_))
        .add("offered", offered_)
        .add("accounted", accounted_)
        .add("digest", std::to_string(digest_));
  }

  uint16_t receive(rte_mbuf** mbufs, uint16_t n) override;
  void transmit(rte_mbuf* const* mbufs, uint16_t n) override;

 private:
  void write_script();
  bool begin(const Job& job);
  bool is_over(const Job& job, uint64_t now) const;
  void end(const Job& job, uint64_t now);
  uint16_t make(const Job& job, rte_mbuf** mbufs, uint16_t n, uint64_t now);
  uint16_t make_arrivals(rte_mbuf** mbufs, uint16_t n, uint64_t now);
  static bool is_paced(const Job& job) {
    return job.what == Job::quiet || job.what == Job::flooded;
  }
  uint64_t evicted() const {
    return director_.extra(Extra::evicted_half_open) + director_.extra(Extra::evicted_closed) +
           director_.extra(Extra::evicted_udp);
  }
  void fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
  }

  const Case case_;
  const FloodOptions options_;
  FloodTraffic traffic_;
  Frame fill_;
  BenchPort port_;
  uint64_t now_ms_ = kStartMs, skipped_ms_ = kStartMs;
  const uint64_t first_tsc_ = rte_rdtsc();
  Director director_;
  Floor floor_{port_, director_};
  OwnClock clock_{0};
  Pace pace_;
  Stamp stamp_;
  std::vector<Job> script_;
  size_t at_ = 0;
  bool started_ = false;
  uint64_t first_cycle_ = 0, first_ns_ = 0, made_ = 0, ends_before_ = 0, evicted_before_ = 0;
  uint64_t served_ = 0;  // of the job, all kinds
  double capacity_ns_ = 0, legitimate_cycles_ = 0;
  std::vector<Run> full_speed_, floors_;
  std::vector<Arrived> quiet_, flooded_;
  Arrived* arrived_ = nullptr;  // of the run that is on
  uint64_t offered_ = 0, accounted_ = 0, digest_ = 0;
  std::string failure_;
};

void Flood::write_script() {
  auto fill = [&](Segment segment, bool reply) { script_.push_back({Job::fill, segment, reply}); };
  const bool tcp = case_.protocol == kTcp;
  if (tcp) {
    fill(Segment::syn, false);
    if (case_.sees_replies()) fill(Segment::syn_ack, true);
    fill(Segment::ack, false);
  }
  auto refresh = [&] {
    for (unsigned i = 0; i < 3; ++i) fill(Segment::data, false);
    if (case_.sees_replies()) fill(Segment::data, true);
  };
  auto jump = [&](uint64_t ms) {
    script_.push_back({Job::jump, Segment::data, false, ms});
    script_.push_back({Job::settle});
  };
  auto take = [&](Job::What what, double seconds, bool measured) {
    script_.push_back({what, Segment::data, false, 0, seconds, measured});
  };
  refresh();
  jump(kLastingMs);
  refresh();
  take(Job::calibrate, options_.seconds, false);
  take(Job::calibrate, options_.seconds, true);
  // Longer than any timeout of what the flood has left: in two steps, as the established would
  // expire as well.
  for (unsigned i = 0; i < 2; ++i) {
    jump(200'000);
    refresh();
  }
  take(Job::quiet, options_.seconds / 2, false);
  for (unsigned i = 0; i < options_.runs; ++i) take(Job::quiet, options_.seconds, true);
  take(Job::full_speed, options_.seconds, false);
  for (unsigned i = 0; i < options_.runs; ++i) {
    take(Job::flooded, options_.seconds / 10, false);
    take(Job::flooded, options_.seconds, true);
    take(Job::full_speed, options_.seconds / 2, true);
    take(Job::floor, options_.seconds / 10, false);
    take(Job::floor, options_.seconds / 2, true);
  }
}

bool Flood::is_over(const Job& job, uint64_t now) const {
  switch (job.what) {
    case Job::fill:
      return made_ == options_.flows;
    case Job::jump:
      return true;
    case Job::settle:
      return made_ == kSettleTurns;
    default:
      return static_cast<double>(now - first_cycle_) >=
             job.seconds * static_cast<double>(rte_get_tsc_hz());
  }
}

uint16_t Flood::receive(rte_mbuf** mbufs, uint16_t n) {
  const uint64_t now = clock_.now();
  now_ms_ = skipped_ms_ + (rte_rdtsc() - first_tsc_) / (rte_get_tsc_hz() / 1000);
  if (started_ && is_over(script_[at_], now)) end(script_[at_], now);
  if (!failure_.empty() || at_ == script_.size()) {
    floor_.leave();
    director_.stop();
    return 0;
  }
  const Job& job = script_[at_];
  if (!started_ && !begin(job)) return 0;
  return make(job, mbufs, n, now);
}

// False when the job has to wait for the loop to come to its place.
bool Flood::begin(const Job& job) {
  if ((job.what == Job::floor) != floor_.runs()) {
    if (floor_.runs()) {
      floor_.leave();
    } else {
      floor_.enter();
    }
    return false;
  }
  started_ = true;
  made_ = served_ = 0;
  arrived_ = nullptr;
  ends_before_ = director_.sum_of_ends();
  evicted_before_ = evicted();
  if (job.what == Job::fill) fill_ = Frame(case_.protocol, job.segment, job.reply, 64);
  if (job.what == Job::jump) skipped_ms_ += job.ms;
  const unsigned factor = job.what == Job::calibrate ? kHardest
                          : job.what == Job::quiet   ? 0
                                                     : options_.factor;
  traffic_.mix(factor, job.what != Job::floor);
  if (is_paced(job)) {
    auto& runs = job.what == Job::quiet ? quiet_ : flooded_;
    runs.emplace_back();
    arrived_ = &runs.back();
  }
  first_ns_ = thread_ns();
  first_cycle_ = clock_.now();
  if (arrived_ != nullptr) pace_.start(first_cycle_, legitimate_cycles_ / (factor + 1));
  return true;
}

uint16_t Flood::make(const Job& job, rte_mbuf** mbufs, uint16_t n, uint64_t now) {
  switch (job.what) {
    case Job::jump:
      return 0;
    case Job::settle:
      ++made_;
      return 0;
    case Job::fill:
      n = static_cast<uint16_t>(std::min<uint64_t>(n, options_.flows - made_));
      for (uint16_t i = 0; i < n; ++i) {
        traffic_.write_established(mbufs[i], static_cast<uint32_t>(made_++), fill_, job.reply);
      }
      return n;
    case Job::quiet:
    case Job::flooded:
      return make_arrivals(mbufs, n, now);
    default:
      for (uint16_t made = 0; made < n;) {
        const FloodTraffic::Next next = traffic_.next();
        if (traffic_.can_be(next)) traffic_.write(next, mbufs[made++]);
      }
      made_ += n;
      return n;
  }
}

uint16_t Flood::make_arrivals(rte_mbuf** mbufs, uint16_t n, uint64_t now) {
  const auto ring = static_cast<uint64_t>(kRing * pace_.mean());
  uint16_t made = 0;
  for (; made < n && pace_.arrival() <= now; pace_.next()) {
    const FloodTraffic::Next next = traffic_.next();
    ++arrived_->offered[next.kind];
    if (now - pace_.arrival() > ring) {
      ++arrived_->missed;
    } else if (!traffic_.can_be(next)) {
      ++arrived_->unasked;
    } else {
      traffic_.write(next, mbufs[made]);
      stamp_(mbufs[made++]) = pace_.arrival();
    }
  }
  made_ += made;
  return made;
}

void Flood::end(const Job& job, uint64_t now) {
  const Run run{made_, now - first_cycle_, thread_ns() - first_ns_};
  const uint64_t accounted = director_.sum_of_ends() - ends_before_;
  started_ = false;
  ++at_;
  if (job.what == Job::settle || job.what == Job::jump) return;
  if (job.what == Job::floor) {
    if (job.measured) floors_.push_back(run);
    return;
  }
  if (accounted != made_) {
    fail("of " + std::to_string(made_) + " packets given to the director its counters know " +
         std::to_string(accounted));
  }
  if (job.what == Job::fill && served_ != made_) {
    fail("of " + std::to_string(made_) + " packets of established connections " +
         std::to_string(served_) + " were served; losses: " + director_.losses());
  }
  if (job.measured) {
    offered_ += made_;
    accounted_ += accounted;
  }
  if (arrived_ != nullptr) {
    arrived_->cycles = run.cycles;
    arrived_->evicted = evicted() - evicted_before_;
    if (!job.measured) (job.what == Job::quiet ? quiet_ : flooded_).pop_back();
    arrived_ = nullptr;
  }
  if (job.what == Job::calibrate) {
    capacity_ns_ = static_cast<double>(run.cpu_ns) / static_cast<double>(run.packets);
    const double cycles = capacity_ns_ * static_cast<double>(rte_get_tsc_hz()) / 1e9;
    legitimate_cycles_ = cycles * (kHardest + 1) / options_.load;
    const double connections = static_cast<double>(rte_get_tsc_hz()) / legitimate_cycles_ /
                               FloodTraffic::kFreshEvery / traffic_.stages();
    const double most = FloodTraffic::kInHand / 2.0 / traffic_.stages();
    traffic_.set_apart(static_cast<uint32_t>(std::clamp(connections * kStageSeconds, 1.0, most)));
  }
  if (job.what == Job::full_speed && job.measured) full_speed_.push_back(run);
}

void Flood::transmit(rte_mbuf* const* mbufs, uint16_t n) {
  const uint64_t now = clock_.now();
  for (uint16_t i = 0; i < n; ++i) {
    const auto* at = rte_pktmbuf_mtod(mbufs[i], const uint64_t*);
    for (unsigned word = 0; word < Head::kBytes / 8; ++word) digest_ += at[word];
    if (floor_.runs() || !traffic_.is_served(mbufs[i])) continue;
    ++served_;
    if (arrived_ == nullptr) continue;
    const FloodTraffic::Kind kind = FloodTraffic::kind_of(mbufs[i]);
    ++arrived_->served[kind];
    if (kind != FloodTraffic::flood) arrived_->latency.add(now - stamp_(mbufs[i]));
  }
}

class FloodScenario final : public Scenario {
 public:
  void parse(Options& options) override {
    options_.factor = static_cast<unsigned>(options.number("factor", options_.factor, 0, 1000));
    options_.connections = static_cast<uint32_t>(
        options.number("connections", options_.connections, 1024, plan::kMostFlows));
    options_.load = static_cast<double>(options.number("load", 50, 1, 100)) / 100;
    options_.runs = static_cast<unsigned>(options.number("runs", options_.runs, 1, 1000));
    options_.seconds = options.seconds("milliseconds", options_.seconds);
    options_.flows =
        static_cast<uint32_t>(options.number("flows", options_.flows, 1, plan::kMostFlows));
    case_.mode = mode_of(options.text("mode", name_of(case_.mode)));
    case_.protocol = protocol_of(options.text("protocol", "tcp"));
    case_.flows = options_.flows;
    if (options_.flows > options_.connections) {
      throw Error("ERR_BENCH_ARGUMENT", "--flows: more than there is room for");
    }
  }
  std::vector<Json> run(Host& host) override {
    std::vector<Json> results;
    results.push_back(Flood(case_, options_, host.mbufs).run());
    return results;
  }

 private:
  FloodOptions options_;
  Case case_;
};

}  // namespace

std::unique_ptr<Scenario> make_flood() {
  return std::make_unique<FloodScenario>();
}

}  // namespace sluice::bench
