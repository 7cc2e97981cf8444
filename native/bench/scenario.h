// What a scenario is to sluice_bench. Each has a pair of files of its own and one line in
// scenarios.cc.
#pragma once

#include <rte_mempool.h>

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "json.h"
#include "options.h"

namespace sluice::bench {

// The process as the scenario finds it: DPDK is running.
struct Host {
  // Of the worker lcores; without any, of the calling thread alone.
  std::vector<unsigned> cpus;
  bool hugepages = false;        // hold the mbufs
  rte_mempool* mbufs = nullptr;  // 16 Ki of them, for any thread

  // Calls `body(i)` on every worker lcore i at once; join() waits for all of them.
  void start(std::function<void(unsigned)> body);
  void join();

 private:
  std::function<void(unsigned)> body_;
};

class Scenario {
 public:
  virtual ~Scenario() = default;
  // Before DPDK starts. Throws ERR_BENCH_ARGUMENT.
  virtual void parse(Options& options) = 0;
  // How many worker lcores, each pinned to a CPU, are wanted besides the calling thread. 0: the
  // calling thread does everything and is pinned itself.
  virtual unsigned lcores() const { return 0; }
  // Of DPDK, MiB.
  virtual unsigned memory_mib() const { return 128; }
  // An object a case. Throws ERR_BENCH_VOID when the accounts don't hold.
  virtual std::vector<Json> run(Host& host) = 0;
};

struct Registered {
  const char* name;
  std::unique_ptr<Scenario> (*make)();
};
std::span<const Registered> scenarios();

}  // namespace sluice::bench
