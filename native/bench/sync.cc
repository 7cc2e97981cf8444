#include "sync.h"

#include <rte_cycles.h>
#include <unistd.h>

#include <functional>
#include <type_traits>
#include <vector>

#include "addresses.h"
#include "case.h"
#include "clock.h"
#include "director.h"
#include "engine/error.h"
#include "engine/live/sync_socket.h"
#include "engine/sync/exchange.h"

namespace sluice::bench {
namespace {

constexpr uint32_t kBatch = 4096;  // records between two looks at the clock
constexpr uint32_t kRate = 100'000'000;
constexpr uint64_t kTickMs = 100;  // of the virtual clock, a batch
constexpr be32 kLoopback = plan::v4(127, 0, 0, 1);

struct Parts {
  std::vector<Run> send, receive, adopt, tell;
  uint64_t offered = 0, accounted = 0;
};

template <class Family>
typename Family::Address address_of(be32 v4) {
  if constexpr (std::is_same_v<Family, V4>) {
    return v4;
  } else {
    return plan::v6(v4);
  }
}

// Connection i as another director would tell it.
template <class Family>
sync::RecordOf<Family> record_of(uint32_t i) {
  const auto address = address_of<Family>;
  sync::RecordOf<Family> r{};
  const uint32_t client = i & ((1u << plan::kClientBits) - 1);
  r.request = {address(to_be(uint32_t{198} << 24 | uint32_t{18} << 16 | client)),
               address(plan::kVip), to_be(static_cast<uint16_t>(1024 + (i >> plan::kClientBits))),
               plan::kVport};
  const uint32_t nth = i / plan::kServers;  // towards its server
  r.reply = {address(plan::server(i % plan::kServers)), address(plan::local(nth / 64'000)),
             plan::kRport, to_be(static_cast<uint16_t>(1024 + nth % 64'000))};
  r.server = i % plan::kServers;
  r.tale = sync::Tale::live;
  r.protocol = kTcp;
  r.mode = Mode::fullnat;
  r.state = State::established;
  return r;
}

Run measure(const std::function<uint64_t()>& work) {
  const uint64_t ns = thread_ns(), cycles = rte_rdtsc();
  const uint64_t records = work();
  return {records, rte_rdtsc() - cycles, thread_ns() - ns};
}

void add(Run& sum, const Run& one) {
  sum.packets += one.packets;
  sum.cycles += one.cycles;
  sum.cpu_ns += one.cpu_ns;
}

// Two exchanges, and sockets of one interface between them.
template <class Family>
class Wire {
 public:
  explicit Wire(std::shared_ptr<const Snapshot> snapshot)
      : told_(1),
        heard_(1),
        told6_(1),
        heard6_(1),
        sender_(socket_options()),
        receiver_(socket_options()) {
    sync::Settings settings;
    settings.rate = kRate;
    settings.datagram_bytes = sender_.datagram_bytes();
    auto unwoken = [](unsigned) {};
    settings.session = 1;
    from_ = std::make_unique<sync::Exchange>(
        settings, std::vector{sync::Feeds{&told_, &told6_, &told_calls_}}, nullptr, 1,
        [this](std::span<const uint8_t> d) { shaken_ ? sender_.add(d) : to_->receive(d, now_); },
        unwoken);
    settings.session = 2;
    to_ = std::make_unique<sync::Exchange>(
        settings, std::vector{sync::Feeds{&heard_, &heard6_, &heard_calls_}}, nullptr, 2,
        [this](std::span<const uint8_t> d) {
          if (!shaken_) from_->receive(d, now_);
        },
        unwoken);
    from_->follow(snapshot);
    to_->follow(snapshot);
    from_->tick(now_);
    shaken_ = to_->figures().peers.load() == 1;
    if (!shaken_) throw Error("ERR_BENCH_VOID", "the directors do not know one another");
  }

  void run(double seconds, uint32_t connections, Parts& parts) {
    Run send{}, receive{};
    while (send.cpu_ns + receive.cpu_ns < seconds * 2e9) {
      for (uint32_t i = 0; i < kBatch; ++i) {
        told_of().out.push(record_of<Family>(at_));
        at_ = at_ + 1 == connections ? 0 : at_ + 1;
      }
      now_ += kTickMs;
      const uint64_t before = to_->figures().received_records.load();
      add(send, measure([&] {
            uint64_t sent = 0;
            while (sent < kBatch) sent += from_->gather(now_);
            parts.offered += sent;
            sender_.send();
            return sent;
          }));
      add(receive, measure([&] {
            for (auto d = receiver_.receive(); !d.empty(); d = receiver_.receive()) {
              for (const auto& one : d) to_->receive(one, now_);
            }
            return to_->figures().received_records.load() - before;
          }));
      auto& heard = sync::Feeds{&heard_, &heard6_, &heard_calls_}.of<Family>().in;
      for (; heard.peek() != nullptr; heard.drop()) ++parts.accounted;
    }
    parts.send.push_back(send);
    parts.receive.push_back(receive);
  }

 private:
  sync::FeedOf<Family>& told_of() {
    return sync::Feeds{&told_, &told6_, &told_calls_}.of<Family>();
  }
  static SyncSocketOptions socket_options() {
    SyncSocketOptions o;
    o.interface = "lo";
    o.destination = kLoopback;
    o.port = static_cast<uint16_t>(20'000 + getpid() % 20'000);
    return o;
  }

  sync::Feed told_, heard_;
  sync::Feed6 told6_, heard6_;
  sync::CallFeed told_calls_, heard_calls_;
  SyncSocket sender_, receiver_;  // the kernel gives to the one that was bound last
  std::unique_ptr<sync::Exchange> from_, to_;
  bool shaken_ = false;
  uint64_t now_ = 1000;
  uint32_t at_ = 0;
};

// A worker adopts all connections, and then tells of all: as one that has just taken over.
template <class Family>
struct Upkeep final : Letter {
  Upkeep(unsigned runs, uint32_t connections, Director& director, Parts& parts)
      : runs(runs), connections(connections), director(director), parts(parts) {}
  void read(Worker& worker) noexcept override {
    sync::FeedOf<Family>& feed = worker.feeds().of<Family>();
    sync::FeedOptions options;
    options.tells = true;
    worker.start_sync(options);
    while (!worker.synchronise()) {
    }
    for (unsigned i = 0; i < runs; ++i) run(worker, feed);
    director.stop();
  }
  void run(Worker& worker, sync::FeedOf<Family>& feed) {
    // The first time makes them, from then on the peer has carried them and tells of that.
    Run adopt{};
    for (uint32_t i = 0; i < connections;) {
      for (uint32_t n = 0; n < kBatch && i < connections; ++n, ++i)
        feed.in.push(record_of<Family>(i));
      add(adopt, measure([&] {
            const uint64_t before = feed.figures.adopted + feed.figures.updated;
            while (!feed.in.empty()) worker.synchronise();
            return feed.figures.adopted + feed.figures.updated - before;
          }));
    }
    parts.offered += connections;
    parts.accounted += adopt.packets;
    for (uint32_t i = 0; i < worker.connections(); ++i) feed.notes(i) = 0;
    const uint32_t sweep = feed.sweeps_wanted.fetch_add(1) + 1;
    Run tell{};
    for (bool through = false; !through;) {
      add(tell, measure([&] {
            const uint64_t before = feed.figures.told;
            for (unsigned turn = 0; turn < 16; ++turn) worker.synchronise();
            return feed.figures.told - before;
          }));
      for (const sync::RecordOf<Family>* r; (r = feed.out.peek()) != nullptr; feed.out.drop()) {
        through |= r->tale == sync::Tale::mark && r->told_ms == sweep;
      }
    }
    parts.offered += connections;
    parts.accounted += tell.packets;
    for (uint32_t i = 0; i < worker.connections(); ++i) feed.notes(i) = sync::kTold | sync::kTheirs;
    if (made) parts.adopt.push_back(adopt);
    if (made) parts.tell.push_back(tell);
    made = true;
  }
  void answer(bool) override {}

  const unsigned runs;
  const uint32_t connections;
  Director& director;
  Parts& parts;
  bool made = false;
};

class Silent final : public PortUser {
 public:
  uint16_t receive(rte_mbuf**, uint16_t) override { return 0; }
  void transmit(rte_mbuf* const*, uint16_t) override {}
};

class Sync final : public Scenario {
 public:
  void parse(Options& options) override {
    runs_ = static_cast<unsigned>(options.number("runs", 5, 1, 1000));
    seconds_ = options.seconds("milliseconds", 0.3);
    connections_ = static_cast<uint32_t>(options.number("connections", 200'000, 1000, 1'000'000));
    family_ = family_of(options.text("family", "4"));
  }

  std::vector<Json> run(Host& host) override {
    return family_ == 6 ? run_in<V6>(host) : run_in<V4>(host);
  }

 private:
  template <class Family>
  std::vector<Json> run_in(Host& host) {
    Case c;
    c.family = family_;
    c.mode = Mode::fullnat;
    c.protocol = kTcp;
    c.flows = connections_;
    Silent nobody;
    BenchPort port(host.mbufs, nobody);
    Director director(c, host.mbufs, port);
    Parts parts;
    Wire<Family> wire(director.snapshot());
    for (unsigned i = 0; i < runs_; ++i) wire.run(seconds_, connections_, parts);
    director.post(std::make_unique<Upkeep<Family>>(runs_ + 1, connections_, director, parts));
    director.run();
    Json json;
    json.add("connections", connections_)
        .add("send", json_of(parts.send))
        .add("receive", json_of(parts.receive))
        .add("adopt", json_of(parts.adopt))
        .add("tell", json_of(parts.tell))
        .add("offered", parts.offered)
        .add("accounted", parts.accounted);
    return {json};
  }

  unsigned runs_ = 5;
  double seconds_ = 0.3;
  uint32_t connections_ = 200'000;
  unsigned family_ = 4;
};

}  // namespace

std::unique_ptr<Scenario> make_sync() {
  return std::make_unique<Sync>();
}

}  // namespace sluice::bench
