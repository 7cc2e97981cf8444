#include "scale.h"

#include <rte_cycles.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "addresses.h"
#include "clock.h"
#include "director.h"
#include "engine/error.h"
#include "floor.h"
#include "frames.h"

namespace sluice::bench {
namespace {

constexpr uint32_t kFew = 1'000'000;
// What the rest of the machine keeps, and what a connection is expected to take: the fill stops
// short of the first whatever becomes of the second.
constexpr uint64_t kReserveKib = 3 << 20;
constexpr uint64_t kLeastKib = 1 << 20;
constexpr uint64_t kExpectedBytes = 90;
// A flow's first packets carry the client's address; they follow one another at this distance.
constexpr uint32_t kApart = 64;
constexpr unsigned kFirstPackets = 3;
constexpr uint64_t kChecked = 65536;
// A virtual machine's memory is slow when an address is first come to out of order: at 8 GiB 660 ns
// a read for the first million, 150 for the third. A packet for 16 connections visits each 4 KiB
// page of records and of buckets several times.
constexpr uint32_t kWarmUp = 16;

uint64_t kib_of(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    uint64_t kib = 0;
    if (word == name && file >> kib) return kib;
  }
  throw Error("ERR_BENCH_MEMORY", std::string(path) + " says nothing of " + name);
}
uint64_t available_kib() {
  return kib_of("/proc/meminfo", "MemAvailable:");
}

struct ScaleOptions {
  uint32_t connections = plan::kMostConnections;
  unsigned runs = 5;
  double seconds = 0.3;
};

struct Held {
  uint64_t rss_kib = 0, huge_kib = 0;
  double fill_seconds = 0;
  std::vector<Run> director, floor;
  uint64_t offered = 0, accounted = 0;
  uint64_t digest = 0;
  std::string failure;
};

struct Job {
  enum What : uint8_t { fill, check, director, floor } what;
  double seconds = 0;
  bool measured = false;
};

class Scale final : public PortUser {
 public:
  Scale(uint32_t connections, const ScaleOptions& options, rte_mempool* mbufs)
      : case_(case_of(connections)),
        frame_(kUdp, Segment::data, false, 64),
        port_(mbufs, *this),
        director_(case_, mbufs, port_, &now_ms_),
        script_{{Job::fill}, {Job::check}} {
    if (options.runs != 0) script_.push_back({Job::director, options.seconds});
    for (unsigned i = 0; i < options.runs; ++i) {
      for (const Job::What what : {Job::director, Job::floor}) {
        script_.push_back({what, options.seconds / 10});
        script_.push_back({what, options.seconds, true});
      }
    }
  }

  Held run() {
    director_.run();
    if (held_.failure.empty() && at_ < script_.size()) fail("the script did not end");
    for (unsigned i = 0; i < 4; ++i) held_.digest += digest_[i];
    return held_;
  }

  uint16_t receive(rte_mbuf** mbufs, uint16_t n) override;
  void transmit(rte_mbuf* const* mbufs, uint16_t n) override;

 private:
  static Case case_of(uint32_t connections) {
    Case c;
    c.flows = connections;
    return c;
  }
  void write(rte_mbuf* mbuf, uint32_t flow) const {
    frame_.head().write_request(mbuf, flow, plan::client(flow), plan::client_port(flow));
  }
  uint16_t make_first_packets(rte_mbuf** mbufs, uint16_t n);
  uint16_t make_random(rte_mbuf** mbufs, uint16_t n);
  bool is_over(const Job& job, uint64_t now) const;
  bool begin(const Job& job);
  void end(const Job& job, uint64_t now);
  void fail(const std::string& what) {
    if (held_.failure.empty()) held_.failure = what;
  }

  const Case case_;
  const Frame frame_;
  uint64_t now_ms_ = 1000;  // stands still: nothing expires while the table is looked at
  BenchPort port_;
  Director director_;
  Floor floor_{port_, director_};
  std::vector<Job> script_;
  size_t at_ = 0;
  bool started_ = false;
  uint32_t step_ = 0;
  unsigned turn_ = 0;
  uint64_t random_ = 0x9e3779b97f4a7c15u;
  uint64_t first_cycle_ = 0, first_ns_ = 0, made_ = 0, sent_ = 0, ends_before_ = 0,
           forwarded_before_ = 0;
  Words digest_{};
  Held held_;
};

// Flow n's first packet, then the second of one before it, the third of one before that.
uint16_t Scale::make_first_packets(rte_mbuf** mbufs, uint16_t n) {
  uint16_t made = 0;
  while (made < n && step_ < case_.flows + (kFirstPackets - 1) * kApart) {
    const uint32_t behind = turn_ * kApart;
    if (step_ >= behind && step_ - behind < case_.flows) write(mbufs[made++], step_ - behind);
    if (++turn_ < kFirstPackets) continue;
    turn_ = 0;
    ++step_;
    if (step_ % kFew == 0 && available_kib() < kLeastKib) {
      fail("the machine's memory went elsewhere: stopped at " + std::to_string(step_) +
           " connections");
    }
  }
  return made;
}

uint16_t Scale::make_random(rte_mbuf** mbufs, uint16_t n) {
  for (uint16_t i = 0; i < n; ++i) {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    write(mbufs[i], static_cast<uint32_t>(((random_ >> 32) * case_.flows) >> 32));
  }
  return n;
}

bool Scale::is_over(const Job& job, uint64_t now) const {
  if (job.what == Job::fill) return step_ == case_.flows + (kFirstPackets - 1) * kApart;
  if (job.what == Job::check) return made_ >= std::max<uint64_t>(kChecked, case_.flows / kWarmUp);
  return static_cast<double>(now - first_cycle_) >=
         job.seconds * static_cast<double>(rte_get_tsc_hz());
}

uint16_t Scale::receive(rte_mbuf** mbufs, uint16_t n) {
  const uint64_t now = rte_rdtsc();
  if (started_ && is_over(script_[at_], now)) end(script_[at_], now);
  if (!held_.failure.empty() || at_ == script_.size()) {
    floor_.leave();
    director_.stop();
    return 0;
  }
  const Job& job = script_[at_];
  if (!started_ && !begin(job)) return 0;
  n = job.what == Job::fill ? make_first_packets(mbufs, n) : make_random(mbufs, n);
  made_ += n;
  return n;
}

bool Scale::begin(const Job& job) {
  if ((job.what == Job::floor) != floor_.runs()) {
    if (floor_.runs()) {
      floor_.leave();
    } else {
      floor_.enter();
    }
    return false;
  }
  made_ = sent_ = 0;
  ends_before_ = director_.sum_of_ends();
  forwarded_before_ = director_.end(End::forwarded_fullnat);
  started_ = true;
  first_ns_ = thread_ns();
  first_cycle_ = rte_rdtsc();
  return true;
}

void Scale::end(const Job& job, uint64_t now) {
  const uint64_t accounted = director_.sum_of_ends() - ends_before_;
  const uint64_t forwarded = director_.end(End::forwarded_fullnat) - forwarded_before_;
  const bool in_floor = job.what == Job::floor;
  if (sent_ != made_ || (!in_floor && (accounted != made_ || forwarded != made_))) {
    fail("of " + std::to_string(made_) + " packets offered " + std::to_string(forwarded) +
         " were forwarded, " + std::to_string(sent_) +
         " frames left; losses: " + director_.losses());
  }
  if (job.what == Job::fill) {
    held_.fill_seconds = static_cast<double>(now - first_cycle_) / rte_get_tsc_hz();
    held_.rss_kib = kib_of("/proc/self/smaps_rollup", "Rss:");
    held_.huge_kib = transparent_huge_kib();
  }
  const uint64_t live = director_.extra(Extra::connections);
  if (live != case_.flows) {
    fail(std::to_string(live) + " connections for " + std::to_string(case_.flows) + " flows");
  }
  if (job.measured) {
    (in_floor ? held_.floor : held_.director)
        .push_back({made_, now - first_cycle_, thread_ns() - first_ns_});
    if (!in_floor) {
      held_.offered += made_;
      held_.accounted += accounted;
    }
  }
  started_ = false;
  ++at_;
}

void Scale::transmit(rte_mbuf* const* mbufs, uint16_t n) {
  sent_ += n;
  Words sum = digest_;
  for (uint16_t i = 0; i < n; ++i) {
    const auto* at = rte_pktmbuf_mtod(mbufs[i], const uint8_t*);
    sum += load<Words>(at) + load<Words>(at + sizeof sum);
  }
  digest_ = sum;
  if (script_[at_].what != Job::check || sent_ > kChecked) return;
  for (uint16_t i = 0; i < n; ++i) {
    Sent sent;
    if (const char* wrong = inspect(mbufs[i], case_, sent); wrong != nullptr) {
      fail("frame of flow " + std::to_string(mbufs[i]->hash.usr) + ": " + wrong);
    }
  }
}

class ScaleScenario final : public Scenario {
 public:
  void parse(Options& options) override {
    options_.connections = static_cast<uint32_t>(
        options.number("connections", options_.connections, 2 * kFew, plan::kMostConnections));
    options_.runs = static_cast<unsigned>(options.number("runs", options_.runs, 1, 1000));
    options_.seconds = options.seconds("milliseconds", options_.seconds);
  }

  std::vector<Json> run(Host& host) override {
    const uint64_t available = available_kib();
    const uint64_t room = available > kReserveKib ? available - kReserveKib : 0;
    const auto connections = static_cast<uint32_t>(
        std::min<uint64_t>(options_.connections, room * 1024 / kExpectedBytes));
    if (connections < 2 * kFew) {
      throw Error("ERR_BENCH_MEMORY",
                  std::to_string(available >> 10) + " MiB are available: not enough to grow in");
    }
    ScaleOptions few_options = options_;
    few_options.runs = 0;
    const Held few = hold(kFew, few_options, host);
    const Held all = hold(connections, options_, host);
    Json json;
    json.add("scenario", "scale")
        .add("mode", "fullnat")
        .add("protocol", "udp")
        .add("family", 4)
        .add("connections", connections)
        .add("wanted", options_.connections)
        .add("availableKiB", available)
        .add("bytesPerConnection",
             static_cast<double>(all.rss_kib - few.rss_kib) * 1024 / (connections - kFew))
        .add("fewConnections", kFew)
        .add("fewRssKiB", few.rss_kib)
        .add("rssKiB", all.rss_kib)
        .add("fillSeconds", all.fill_seconds)
        .add("director", json_of(all.director))
        .add("floor", json_of(all.floor))
        .add("offered", all.offered)
        .add("accounted", all.accounted)
        .add("transparentHugeKiB", all.huge_kib)
        .add("digest", all.digest);
    return {json};
  }

 private:
  static Held hold(uint32_t connections, const ScaleOptions& options, Host& host) {
    Scale scale(connections, options, host.mbufs);
    const Held held = scale.run();
    if (!held.failure.empty()) throw Error("ERR_BENCH_VOID", held.failure);
    return held;
  }

  ScaleOptions options_;
};

}  // namespace

std::unique_ptr<Scenario> make_scale() {
  return std::make_unique<ScaleScenario>();
}

}  // namespace sluice::bench
