// A dataplane under a virtual clock: the same Worker as live, fed from memory, sending to memory.
// Needs neither root nor hugepages, and the same input gives the same bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "counters.h"
#include "port/ethdev.h"
#include "port/nic.h"
#include "sync/exchange.h"
#include "watch/watches.h"
#include "worker.h"

namespace sluice {

// How frames come to several workers.
enum class Distribution : uint8_t {
  in_turn,    // bursts go to one worker after the other, as if by chance
  nic,        // by a NIC that hashes as it was told
  other_key,  // by one that hashes differently
  no_hash     // by one that doesn't tell what it hashed
};

struct ReplayOptions {
  std::vector<PortOptions> ports;  // name, mac, mtu and partial_checksums are used
  Limits limits{};
  uint64_t seed = 1;
  unsigned burst = kBurst;
  unsigned workers = 1;
  Distribution distribution = Distribution::in_turn;
  int port_half = -1;  // WorkerOptions
};

// Views of the caller's memory; src/native.ts says what they mean.
struct ReplayBatch {
  const uint8_t* bytes;
  const uint32_t* offsets;  // frames + 1
  const uint64_t* times;
  const uint8_t* ports;
  size_t frames;
};

struct ReplayVerdict {
  int32_t input, kind, end, mode, service, server, out_port, output;
};
static_assert(sizeof(ReplayVerdict) == 8 * sizeof(int32_t));  // VERDICT_WORDS

struct ReplayResult {
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> offsets{0};
  std::vector<uint64_t> times;
  std::vector<uint8_t> ports;
  std::vector<int32_t> sources;
  std::vector<ReplayVerdict> verdicts;
};

inline constexpr uint8_t kToTwin = 0x80;  // in ReplayResult::ports

class ReplayEngine {
 public:
  explicit ReplayEngine(const ReplayOptions& options);
  ~ReplayEngine();
  ReplayEngine(const ReplayEngine&) = delete;
  ReplayEngine& operator=(const ReplayEngine&) = delete;

  void publish(const uint8_t* bytes, size_t n);
  ReplayResult run(const ReplayBatch& batch);
  void advance(uint64_t to_ns);

  const std::vector<uint64_t>& counters() const { return counters_; }
  // Connection sync under the virtual clock; replaces what was there.
  void start_sync(const sync::Settings& settings);
  // Datagrams that are due by now, answers to what was received included. Throws ERR_NATIVE_SYNC
  // unless it was started, as the next does.
  std::vector<std::vector<uint8_t>> sync_send();
  void sync_receive(std::span<const uint8_t> datagram);
  const sync::ExchangeFigures* sync_figures() const {
    return exchange_ ? &exchange_->figures() : nullptr;
  }
  sync::Feeds feeds(size_t worker) const { return workers_[worker]->feeds(); }

  uint32_t list(unsigned worker, uint32_t cursor, uint32_t limit, std::vector<uint8_t>& out) const;
  size_t workers() const { return workers_.size(); }
  unsigned mbufs_in_use() const;
  // Traces; their time is the virtual one.
  Watches& watches() { return *watches_; }
  uint64_t now_ns() const { return now_ns_; }

 private:
  class Outlet;  // a worker's Sink

  void make_nic();
  void make_watches();
  void move_clock(uint64_t to_ns);
  void begin(size_t worker);
  void spread(uint16_t port, rte_mbuf** packets, uint16_t n);
  void turn(size_t worker, uint16_t port, rte_mbuf** packets, uint16_t n);
  void pass_handed_off();
  rte_mbuf* make(const ReplayBatch& batch, size_t frame);
  sync::Exchange& exchange();
  void add_verdicts(size_t frames, ReplayResult& result);

  const ReplayOptions options_;
  const CounterOffsets offsets_;
  std::vector<uint64_t> counters_;
  rte_mempool* mbufs_ = nullptr;
  rte_mempool* reassembled_ = nullptr;
  std::optional<Nic> nic_;
  std::shared_ptr<const Steering> steering_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::shared_ptr<const Fib> fib_;
  uint16_t fib_generation_ = 0;
  std::vector<std::unique_ptr<Outlet>> outlets_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<sync::Exchange> exchange_;
  std::vector<std::vector<uint8_t>> datagrams_;  // to be sent
  std::vector<std::unique_ptr<Watcher>> watchers_;
  std::unique_ptr<Watches> watches_;
  std::vector<std::vector<rte_mbuf*>> handed_off_;  // by receiving worker
  std::vector<Verdict> verdicts_;
  ReplayResult* result_ = nullptr;  // of the run in progress
  bool clock_set_ = false;
  uint64_t first_ns_ = 0, now_ns_ = 0;
  uint64_t bursts_ = 0;
  uint32_t base_ = 1;  // hash.fdir.hi of this run's frame 0: late packets of earlier runs stay
                       // apart, and 0 is of none
};

}  // namespace sluice
