#include "forward.h"

#include <rte_cycles.h>

#include <string>
#include <vector>

#include "callgrind.h"
#include "clock.h"
#include "director.h"
#include "engine/error.h"
#include "floor.h"
#include "generator.h"

namespace sluice::bench {
namespace {

// How closely the transmit callback reads what leaves.
enum class Reading : uint8_t {
  sum,    // every byte, into a digest
  learn,  // checked in full against its flow; the first frame of a flow says how it is translated
};

struct Job {
  enum What : uint8_t { director, floor } what = director;
  Segment segment = Segment::data;
  Traffic traffic = Traffic::request;
  bool sequential = false;
  Reading reading = Reading::sum;
  uint64_t packets = 0;  // 0: as many as fit into `cycles`
  uint64_t cycles = 0;
  bool measured = false;
  bool first_packets = false;  // carry the client's address, where the mode tells it
  std::string part{};          // name of callgrind's part
};

constexpr End kRequestEnds[kModes] = {End::forwarded_nat, End::forwarded_dr, End::forwarded_tun,
                                      End::forwarded_fullnat, End::forwarded_enat};

struct ForwardOptions {
  unsigned runs = 5;
  double seconds = 0.3;       // a run, and the warm-up
  uint64_t instructions = 0;  // not 0: that many packets a run, counted by callgrind
};

struct ForwardResult {
  std::vector<Run> director, floor;
  uint64_t offered = 0;    // frames given to the director in its measured runs
  uint64_t accounted = 0;  // what its counters say has become of them
  uint64_t digest = 0;     // of everything read at transmission
  uint64_t huge_kib = 0;   // transparent huge pages in use when measuring began
  std::string failure;     // why the case is void; empty: it isn't
};

class Forward final : public PortUser {
 public:
  Forward(const Case& c, const ForwardOptions& options, rte_mempool* mbufs)
      : case_(c),
        options_(options),
        generator_(c),
        port_(mbufs, *this),
        director_(c, mbufs, port_) {
    write_script();
  }

  ForwardResult run() {
    director_.run();
    if (result_.failure.empty() && at_ < script_.size()) fail("the script did not end");
    for (unsigned i = 0; i < 4; ++i) result_.digest += digest_[i];
    return result_;
  }

  uint16_t receive(rte_mbuf** mbufs, uint16_t n) override;
  void transmit(rte_mbuf* const* mbufs, uint16_t n) override;

 private:
  void write_script();
  void add_fill();
  void add_measured();
  bool is_over(const Job& job, uint64_t now) const;
  bool begin(const Job& job);
  void end(const Job& job, uint64_t now);
  void account(const Job& job);
  void check_table();
  void fail(const std::string& what);
  const char* learn(const Job& job, const rte_mbuf* mbuf);
  void read_in_full(rte_mbuf* const* mbufs, uint16_t n);

  const Case case_;
  const ForwardOptions options_;
  Generator generator_;
  BenchPort port_;
  Director director_;
  std::vector<Job> script_;
  size_t at_ = 0;
  bool started_ = false;  // the job at at_
  Floor floor_{port_, director_};
  uint64_t first_cycle_ = 0, first_ns_ = 0, made_ = 0, made_replies_ = 0, sent_ = 0;
  uint64_t ends_before_ = 0, requests_before_ = 0, replies_before_ = 0;
  Words digest_{};
  ForwardResult result_;
};

void Forward::write_script() {
  add_fill();
  Job check;
  check.traffic = case_.traffic;
  check.reading = Reading::learn;
  check.packets = options_.instructions != 0 ? 1024 : 65536;
  script_.push_back(check);
  add_measured();
}

// The table through the packet path: UDP by as many packets as carry the client's address, TCP by a
// handshake, of which the director sees the server's part where replies pass it.
void Forward::add_fill() {
  Job job;
  job.sequential = true;
  job.reading = Reading::learn;
  job.packets = case_.flows;
  job.first_packets = true;
  auto add = [&](Segment segment, Traffic traffic) {
    job.segment = segment;
    job.traffic = traffic;
    script_.push_back(job);
  };
  if (case_.protocol == kTcp) {
    add(Segment::syn, Traffic::request);
    if (case_.sees_replies()) add(Segment::syn_ack, Traffic::reply);
    add(Segment::ack, Traffic::request);
    return;
  }
  const bool tells = case_.tells_client();
  for (unsigned i = 0; i < (tells ? 3 : 1); ++i) add(Segment::data, Traffic::request);
}

void Forward::add_measured() {
  Job job;
  job.traffic = case_.traffic;
  auto add = [&](Job::What what, uint64_t packets, double seconds, bool measured) {
    job.what = what;
    job.packets = packets;
    job.cycles = static_cast<uint64_t>(seconds * static_cast<double>(rte_get_tsc_hz()));
    job.measured = measured;
    script_.push_back(job);
  };
  if (options_.instructions != 0) {
    // Each kind three times: the first warms up, the next two differ in length only.
    for (const Job::What what : {Job::director, Job::floor}) {
      for (const unsigned times : {1u, 1u, 2u}) {
        job.part =
            case_.name() + (what == Job::floor ? " floor " : " director ") + std::to_string(times);
        add(what, options_.instructions * times, 0, true);
      }
    }
    return;
  }
  add(Job::director, 0, options_.seconds, false);
  for (unsigned i = 0; i < options_.runs; ++i) {
    // A lead-in brings back to the caches what the other kind has displaced.
    for (const Job::What what : {Job::director, Job::floor}) {
      add(what, 0, options_.seconds / 10, false);
      add(what, 0, options_.seconds, true);
    }
  }
}

bool Forward::is_over(const Job& job, uint64_t now) const {
  return job.packets != 0 ? made_ >= job.packets : now - first_cycle_ >= job.cycles;
}

// Between two turns all frames made before have left: a job ends at the receive call after its
// last frame, and the next begins in the same call.
uint16_t Forward::receive(rte_mbuf** mbufs, uint16_t n) {
  const uint64_t now = rte_rdtsc();
  if (started_ && is_over(script_[at_], now)) end(script_[at_], now);
  if (!result_.failure.empty() || at_ == script_.size()) {
    floor_.leave();
    director_.stop();
    return 0;
  }
  const Job& job = script_[at_];
  if (!started_ && !begin(job)) return 0;
  if (job.packets != 0) {
    n = static_cast<uint16_t>(std::min<uint64_t>(n, job.packets - made_));
  }
  n = generator_.make(mbufs, n);
  made_ += n;
  if (job.traffic == Traffic::mixed) made_replies_ += n / 2;
  if (job.traffic == Traffic::reply) made_replies_ += n;
  return n;
}

// False when the job has to wait for the loop to come to its place.
bool Forward::begin(const Job& job) {
  if ((job.what == Job::floor) != floor_.runs()) {
    if (floor_.runs()) {
      floor_.leave();
    } else {
      floor_.enter();
    }
    return false;
  }
  if (job.reading == Reading::sum && result_.huge_kib == 0) {
    check_table();
    result_.huge_kib = transparent_huge_kib();
    callgrind::start();
  }
  generator_.start(job.segment, job.traffic, job.sequential);
  made_ = made_replies_ = sent_ = 0;
  ends_before_ = director_.sum_of_ends();
  requests_before_ = director_.end(kRequestEnds[static_cast<unsigned>(case_.mode)]);
  replies_before_ =
      director_.end(End::forwarded_nat_reply) + director_.end(End::forwarded_fullnat_reply);
  started_ = true;
  first_ns_ = thread_ns();
  first_cycle_ = rte_rdtsc();
  return true;
}

void Forward::end(const Job& job, uint64_t now) {
  if (!job.part.empty()) callgrind::dump(job.part.c_str());
  if (job.what == Job::director) account(job);
  if (job.measured) {
    auto& runs = job.what == Job::floor ? result_.floor : result_.director;
    runs.push_back({made_, now - first_cycle_, thread_ns() - first_ns_});
  }
  if (job.what == Job::floor && sent_ != made_) fail("the floor lost frames");
  started_ = false;
  ++at_;
}

// Every packet has to be forwarded as its kind is, and to have left through the port.
void Forward::account(const Job& job) {
  const uint64_t accounted = director_.sum_of_ends() - ends_before_;
  const uint64_t requests =
      director_.end(kRequestEnds[static_cast<unsigned>(case_.mode)]) - requests_before_;
  const uint64_t replies = director_.end(End::forwarded_nat_reply) +
                           director_.end(End::forwarded_fullnat_reply) - replies_before_;
  if (job.measured) {
    result_.offered += made_;
    result_.accounted += accounted;
  }
  if (accounted == made_ && requests == made_ - made_replies_ && replies == made_replies_ &&
      sent_ == made_) {
    return;
  }
  fail("of " + std::to_string(made_) + " packets offered (" + std::to_string(made_replies_) +
       " replies) the counters know " + std::to_string(accounted) + ", " +
       std::to_string(requests) + " requests and " + std::to_string(replies) +
       " replies were forwarded, " + std::to_string(sent_) +
       " frames left; losses: " + director_.losses());
}

// Before anything is measured: as many connections as flows, TCP's established.
void Forward::check_table() {
  const uint64_t connections = director_.extra(Extra::connections);
  if (connections != case_.flows) {
    return fail(std::to_string(connections) + " connections for " + std::to_string(case_.flows) +
                " flows");
  }
  constexpr size_t kStateAt = 74;  // in a record of Worker::list
  const State wanted = case_.protocol == kTcp ? State::established : State::udp;
  std::vector<uint8_t> records;
  director_.worker().list(0, std::min(case_.flows, 65536u), records);
  for (size_t at = 0; at < records.size(); at += Worker::kListRecordBytes) {
    if (static_cast<State>(records[at + kStateAt]) != wanted) {
      return fail("a connection is in state " + std::to_string(records[at + kStateAt]));
    }
  }
}

void Forward::fail(const std::string& what) {
  if (result_.failure.empty()) result_.failure = what;
}

void Forward::transmit(rte_mbuf* const* mbufs, uint16_t n) {
  sent_ += n;
  if (script_[at_].reading != Reading::sum) return read_in_full(mbufs, n);
  Words sum = digest_;
  for (uint16_t i = 0; i < n; ++i) {
    const auto* at = rte_pktmbuf_mtod(mbufs[i], const uint8_t*);
    // The shortest frame is read in two words; what lies behind its end is the mbuf's.
    sum += load<Words>(at) + load<Words>(at + sizeof sum);
    const unsigned bytes = rte_pktmbuf_data_len(mbufs[i]);
    for (unsigned o = Head::kBytes; o < bytes; o += sizeof sum) sum += load<Words>(at + o);
  }
  digest_ = sum;
}

void Forward::read_in_full(rte_mbuf* const* mbufs, uint16_t n) {
  for (uint16_t i = 0; i < n && result_.failure.empty(); ++i) {
    const char* wrong = learn(script_[at_], mbufs[i]);
    if (wrong != nullptr) {
      fail("frame of flow " + std::to_string(mbufs[i]->hash.usr) + ": " + wrong);
    }
  }
}

const char* Forward::learn(const Job& job, const rte_mbuf* mbuf) {
  Sent sent;
  if (const char* wrong = inspect(mbuf, case_, sent); wrong != nullptr) return wrong;
  const uint32_t flow = mbuf->hash.usr;
  if (flow >= case_.flows) return "its mark is no flow's";
  const Ends request = generator_.request_ends(flow);
  auto same = [](const Ends& a, const Ends& b) {
    return a.source == b.source && a.destination == b.destination &&
           a.source_port == b.source_port && a.destination_port == b.destination_port;
  };
  const Ends answer{request.destination, request.source, request.destination_port,
                    request.source_port};
  if (sent.to == plan::kRouterMac) {
    return same(sent.ends, answer) ? nullptr : "reply is not VIP to client";
  }
  unsigned server = 0;
  while (server < plan::kServers && sent.to != plan::server_mac(server)) ++server;
  if (server == plan::kServers) return "destination MAC is nobody's";
  Learned& learned = generator_.learned(flow);
  const bool first = learned.server == 0;
  if (!first && learned.server != server + 1) return "real server has changed";
  learned.server = static_cast<uint8_t>(server + 1);

  if (case_.mode == Mode::dr || case_.mode == Mode::tun) {
    if (case_.mode == Mode::tun && sent.tunnel_to != plan::server(server)) {
      return "tunnel leads to another server than the MAC";
    }
    return same(sent.ends, request) ? nullptr : "request has been changed";
  }
  if (sent.ends.destination != plan::server(server) || sent.ends.destination_port != plan::kRport) {
    return "destination is not that server";
  }
  if (case_.mode == Mode::nat) {
    return sent.ends.source == request.source && sent.ends.source_port == request.source_port
               ? nullptr
               : "source is not the client";
  }
  const unsigned local = plan::local_of(sent.ends.source);
  if (local >= plan::locals_for(case_.flows)) return "source is no local address";
  if (first) {
    learned.local = static_cast<uint8_t>(local);
    learned.local_port = sent.ends.source_port;
  } else if (learned.local != local || learned.local_port != sent.ends.source_port) {
    return "local address or port has changed";
  }
  const unsigned mss = job.segment == Segment::syn ? 4 : 0;
  const unsigned options = case_.protocol == kTcp ? sent.tcp_options - mss : sent.ip_options;
  if (job.first_packets && options == 0 && case_.tells_client())
    return "client's address is not told";
  if (!job.first_packets && options != 0 && case_.mode != Mode::enat) {
    return "client's address is told for ever";
  }
  return nullptr;
}

class ForwardScenario final : public Scenario {
 public:
  void parse(Options& options) override {
    options_.runs = static_cast<unsigned>(options.number("runs", options_.runs, 1, 1000));
    options_.seconds = options.seconds("milliseconds", options_.seconds);
    options_.instructions = options.number("instructions", 0, kBurst, 1 << 20);
    for (const std::string& text : options.list("cases")) cases_.push_back(case_of(text));
    if (cases_.empty()) cases_.push_back(case_of(options));
  }

  std::vector<Json> run(Host& host) override {
    std::vector<Json> results;
    for (const Case& c : cases_) {
      callgrind::stop();
      const ForwardResult r = Forward(c, options_, host.mbufs).run();
      if (!r.failure.empty()) throw Error("ERR_BENCH_VOID", c.name() + ": " + r.failure);
      Json json;
      json.add("scenario", "forward");
      add_case(json, c)
          .add("director", json_of(r.director))
          .add("floor", json_of(r.floor))
          .add("offered", r.offered)
          .add("accounted", r.accounted)
          .add("transparentHugeKiB", r.huge_kib)
          .add("digest", std::to_string(r.digest));
      results.push_back(json);
    }
    return results;
  }

 private:
  ForwardOptions options_;
  std::vector<Case> cases_;
};

}  // namespace

std::unique_ptr<Scenario> make_forward() {
  return std::make_unique<ForwardScenario>();
}

}  // namespace sluice::bench
