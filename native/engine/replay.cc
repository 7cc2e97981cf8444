#include "replay.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "error.h"
#include "port/eal.h"
#include "snapshot_wire.h"

namespace sluice {
namespace {

// Frames of a burst, what they turn into, and datagrams that wait for their fragments.
constexpr unsigned kMbufs = 4095;
constexpr unsigned kDatagrams = 63;
// The virtual clock starts here and not at 0, so that "long ago" can be told from "never".
constexpr uint64_t kFirstMs = 1000;

std::atomic<unsigned> serial{0};

}  // namespace

class ReplayEngine::Outlet final : public Sink {
 public:
  explicit Outlet(ReplayEngine& engine) : engine_(engine) {}

  uint16_t transmit(uint16_t port, rte_mbuf** packets, uint16_t n) override {
    return take(static_cast<uint8_t>(port), packets, n);
  }
  uint16_t punt(uint16_t port, rte_mbuf** packets, uint16_t n) override {
    return take(static_cast<uint8_t>(port | kToTwin), packets, n);
  }
  uint16_t hand_off(uint16_t worker, rte_mbuf** packets, uint16_t n) override {
    auto& queue = engine_.handed_off_[worker];
    queue.insert(queue.end(), packets, packets + n);
    return n;
  }
  void resolve(uint16_t, be32) override {}
  void resolve(uint16_t, const WideAddress&) override {}
  void note(Note, uint32_t, uint32_t) override {}

 private:
  uint16_t take(uint8_t port, rte_mbuf** packets, uint16_t n) {
    for (uint16_t i = 0; i < n; ++i) {
      if (engine_.result_ != nullptr) add(*engine_.result_, port, packets[i]);
      rte_pktmbuf_free(packets[i]);
    }
    return n;
  }
  void add(ReplayResult& result, uint8_t port, rte_mbuf* packet) {
    for (const rte_mbuf* part = packet; part != nullptr; part = part->next) {
      const auto* from = rte_pktmbuf_mtod(part, const uint8_t*);
      result.bytes.insert(result.bytes.end(), from, from + part->data_len);
    }
    result.offsets.push_back(static_cast<uint32_t>(result.bytes.size()));
    result.times.push_back(engine_.now_ns_);
    result.ports.push_back(port);
    result.sources.push_back(static_cast<int32_t>(packet->hash.fdir.hi - engine_.base_));
  }

  ReplayEngine& engine_;
};

ReplayEngine::ReplayEngine(const ReplayOptions& options)
    : options_(options),
      offsets_(CounterOffsets::of(options.ports.size(), options.limits)),
      counters_(offsets_.words * options.workers),
      handed_off_(options.workers) {
  ensure_eal();
  unsigned mtu = 0;
  for (const PortOptions& port : options_.ports) mtu = std::max<unsigned>(mtu, port.mtu);
  const std::string name = "replay" + std::to_string(serial++);
  mbufs_ = make_mbuf_pool(name, kMbufs, mtu, false);
  reassembled_ = make_mbuf_pool(name + "d", kDatagrams, kMostFragments * mtu, false);
  try {
    WorkerOptions worker;
    if (options_.distribution != Distribution::in_turn && options_.workers > 1) {
      make_nic();
      worker.steering = steering_.get();
      std::fill_n(worker.spreads, options_.ports.size(), true);
    }
    worker.workers = static_cast<uint16_t>(options_.workers);
    worker.limits = options_.limits;
    worker.port_half = options_.port_half;
    worker.seed = options_.seed;
    worker.cookie_seed = options_.seed;
    worker.ports = options_.ports.size();
    worker.mbufs = mbufs_;
    worker.datagrams = reassembled_;
    for (size_t i = 0; i < options_.ports.size(); ++i) {
      worker.partial_checksums[i] = options_.ports[i].partial_checksums.value_or(false);
    }
    for (unsigned i = 0; i < options_.workers; ++i) {
      worker.index = static_cast<uint16_t>(i);
      worker.counters = counters_.data() + i * offsets_.words;
      outlets_.push_back(std::make_unique<Outlet>(*this));
      workers_.push_back(std::make_unique<Worker>(worker, *outlets_.back()));
      workers_.back()->set_verdicts(&verdicts_);
      watchers_.push_back(std::make_unique<Watcher>(i));
    }
    make_watches();
    wire::Header empty{};
    empty.magic = wire::kMagic;
    empty.version = wire::kVersion;
    empty.total = sizeof empty;
    for (wire::SectionRef& section : empty.sections) section.offset = sizeof empty;
    publish(reinterpret_cast<const uint8_t*>(&empty), sizeof empty);
  } catch (...) {
    workers_.clear();
    rte_mempool_free(mbufs_);
    rte_mempool_free(reassembled_);
    throw;
  }
}

void ReplayEngine::make_watches() {
  std::vector<Watcher*> watchers;
  for (const auto& watcher : watchers_) watchers.push_back(watcher.get());
  watches_ =
      std::make_unique<Watches>(std::move(watchers), options_.ports.size(),
                                [this](unsigned worker, const std::unique_ptr<Letter>& letter) {
                                  letter->read(*workers_[worker]);
                                });
}

void ReplayEngine::make_nic() {
  const auto workers = static_cast<uint16_t>(options_.workers);
  const RssSetup told{Steering::make_key(options_.seed),
                      Steering::even_table(Steering::kEntries, workers)};
  std::string why;
  steering_ = Steering::of({told}, workers, why);
  const bool other = options_.distribution == Distribution::other_key;
  nic_.emplace(other ? Steering::make_key(~options_.seed) : told.key, told.table,
               options_.distribution != Distribution::no_hash);
}

ReplayEngine::~ReplayEngine() {
  workers_.clear();
  rte_mempool_free(mbufs_);
  rte_mempool_free(reassembled_);
}

void ReplayEngine::publish(const uint8_t* bytes, size_t n) {
  std::shared_ptr<const Snapshot> snapshot =
      Snapshot::parse(bytes, n, options_.limits, options_.ports.size());
  FibInput input = snapshot->fib_input();
  input.ports.clear();
  for (const PortOptions& port : options_.ports) {
    input.ports.push_back({port.mac.value_or(Mac{}), port.mtu});
  }
  if (++fib_generation_ == 0) fib_generation_ = 1;
  const auto old_snapshot = std::exchange(snapshot_, std::move(snapshot));
  const auto old_fib = std::exchange(fib_, std::make_shared<const Fib>(input, fib_generation_));
  // Workers keep the pointers of their last begin; the old objects end with this block.
  for (size_t w = 0; w < workers_.size(); ++w) begin(w);
}

void ReplayEngine::begin(size_t worker) {
  workers_[worker]->begin(kFirstMs + (now_ns_ - first_ns_) / 1'000'000, snapshot_.get(),
                          fib_.get());
}

void ReplayEngine::move_clock(uint64_t to_ns) {
  if (!clock_set_) first_ns_ = now_ns_ = to_ns;
  clock_set_ = true;
  // Captures are now and then out of order by some microseconds; the clock never goes back.
  now_ns_ = std::max(now_ns_, to_ns);
  for (size_t w = 0; w < workers_.size(); ++w) {
    begin(w);
    while (!workers_[w]->housekeep()) {
    }
    workers_[w]->flush();
  }
}

void ReplayEngine::spread(uint16_t port, rte_mbuf** packets, uint16_t n) {
  if (!nic_) {
    // In turn, but whole, so that a flow's packets stay in order.
    return turn(bursts_++ % workers_.size(), port, packets, n);
  }
  rte_mbuf* queues[kMaxWorkers][kBurst];
  uint16_t lengths[kMaxWorkers]{};
  for (uint16_t i = 0; i < n; ++i) {
    const uint16_t queue = nic_->receive(*packets[i]);
    queues[queue][lengths[queue]++] = packets[i];
  }
  for (size_t w = 0; w < workers_.size(); ++w) {
    if (lengths[w] != 0) turn(w, port, queues[w], lengths[w]);
  }
}

void ReplayEngine::turn(size_t worker, uint16_t port, rte_mbuf** packets, uint16_t n) {
  begin(worker);
  Watcher& watcher = *watchers_[worker];
  if (watcher.is_on()) {
    watcher.receive(*workers_[worker], port, packets, n, {now_ns_, now_ns_});
  } else {
    workers_[worker]->receive(port, packets, n);
  }
  workers_[worker]->housekeep();
  workers_[worker]->flush();
}

void ReplayEngine::pass_handed_off() {
  for (bool any = true; any;) {
    any = false;
    for (size_t w = 0; w < workers_.size(); ++w) {
      std::vector<rte_mbuf*> packets;
      packets.swap(handed_off_[w]);
      for (size_t at = 0; at < packets.size(); at += kBurst) {
        any = true;
        begin(w);
        const auto n = static_cast<uint16_t>(std::min<size_t>(kBurst, packets.size() - at));
        if (watchers_[w]->is_on()) {
          watchers_[w]->receive_handed_off(*workers_[w], packets.data() + at, n,
                                           {now_ns_, now_ns_});
        } else {
          workers_[w]->receive_handed_off(packets.data() + at, n);
        }
        workers_[w]->housekeep();
        workers_[w]->flush();
      }
    }
  }
}

rte_mbuf* ReplayEngine::make(const ReplayBatch& batch, size_t frame) {
  rte_mbuf* packet = rte_pktmbuf_alloc(mbufs_);
  if (packet == nullptr) throw Error("ERR_NATIVE_MEMORY", "replay: packet buffers exhausted");
  const uint32_t from = batch.offsets[frame];
  // Longer than any port's MTU allows: cut off, as a device's ring would, and then refused for
  // the length in its IP header.
  const auto bytes = static_cast<uint16_t>(
      std::min<uint32_t>(batch.offsets[frame + 1] - from, rte_pktmbuf_tailroom(packet)));
  if (bytes != 0) memcpy(rte_pktmbuf_append(packet, bytes), batch.bytes + from, bytes);
  packet->port = batch.ports[frame];
  packet->hash.fdir.hi = base_ + static_cast<uint32_t>(frame);
  return packet;
}

ReplayResult ReplayEngine::run(const ReplayBatch& batch) {
  ReplayResult result;
  result_ = &result;
  verdicts_.clear();
  for (size_t at = 0; at < batch.frames;) {
    size_t end = at + 1;
    while (end < batch.frames && end - at < options_.burst && batch.times[end] == batch.times[at] &&
           batch.ports[end] == batch.ports[at]) {
      ++end;
    }
    if (!clock_set_ || batch.times[at] > now_ns_) move_clock(batch.times[at]);
    rte_mbuf* packets[kBurst];
    for (size_t i = at; i < end; ++i) packets[i - at] = make(batch, i);
    spread(batch.ports[at], packets, static_cast<uint16_t>(end - at));
    pass_handed_off();
    at = end;
  }
  result_ = nullptr;
  add_verdicts(batch.frames, result);
  base_ += static_cast<uint32_t>(batch.frames);
  return result;
}

void ReplayEngine::add_verdicts(size_t frames, ReplayResult& result) {
  // Outputs of this run by the frame that caused them; the first one counts.
  std::vector<int32_t> output(frames, -1);
  for (size_t i = 0; i < result.sources.size(); ++i) {
    int32_t& source = result.sources[i];
    if (source < 0 || static_cast<size_t>(source) >= frames) {
      source = -1;
    } else if (output[source] < 0) {
      output[source] = static_cast<int32_t>(i);
    }
  }
  for (const Verdict& v : verdicts_) {
    const uint32_t input = v.source - base_;
    const bool known = input < frames;
    result.verdicts.push_back({known ? static_cast<int32_t>(input) : -1,
                               static_cast<int32_t>(kind_of(v.end)), static_cast<int32_t>(v.end),
                               v.mode, v.service, v.server, v.out_port,
                               known ? output[input] : -1});
  }
  // Workers end packets in the order of their stages; people read them in the order of arrival.
  std::stable_sort(
      result.verdicts.begin(), result.verdicts.end(),
      [](const ReplayVerdict& a, const ReplayVerdict& b) { return a.input < b.input; });
  verdicts_.clear();
}

void ReplayEngine::advance(uint64_t to_ns) {
  move_clock(to_ns);
  pass_handed_off();
  verdicts_.clear();
}

void ReplayEngine::start_sync(const sync::Settings& settings) {
  std::vector<sync::Feeds> feeds;
  for (const auto& worker : workers_) {
    feeds.push_back(worker->feeds());
    sync::FeedOptions feed = settings.feed;
    feed.tells = settings.tells;
    worker->start_sync(feed);
  }
  exchange_ = std::make_unique<sync::Exchange>(
      settings, std::move(feeds), steering_.get(), options_.seed ^ settings.session,
      [this](std::span<const uint8_t> datagram) {
        datagrams_.emplace_back(datagram.begin(), datagram.end());
      },
      [](unsigned) {});
  exchange_->follow(snapshot_);
}

sync::Exchange& ReplayEngine::exchange() {
  if (!exchange_) throw Error("ERR_NATIVE_SYNC", "connection sync has not been started");
  return *exchange_;
}

std::vector<std::vector<uint8_t>> ReplayEngine::sync_send() {
  exchange().follow(snapshot_);
  const uint64_t now = workers_[0]->now_ms();
  for (size_t w = 0; w < workers_.size(); ++w) {
    begin(w);
    while (!workers_[w]->housekeep()) {
    }
    workers_[w]->flush();
  }
  while (exchange().gather(now) != 0) {
  }
  exchange().tick(now);
  return std::exchange(datagrams_, {});
}

void ReplayEngine::sync_receive(std::span<const uint8_t> datagram) {
  exchange().follow(snapshot_);
  exchange().receive(datagram, workers_[0]->now_ms());
  for (size_t w = 0; w < workers_.size(); ++w) {
    begin(w);
    while (!workers_[w]->housekeep()) {
    }
    workers_[w]->flush();
  }
}

uint32_t ReplayEngine::list(unsigned worker, uint32_t cursor, uint32_t limit,
                            std::vector<uint8_t>& out) const {
  return workers_[worker]->list(cursor, limit, out);
}

unsigned ReplayEngine::mbufs_in_use() const {
  return rte_mempool_in_use_count(mbufs_);
}

}  // namespace sluice
