#include "latency.h"

#include <rte_cycles.h>

#include <algorithm>
#include <string>
#include <vector>

#include "clock.h"
#include "director.h"
#include "engine/error.h"
#include "floor.h"
#include "generator.h"
#include "histogram.h"
#include "pace.h"
#include "stamp.h"

namespace sluice::bench {
namespace {

constexpr unsigned kRing = 1024;  // descriptors of the receive ring

struct LatencyOptions {
  double load = 0.1;
  uint64_t pps = 0;  // not 0: instead of a load
  bool silent = false;
  IdleOptions idle{1000, 0};
  unsigned runs = 5;
  double seconds = 0.3;
};

struct Job {
  enum What : uint8_t { fill, full_speed, floor, paced, paced_floor } what;
  Segment segment = Segment::data;
  Traffic traffic = Traffic::request;
  double seconds = 0;
  bool measured = false;
};

// A run of arrivals at their own pace.
struct Arrived {
  uint64_t offered = 0, served = 0;
  uint64_t missed = 0;  // found the receive ring full
  uint64_t cycles = 0, cpu_ns = 0, sleeps = 0, stolen = 0;
  Histogram latency;  // TSC cycles
};

Json json_of(const Arrived& a) {
  return Json()
      .add("offered", a.offered)
      .add("served", a.served)
      .add("missed", a.missed)
      .add("cycles", a.cycles)
      .add("cpuNs", a.cpu_ns)
      .add("sleeps", a.sleeps)
      .add("stolenCycles", a.stolen)
      .add("p50Cycles", a.latency.quantile(0.5))
      .add("p99Cycles", a.latency.quantile(0.99))
      .add("p999Cycles", a.latency.quantile(0.999))
      .add("maxCycles", a.latency.most());
}

class Latency final : public PortUser {
 public:
  Latency(const Case& c, const LatencyOptions& options, rte_mempool* mbufs)
      : case_(c),
        options_(options),
        generator_(c),
        port_(mbufs, *this),
        director_(c, mbufs, port_, nullptr, {0, options.idle}),
        clock_(options.idle.sleep_us) {
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
    Json json;
    json.add("scenario", "latency");
    return add_case(json, case_)
        .add("afterUs", options_.idle.after_us)
        .add("sleepUs", options_.idle.sleep_us)
        .add("director", json_of(full_speed_))
        .add("floor", json_of(floors_))
        .add("paced", arrived(paced_))
        .add("pacedFloor", arrived(paced_floor_))
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
  static bool is_floor(const Job& job) {
    return job.what == Job::floor || job.what == Job::paced_floor;
  }
  static bool is_paced(const Job& job) {
    return job.what == Job::paced || job.what == Job::paced_floor;
  }
  uint16_t make_arrivals(rte_mbuf** mbufs, uint16_t n, uint64_t now);
  double cycles_apart() const;
  void fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
  }

  const Case case_;
  const LatencyOptions options_;
  Generator generator_;
  BenchPort port_;
  Director director_;
  Floor floor_{port_, director_};
  OwnClock clock_;
  Pace pace_;
  Stamp stamp_;
  std::vector<Job> script_;
  size_t at_ = 0;
  bool started_ = false;
  uint64_t first_cycle_ = 0, first_ns_ = 0, stolen_before_ = 0, made_ = 0, sent_ = 0;
  uint64_t ends_before_ = 0, sleeps_before_ = 0;
  std::vector<Run> full_speed_, floors_;
  std::vector<Arrived> paced_, paced_floor_;
  Arrived* arrived_ = nullptr;  // of the run that is on
  uint64_t offered_ = 0, accounted_ = 0, digest_ = 0;
  std::string failure_;
};

void Latency::write_script() {
  if (case_.protocol == kTcp) {
    script_.push_back({Job::fill, Segment::syn});
    script_.push_back({Job::fill, Segment::ack});
  } else {
    // FullNAT and ENAT tell the client's address in the first three.
    for (unsigned i = 0; i < 3; ++i) script_.push_back({Job::fill});
  }
  auto take = [&](Job::What what, double seconds, bool measured) {
    script_.push_back({what, Segment::data, Traffic::request, seconds, measured});
  };
  take(Job::full_speed, options_.seconds, false);
  for (unsigned i = 0; i < options_.runs; ++i) take(Job::full_speed, options_.seconds / 3, true);
  for (unsigned i = 0; i < options_.runs; ++i) {
    take(Job::paced, options_.seconds / 10, false);
    take(Job::paced, options_.seconds, true);
    take(Job::floor, options_.seconds / 10, true);
    if (options_.idle.sleep_us == 0) take(Job::paced_floor, options_.seconds / 3, true);
  }
}

bool Latency::is_over(const Job& job, uint64_t now) const {
  if (job.what == Job::fill) return made_ == case_.flows;
  return static_cast<double>(now - first_cycle_) >=
         job.seconds * static_cast<double>(rte_get_tsc_hz());
}

uint16_t Latency::receive(rte_mbuf** mbufs, uint16_t n) {
  const uint64_t now = clock_.now();
  if (started_ && is_over(script_[at_], now)) end(script_[at_], now);
  if (!failure_.empty() || at_ == script_.size()) {
    floor_.leave();
    director_.stop();
    return 0;
  }
  const Job& job = script_[at_];
  if (!started_ && !begin(job)) return 0;
  if (is_paced(job)) return make_arrivals(mbufs, n, now);
  n = generator_.make(mbufs, n);
  made_ += n;
  return n;
}

// Of the packets' arrivals; 0: none comes.
double Latency::cycles_apart() const {
  if (options_.silent) return 0;
  const auto hz = static_cast<double>(rte_get_tsc_hz());
  if (options_.pps != 0) return hz / static_cast<double>(options_.pps);
  std::vector<double> ns;
  for (const Run& run : full_speed_) {
    ns.push_back(static_cast<double>(run.cpu_ns) / static_cast<double>(run.packets));
  }
  std::sort(ns.begin(), ns.end());
  return ns[ns.size() / 2] * hz / 1e9 / options_.load;
}

// False when the job has to wait for the loop to come to its place.
bool Latency::begin(const Job& job) {
  if (is_floor(job) != floor_.runs()) {
    if (floor_.runs()) {
      floor_.leave();
    } else {
      floor_.enter();
    }
    return false;
  }
  started_ = true;
  made_ = sent_ = 0;
  arrived_ = nullptr;
  ends_before_ = director_.sum_of_ends();
  sleeps_before_ = director_.extra(Extra::idle_sleeps);
  generator_.start(job.segment, job.traffic, job.what == Job::fill);
  if (is_paced(job)) {
    auto& runs = is_floor(job) ? paced_floor_ : paced_;
    runs.emplace_back();
    arrived_ = &runs.back();
  }
  stolen_before_ = clock_.stolen();
  first_ns_ = thread_ns();
  first_cycle_ = clock_.now();
  if (arrived_ != nullptr) pace_.start(first_cycle_, cycles_apart());
  return true;
}

uint16_t Latency::make_arrivals(rte_mbuf** mbufs, uint16_t n, uint64_t now) {
  if (options_.silent) return 0;
  const auto ring = static_cast<uint64_t>(kRing * pace_.mean());
  uint16_t due = 0;
  uint64_t arrivals[kBurst];
  for (; due < std::min<uint16_t>(n, kBurst) && pace_.arrival() <= now; pace_.next()) {
    ++arrived_->offered;
    if (now - pace_.arrival() > ring) {
      ++arrived_->missed;
    } else {
      arrivals[due++] = pace_.arrival();
    }
  }
  if (due == 0) return 0;
  generator_.make(mbufs, due);
  for (uint16_t i = 0; i < due; ++i) stamp_(mbufs[i]) = arrivals[i];
  made_ += due;
  return due;
}

void Latency::end(const Job& job, uint64_t now) {
  const Run run{made_, now - first_cycle_, thread_ns() - first_ns_};
  started_ = false;
  ++at_;
  if (sent_ != made_) {
    fail("of " + std::to_string(made_) + " frames " + std::to_string(sent_) +
         " left; losses: " + director_.losses());
  }
  if (job.what == Job::floor) return floors_.push_back(run);
  const uint64_t accounted = director_.sum_of_ends() - ends_before_;
  if (!is_floor(job) && accounted != made_) {
    fail("of " + std::to_string(made_) + " packets the counters know " + std::to_string(accounted));
  }
  if (job.measured && !is_floor(job)) {
    offered_ += made_;
    accounted_ += accounted;
  }
  if (job.what == Job::full_speed && job.measured) full_speed_.push_back(run);
  if (arrived_ == nullptr) return;
  arrived_->served = sent_;
  arrived_->cycles = run.cycles;
  arrived_->cpu_ns = run.cpu_ns;
  arrived_->sleeps = director_.extra(Extra::idle_sleeps) - sleeps_before_;
  arrived_->stolen = clock_.stolen() - stolen_before_;
  arrived_ = nullptr;
  if (!job.measured) paced_.pop_back();
}

void Latency::transmit(rte_mbuf* const* mbufs, uint16_t n) {
  sent_ += n;
  const uint64_t now = arrived_ == nullptr ? 0 : clock_.now();
  for (uint16_t i = 0; i < n; ++i) {
    const auto* at = rte_pktmbuf_mtod(mbufs[i], const uint64_t*);
    for (unsigned word = 0; word < Head::kBytes / 8; ++word) digest_ += at[word];
    if (arrived_ != nullptr) arrived_->latency.add(now - stamp_(mbufs[i]));
  }
}

class LatencyScenario final : public Scenario {
 public:
  void parse(Options& options) override {
    options_.runs = static_cast<unsigned>(options.number("runs", options_.runs, 1, 1000));
    options_.seconds = options.seconds("milliseconds", options_.seconds);
    const uint64_t load = options.number("load", 10, 0, 100);
    options_.pps = options.number("pps", 0, 0, 1'000'000'000);
    options_.load = static_cast<double>(load) / 100;
    options_.silent = load == 0 && options_.pps == 0;
    options_.idle.after_us =
        static_cast<unsigned>(options.number("after", options_.idle.after_us, 0, 1'000'000));
    options_.idle.sleep_us =
        static_cast<unsigned>(options.number("sleep", options_.idle.sleep_us, 0, 1'000'000));
    case_ = case_of(options);
    if (case_.traffic != Traffic::request || case_.bytes != 64) {
      throw Error("ERR_BENCH_ARGUMENT", "latency is measured with requests of 64 bytes");
    }
  }
  std::vector<Json> run(Host& host) override {
    std::vector<Json> results;
    results.push_back(Latency(case_, options_, host.mbufs).run());
    return results;
  }

 private:
  LatencyOptions options_;
  Case case_;
};

}  // namespace

std::unique_ptr<Scenario> make_latency() {
  return std::make_unique<LatencyScenario>();
}

}  // namespace sluice::bench
