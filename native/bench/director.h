// The director under measurement: the live loop (engine/live/lcore.cc) on the bench's port, with a
// configuration as plan() would publish it.
#pragma once

#include <memory>

#include "case.h"
#include "engine/live/lcore.h"
#include "engine/live/sync_thread.h"
#include "port.h"

namespace sluice::bench {

struct DirectorOptions {
  uint32_t connections = 0;  // room in the table; 0: the configuration's default, or all flows
  IdleOptions idle{};
};

class Director {
 public:
  // `clock_ms` as in Lcore.
  Director(const Case& c, rte_mempool* mbufs, const BenchPort& port,
           const uint64_t* clock_ms = nullptr, const DirectorOptions& options = {});

  // On the calling thread until stop().
  void run() { lcore_->run(); }
  void stop() { lcore_->stop(); }
  // Does something between two turns, on the thread of run().
  void post(std::unique_ptr<Letter> letter) { wiring_.mail[0].in.put(std::move(letter)); }

  // The live sync thread, beside the CPUs of whoever calls run(). It has nothing to do before the
  // worker's feed is started.
  void synchronise(const SyncOptions& options, const std::vector<unsigned>& busy_cpus);

  Worker& worker() { return lcore_->worker(); }
  std::shared_ptr<const Snapshot> snapshot() const { return publisher_.current(); }
  uint64_t end(End end) const { return block_[static_cast<size_t>(end)]; }
  uint64_t extra(Extra extra) const { return block_[offsets_.extra + static_cast<size_t>(extra)]; }
  uint64_t sum_of_ends() const;
  // "name 12, name 3" of every end that is no forwarding; for messages.
  std::string losses() const;

  static constexpr uint32_t kDefaultConnections = 1'000'000;  // the configuration's default

 private:
  static Limits limits_of(const Case& c, const DirectorOptions& options);

  const CounterOffsets offsets_;
  uint64_t* block_;
  Wiring wiring_{1};
  Publisher publisher_{1};
  std::unique_ptr<Lcore> lcore_;
  std::unique_ptr<SyncThread> sync_thread_;
};

}  // namespace sluice::bench
