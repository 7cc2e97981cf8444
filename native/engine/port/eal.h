// DPDK's environment, started once a process and shared by the live engine and every replay.
#pragma once

#include <rte_mempool.h>

#include <string>
#include <vector>

namespace sluice {

struct EalOptions {
  bool hugepages = false;
  unsigned memory_mib = 256;
  std::vector<unsigned> worker_cpus;  // worker i is lcore i + 1, pinned to worker_cpus[i]
  std::vector<std::string> pci;       // allow-list; empty: --no-pci
  int log_level = 4;                  // RTE_LOG_WARNING

  bool operator==(const EalOptions&) const = default;
};

// Starts EAL for the live engine. A second start is an error, except with equal options after the
// first user has failed or stopped: rte_eal_init itself works once a process.
// Throws ERR_NATIVE_EAL_STARTED, ERR_NATIVE_HUGEPAGES, ERR_NATIVE_EAL.
void start_eal(const EalOptions& options);

// For replay: whatever EAL there is, or one without hugepages, root or worker lcores.
void ensure_eal();

// lcore of worker i after start_eal.
constexpr unsigned lcore_of_worker(unsigned index) {
  return index + 1;
}

// A pool of mbufs with room for frames of `mtu`; name must be unique. `shared`: used by more than
// one thread. Throws ERR_NATIVE_MEMORY.
rte_mempool* make_mbuf_pool(const std::string& name, unsigned mbufs, unsigned mtu, bool shared);

// "Permission denied" of rte_errno, and what DPDK has complained of, if anything.
std::string dpdk_reason(int error);

}  // namespace sluice
