#include "connect.h"

#include <rte_cycles.h>

#include <string>
#include <vector>

#include "callgrind.h"
#include "clock.h"
#include "conversation.h"
#include "director.h"
#include "engine/error.h"
#include "floor.h"

namespace sluice::bench {
namespace {

constexpr uint32_t kMostResting = 100'000'000;
// LVS's timeouts of UDP and of the states that a finished TCP connection rests in.
constexpr uint64_t kUdpTimeoutMs = 300'000, kTcpTimeoutMs = 120'000;
constexpr uint64_t kStartMs = 1000;
constexpr uint64_t kSettleMs = 600;  // more than two slots of the wheel

struct ConnectOptions {
  uint32_t connections = 1'000'000;
  unsigned runs = 5;
  double seconds = 0.3;
  uint64_t instructions = 0;  // not 0: that many packets a run, counted by callgrind
};

struct ConnectResult {
  std::vector<Run> director, floor;
  uint64_t offered = 0, accounted = 0;  // packets of the measured runs
  uint64_t begun = 0, created = 0, expired = 0;
  uint64_t least = UINT64_MAX, most = 0;  // connections at the ends of runs
  uint64_t huge_kib = 0;
  std::string failure;
};

struct Job {
  enum What : uint8_t { fill, touch, settle, director, floor } what;
  double seconds = 0;  // of director and floor
  bool measured = false;
  uint64_t packets = 0;  // not 0: as many instead of `seconds`
  std::string part{};    // name of callgrind's part
};

class Connect final : public PortUser {
 public:
  Connect(const Case& c, const ConnectOptions& options, rte_mempool* mbufs)
      : case_(c),
        options_(options),
        conversations_(c, options.connections),
        timeout_ms_(c.protocol == kUdp ? kUdpTimeoutMs : kTcpTimeoutMs),
        port_(mbufs, *this),
        director_(table_for(c, options, conversations_), mbufs, port_, &now_ms_) {
    fill_.last = churn_.first = churn_.step = options.connections;
    script_ = {{Job::fill}, {Job::touch}, {Job::settle}};
    if (options.instructions != 0) {
      count_instructions();
      return;
    }
    script_.push_back({Job::director, options.seconds});
    for (unsigned i = 0; i < options.runs; ++i) {
      for (const Job::What what : {Job::director, Job::floor}) {
        script_.push_back({what, options.seconds / 10});
        script_.push_back({what, options.seconds, true});
      }
    }
  }

  ConnectResult run() {
    director_.run();
    if (result_.failure.empty() && at_ < script_.size()) fail("the script did not end");
    for (unsigned i = 0; i < 4; ++i) digest_sum_ += digest_[i];
    return result_;
  }
  uint64_t digest() const { return digest_sum_; }
  unsigned packets() const { return conversations_.packets(); }

  uint16_t receive(rte_mbuf** mbufs, uint16_t n) override;
  void transmit(rte_mbuf* const* mbufs, uint16_t n) override;

 private:
  // The table has a quarter more room than it is to hold: of a slot of the wheel, its connections
  // outlive their timeout by up to half a second.
  static Case table_for(Case c, const ConnectOptions& options, const Conversations& conversations) {
    c.flows = options.connections + options.connections / 4 + conversations.in_hand() + 65536;
    return c;
  }
  // Each kind three times: the first warms up, the next two differ in length only.
  void count_instructions() {
    for (const Job::What what : {Job::director, Job::floor}) {
      for (const unsigned times : {1u, 1u, 2u}) {
        const char* kind = what == Job::floor ? " floor " : " director ";
        script_.push_back(
            {what, 0, true, options_.instructions * times, name() + kind + std::to_string(times)});
      }
    }
  }
  std::string name() const {
    return std::string("connect/") + name_of(case_.mode) +
           (case_.protocol == kTcp ? "/tcp/" : "/udp/") + std::to_string(options_.connections);
  }
  uint16_t make(const Job& job, rte_mbuf** mbufs, uint16_t n);
  uint16_t make_touches(rte_mbuf** mbufs, uint16_t n);
  bool is_over(const Job& job, uint64_t now) const;
  bool begin(const Job& job);
  void end(const Job& job, uint64_t now);
  void account(const Job& job);
  void check_resting();
  void read_in_full(rte_mbuf* const* mbufs, uint16_t n);
  uint64_t requests() const {
    static constexpr End kEnds[kModes] = {End::forwarded_nat, End::forwarded_dr, End::forwarded_tun,
                                          End::forwarded_fullnat, End::forwarded_enat};
    return director_.end(kEnds[static_cast<unsigned>(case_.mode)]);
  }
  uint64_t replies() const {
    return director_.end(End::forwarded_nat_reply) + director_.end(End::forwarded_fullnat_reply);
  }
  void fail(const std::string& what) {
    if (result_.failure.empty()) result_.failure = what;
  }

  const Case case_;
  const ConnectOptions options_;
  Conversations conversations_;
  const uint64_t timeout_ms_;
  uint64_t now_ms_ = kStartMs;
  BenchPort port_;
  Director director_;
  Floor floor_{port_, director_};
  std::vector<Job> script_;
  size_t at_ = 0;
  bool started_ = false;
  Conversations::Cursor fill_, churn_, floor_cursor_;
  uint32_t touched_ = 0;
  bool is_settling_ = false, is_settled_ = false, is_counting_ = false;
  uint64_t clock_ = 0;  // connections begun or touched, which move it
  uint64_t first_cycle_ = 0, first_ns_ = 0, made_ = 0, made_replies_ = 0, sent_ = 0;
  struct Before {
    uint64_t ends, requests, replies, created, expired, live, begun;
  } before_{};
  Words digest_{};
  uint64_t digest_sum_ = 0;
  ConnectResult result_;
};

uint16_t Connect::make(const Job& job, rte_mbuf** mbufs, uint16_t n) {
  switch (job.what) {
    case Job::fill:
      return conversations_.make(fill_, mbufs, n, made_replies_);
    case Job::touch:
      n = make_touches(mbufs, n);
      break;
    case Job::settle:
      n = 0;
      if (!is_settling_) clock_ += options_.connections * kSettleMs / timeout_ms_ + 1;
      is_settling_ = true;
      break;
    case Job::director: {
      const uint32_t begun = churn_.begun;
      n = conversations_.make(churn_, mbufs, n, made_replies_);
      clock_ += churn_.begun - begun;
      break;
    }
    case Job::floor:
      if (floor_cursor_.step >= Conversations::kMostConnections / 2) floor_cursor_ = {};
      return conversations_.make(floor_cursor_, mbufs, n, made_replies_);
  }
  now_ms_ = kStartMs + clock_ * timeout_ms_ / options_.connections;
  return n;
}

// Each connection of the fill is used once more, in an order without a pattern and evenly over a
// timeout, so that they expire at the pace of the churn and not in the order of their records. By
// the end the churn has its full number in hand, one begun with each touch, so that no hole is left
// in what expires later.
uint16_t Connect::make_touches(rte_mbuf** mbufs, uint16_t n) {
  const uint32_t all = options_.connections;
  if (clock_ + conversations_.in_hand() < all) {
    n = conversations_.touch(touched_, all, mbufs, n);
    clock_ += n;
    return n;
  }
  const uint32_t begun = churn_.begun;
  const uint16_t made = conversations_.make(churn_, mbufs, n / 2, made_replies_);
  const uint16_t touches = conversations_.touch(touched_, all, mbufs + made,
                                                static_cast<uint16_t>(churn_.begun - begun));
  clock_ += touches;
  return static_cast<uint16_t>(made + touches);
}

bool Connect::is_over(const Job& job, uint64_t now) const {
  if (job.what == Job::fill) return conversations_.is_over(fill_);
  if (job.what == Job::touch) return clock_ == options_.connections;
  if (job.what == Job::settle) return is_settled_;
  if (job.packets != 0) return made_ >= job.packets;
  return static_cast<double>(now - first_cycle_) >=
         job.seconds * static_cast<double>(rte_get_tsc_hz());
}

// Between two turns all frames made before have left.
uint16_t Connect::receive(rte_mbuf** mbufs, uint16_t n) {
  const uint64_t now = rte_rdtsc();
  // The wheel comes to the deadlines of the fill, all in two of its slots: put where they belong
  // now, they are not a backlog that no steady churn has.
  if (is_settling_ && !is_settled_) is_settled_ = director_.worker().housekeep(1 << 16);
  if (started_ && is_over(script_[at_], now)) end(script_[at_], now);
  if (!result_.failure.empty() || at_ == script_.size()) {
    floor_.leave();
    director_.stop();
    return 0;
  }
  const Job& job = script_[at_];
  if (!started_ && !begin(job)) return 0;
  if (job.packets != 0) n = static_cast<uint16_t>(std::min<uint64_t>(n, job.packets - made_));
  n = make(job, mbufs, n);
  made_ += n;
  return n;
}

bool Connect::begin(const Job& job) {
  if ((job.what == Job::floor) != floor_.runs()) {
    if (floor_.runs()) {
      floor_.leave();
    } else {
      floor_.enter();
    }
    return false;
  }
  if (!job.part.empty() && !is_counting_) callgrind::start();
  is_counting_ = !job.part.empty();
  made_ = made_replies_ = sent_ = 0;
  before_ = {director_.sum_of_ends(),
             requests(),
             replies(),
             director_.extra(Extra::connections_created),
             director_.extra(Extra::connections_expired),
             director_.extra(Extra::connections),
             uint64_t{churn_.begun} + fill_.begun};
  started_ = true;
  first_ns_ = thread_ns();
  first_cycle_ = rte_rdtsc();
  return true;
}

void Connect::end(const Job& job, uint64_t now) {
  if (!job.part.empty()) callgrind::dump(job.part.c_str());
  if (job.what == Job::floor) {
    if (sent_ != made_) fail("the floor lost frames");
  } else {
    account(job);
  }
  if (job.what == Job::touch) {
    check_resting();
    result_.huge_kib = transparent_huge_kib();
  }
  if (job.measured) {
    auto& runs = job.what == Job::floor ? result_.floor : result_.director;
    runs.push_back({made_, now - first_cycle_, thread_ns() - first_ns_});
  }
  started_ = false;
  ++at_;
}

// Every packet forwarded as its kind is and out of the port; every connection begun is made; what
// lives is what was made and has not expired.
void Connect::account(const Job& job) {
  const uint64_t accounted = director_.sum_of_ends() - before_.ends;
  const uint64_t begun = uint64_t{churn_.begun} + fill_.begun - before_.begun;
  const uint64_t created = director_.extra(Extra::connections_created) - before_.created;
  const uint64_t expired = director_.extra(Extra::connections_expired) - before_.expired;
  const uint64_t live = director_.extra(Extra::connections);
  if (job.measured) {
    result_.offered += made_;
    result_.accounted += accounted;
    result_.begun += begun;
    result_.created += created;
    result_.expired += expired;
    result_.least = std::min(result_.least, live);
    result_.most = std::max(result_.most, live);
  }
  if (accounted != made_ || requests() - before_.requests != made_ - made_replies_ ||
      replies() - before_.replies != made_replies_ || sent_ != made_) {
    return fail("of " + std::to_string(made_) + " packets offered (" +
                std::to_string(made_replies_) + " replies) the counters know " +
                std::to_string(accounted) + ", " + std::to_string(sent_) +
                " frames left; losses: " + director_.losses());
  }
  if (created != begun || before_.live + created - expired != live) {
    return fail("of " + std::to_string(begun) + " connections " + std::to_string(created) +
                " were made, " + std::to_string(expired) + " expired, " +
                std::to_string(before_.live) + " became " + std::to_string(live));
  }
  const uint64_t most = options_.connections + options_.connections / 20 + 4096 +
                        (job.what == Job::fill ? 0 : conversations_.in_hand());
  if (live < options_.connections - options_.connections / 50 || live > most) {
    fail(std::to_string(live) + " connections are not the fill that was asked for");
  }
}

// Once filled: each connection in the state that it is to expire from.
void Connect::check_resting() {
  constexpr size_t kStateAt = 74;  // in a record of Worker::list
  const State wanted = case_.protocol == kUdp         ? State::udp
                       : conversations_.has_replies() ? State::time_wait
                                                      : State::fin_wait;
  std::vector<uint8_t> records;
  director_.worker().list(0, std::min(options_.connections, 65536u), records);
  for (size_t at = 0; at < records.size(); at += Worker::kListRecordBytes) {
    if (static_cast<State>(records[at + kStateAt]) != wanted) {
      return fail("a finished connection is in state " + std::to_string(records[at + kStateAt]));
    }
  }
}

void Connect::transmit(rte_mbuf* const* mbufs, uint16_t n) {
  sent_ += n;
  const Job& job = script_[at_];
  if (job.what == Job::fill || job.what == Job::touch) read_in_full(mbufs, n);
  Words sum = digest_;
  for (uint16_t i = 0; i < n; ++i) {
    const auto* at = rte_pktmbuf_mtod(mbufs[i], const uint8_t*);
    sum += load<Words>(at) + load<Words>(at + sizeof sum);
    const unsigned bytes = rte_pktmbuf_data_len(mbufs[i]);
    for (unsigned o = Head::kBytes; o < bytes; o += sizeof sum) sum += load<Words>(at + o);
    if (conversations_.has_replies() && Conversations::stage_of(mbufs[i]) == 0) {
      conversations_.learn(mbufs[i], job.what == Job::floor);
    }
  }
  digest_ = sum;
}

void Connect::read_in_full(rte_mbuf* const* mbufs, uint16_t n) {
  for (uint16_t i = 0; i < n; ++i) {
    Sent sent;
    if (const char* wrong = inspect(mbufs[i], case_, sent); wrong != nullptr) {
      fail("frame of connection " + std::to_string(Conversations::connection_of(mbufs[i])) + ": " +
           wrong);
    }
  }
}

class ConnectScenario final : public Scenario {
 public:
  void parse(Options& options) override {
    case_.mode = mode_of(options.text("mode", "fullnat"));
    case_.protocol = protocol_of(options.text("protocol", "udp"));
    options_.connections = static_cast<uint32_t>(
        options.number("connections", options_.connections, 1000, kMostResting));
    options_.runs = static_cast<unsigned>(options.number("runs", options_.runs, 1, 1000));
    options_.seconds = options.seconds("milliseconds", options_.seconds);
    options_.instructions = options.number("instructions", 0, kBurst, 1 << 20);
  }

  std::vector<Json> run(Host& host) override {
    Connect connect(case_, options_, host.mbufs);
    const ConnectResult r = connect.run();
    if (!r.failure.empty()) throw Error("ERR_BENCH_VOID", r.failure);
    Json json;
    json.add("scenario", "connect")
        .add("mode", name_of(case_.mode))
        .add("protocol", case_.protocol == kTcp ? "tcp" : "udp")
        .add("family", 4)
        .add("connections", (r.least + r.most) / 2)
        .add("packetsPerConnection", connect.packets())
        .add("director", json_of(r.director))
        .add("floor", json_of(r.floor))
        .add("offered", r.offered)
        .add("accounted", r.accounted)
        .add("begun", r.begun)
        .add("created", r.created)
        .add("expired", r.expired)
        .add("transparentHugeKiB", r.huge_kib)
        .add("digest", connect.digest());
    return {json};
  }

 private:
  Case case_;
  ConnectOptions options_;
};

}  // namespace

std::unique_ptr<Scenario> make_connect() {
  return std::make_unique<ConnectScenario>();
}

}  // namespace sluice::bench
