#include "eal.h"

#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>

#include "../error.h"
#include "../types.h"
#include "dpdk_log.h"

namespace sluice {
namespace {

constexpr unsigned kReplayMemoryMib = 512;
constexpr unsigned kFrameRoom = 2048;  // data room of DPDK's default mbuf, after the headroom

std::mutex mutex;
std::optional<EalOptions> started;

// EAL pins the calling thread to the main lcore; the event loop and the threads that libuv makes
// from it must go on using every core.
class AffinityKeeper {
 public:
  AffinityKeeper() { pthread_getaffinity_np(pthread_self(), sizeof set_, &set_); }
  ~AffinityKeeper() { pthread_setaffinity_np(pthread_self(), sizeof set_, &set_); }
  const cpu_set_t& set() const { return set_; }

 private:
  cpu_set_t set_;
};

// EAL makes a runtime directory even when it needs none, under /tmp one that belongs to the first
// user who came. It gets a private one that is gone when it has started.
class RuntimeDirectory {
 public:
  RuntimeDirectory() {
    std::error_code ignored;
    path_ = std::filesystem::temp_directory_path(ignored) / "sluice-eal-XXXXXX";
    if (path_.empty() || mkdtemp(path_.data()) == nullptr) path_.clear();
    if (const char* before = getenv(kVariable)) before_ = before;
    if (!path_.empty()) setenv(kVariable, path_.c_str(), 1);
  }
  ~RuntimeDirectory() {
    if (path_.empty()) return;
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
    if (before_) {
      setenv(kVariable, before_->c_str(), 1);
    } else {
      unsetenv(kVariable);
    }
  }

 private:
  static constexpr const char* kVariable = "RUNTIME_DIRECTORY";
  std::string path_;
  std::optional<std::string> before_;
};

std::string cpus_of(const cpu_set_t& set) {
  std::string list;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    if (!list.empty()) list += ',';
    list += std::to_string(cpu);
  }
  return list;
}

uint64_t read_number(const std::filesystem::path& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  file >> value;
  return value;
}

uint64_t free_hugepage_mib() {
  uint64_t mib = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", error)) {
    // hugepages-2048kB
    const std::string name = entry.path().filename();
    const uint64_t kib = strtoull(name.c_str() + sizeof "hugepages-" - 1, nullptr, 10);
    mib += read_number(entry.path() / "free_hugepages") * kib / 1024;
  }
  return mib;
}

void check(const EalOptions& options, const cpu_set_t& allowed) {
  if (options.worker_cpus.size() > kMaxWorkers) {
    throw Error("ERR_NATIVE_EAL", "more than " + std::to_string(kMaxWorkers) + " workers");
  }
  for (const unsigned cpu : options.worker_cpus) {
    if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed)) {
      throw Error("ERR_NATIVE_EAL", "worker on CPU " + std::to_string(cpu) +
                                        ": this process may only use " + cpus_of(allowed));
    }
  }
  if (!options.hugepages) return;
  const uint64_t free = free_hugepage_mib();
  if (free < options.memory_mib) {
    throw Error("ERR_NATIVE_HUGEPAGES",
                std::to_string(options.memory_mib) + " MiB of hugepages are asked for, " +
                    std::to_string(free) +
                    " MiB are free: raise /proc/sys/vm/nr_hugepages or set hugepages to false");
  }
}

std::vector<std::string> arguments_of(const EalOptions& options, const cpu_set_t& allowed) {
  std::vector<std::string> args{"sluice", "--no-telemetry", "--iova-mode=va",
                                "--log-level=" + std::to_string(options.log_level)};
  // The main lcore is this process's main thread: never a worker's, so it floats.
  std::string lcores = "0@(" + cpus_of(allowed) + ")";
  for (size_t i = 0; i < options.worker_cpus.size(); ++i) {
    lcores +=
        "," + std::to_string(lcore_of_worker(i)) + "@" + std::to_string(options.worker_cpus[i]);
  }
  args.insert(args.end(), {"--main-lcore=0", "--lcores=" + lcores});
  args.insert(args.end(), {"-m", std::to_string(options.memory_mib)});
  if (options.hugepages) {
    args.push_back("--in-memory");
  } else {
    args.insert(args.end(), {"--no-huge", "--no-shconf"});
  }
  if (options.pci.empty()) args.push_back("--no-pci");
  for (const std::string& device : options.pci) args.insert(args.end(), {"-a", device});
  return args;
}

void initialise(const EalOptions& options) {
  const AffinityKeeper affinity;
  check(options, affinity.set());
  const RuntimeDirectory directory;
  dpdk_log::capture(options.log_level);
  std::vector<std::string> arguments = arguments_of(options, affinity.set());
  // EAL permutes the pointers and keeps the strings.
  static std::vector<std::string>* kept;
  kept = new std::vector<std::string>(std::move(arguments));
  std::vector<char*> argv;
  for (std::string& argument : *kept) argv.push_back(argument.data());
  argv.push_back(nullptr);
  if (rte_eal_init(static_cast<int>(kept->size()), argv.data()) < 0) {
    throw Error("ERR_NATIVE_EAL", "DPDK did not start: " + dpdk_reason(rte_errno));
  }
  dpdk_log::capture_libxdp();
  started = options;
}

}  // namespace

void start_eal(const EalOptions& options) {
  const std::lock_guard lock(mutex);
  if (started) {
    if (*started == options) return;
    throw Error("ERR_NATIVE_EAL_STARTED",
                "DPDK starts once a process, and it was started with other options");
  }
  initialise(options);
}

void ensure_eal() {
  const std::lock_guard lock(mutex);
  if (started) return;
  EalOptions options;
  options.memory_mib = kReplayMemoryMib;
  initialise(options);
}

rte_mempool* make_mbuf_pool(const std::string& name, unsigned mbufs, unsigned mtu, bool shared) {
  dpdk_log::forget();
  // Ethernet header, VLAN tag and the room that an option or an encapsulation in place would take.
  const unsigned room = std::max(kFrameRoom, (mtu + 14 + 4 + 110 + 63) & ~63u);
  rte_pktmbuf_pool_private sizes{};
  sizes.mbuf_data_room_size = static_cast<uint16_t>(std::min(room + RTE_PKTMBUF_HEADROOM, 65535u));
  // Without hugepages no device sees physical addresses, so an mbuf may cross a page. It has to:
  // each on a page of its own they would all compete for the same few sets of L1.
  const unsigned flags = rte_eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
  rte_mempool* pool = rte_mempool_create_empty(
      name.c_str(), mbufs, sizeof(rte_mbuf) + sizes.mbuf_data_room_size,
      shared ? std::min(256u, mbufs / 2) : 0, sizeof sizes, SOCKET_ID_ANY, flags);
  // "rts": a thread that is preempted in the middle of an operation doesn't make the others spin,
  // and the slow path is an ordinary thread.
  const char* const ring = shared ? "ring_mt_rts" : "ring_mp_mc";
  int error = pool == nullptr ? -rte_errno : rte_mempool_set_ops_byname(pool, ring, nullptr);
  if (error == 0) {
    rte_pktmbuf_pool_init(pool, &sizes);
    error = std::min(rte_mempool_populate_default(pool), 0);
  }
  if (error != 0) {
    rte_mempool_free(pool);
    throw Error("ERR_NATIVE_MEMORY", "no memory for " + std::to_string(mbufs) +
                                         " packet buffers: " + dpdk_reason(error));
  }
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return pool;
}

std::string dpdk_reason(int error) {
  const std::string said = dpdk_log::complaints();
  const std::string text = rte_strerror(error < 0 ? -error : error);
  return said.empty() ? text : text + " (" + said + ")";
}

}  // namespace sluice
