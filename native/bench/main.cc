// sluice_bench SCENARIO [--option value]… [--cpu N[,N]…]: one measurement a process, driven by
// bench/run.ts.
//
// Prints one JSON object a case on stdout: the scenario's fields, then those of the machine. Status
// 1: a case is void, or the arguments are wrong.
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>

#include "callgrind.h"
#include "engine/error.h"
#include "engine/port/eal.h"
#include "port.h"
#include "scenario.h"

namespace sluice::bench {
namespace {

constexpr unsigned kMbufs = 16384;

std::unique_ptr<Scenario> scenario_of(const std::string& name) {
  std::string known;
  for (const Registered& each : scenarios()) {
    if (name == each.name) return each.make();
    known += (known.empty() ? "" : ", ") + std::string(each.name);
  }
  throw Error("ERR_BENCH_ARGUMENT", "scenario '" + name + "': " + known);
}

// The last CPUs that this process may use, as the director's own choice is.
std::vector<unsigned> choose_cpus(const std::vector<std::string>& wanted, unsigned count) {
  cpu_set_t allowed;
  pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed);
  std::vector<unsigned> cpus;
  for (const std::string& text : wanted) {
    const auto cpu = static_cast<unsigned>(number_of("--cpu", text, 0, CPU_SETSIZE - 1));
    if (!CPU_ISSET(cpu, &allowed)) {
      throw Error("ERR_BENCH_ARGUMENT", "this process may not use CPU " + text);
    }
    cpus.push_back(cpu);
  }
  if (cpus.empty()) {
    for (unsigned i = CPU_SETSIZE; i-- > 0 && cpus.size() < count;) {
      if (CPU_ISSET(i, &allowed)) cpus.insert(cpus.begin(), i);
    }
  }
  if (cpus.size() != count) {
    throw Error("ERR_BENCH_ARGUMENT", "--cpu: " + std::to_string(count) + " are needed, " +
                                          std::to_string(cpus.size()) + " are there");
  }
  return cpus;
}

void pin(unsigned cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

// Huge pages for mbufs where the machine has some free; what the tables use is their own business
// (transparent ones). Valgrind has no room for the address space that DPDK reserves for them.
bool start_dpdk(const std::vector<unsigned>& lcores, unsigned memory_mib) {
  EalOptions options;
  options.memory_mib = memory_mib;
  options.worker_cpus = lcores;
  options.hugepages = !callgrind::is_running();
  try {
    start_eal(options);
    return options.hugepages;
  } catch (const Error& error) {
    if (error.code() != "ERR_NATIVE_HUGEPAGES") throw;
  }
  options.hugepages = false;
  start_eal(options);
  return false;
}

void run(int argc, char** argv) {
  const std::unique_ptr<Scenario> scenario = scenario_of(argc > 1 ? argv[1] : "");
  Options options(argc, argv, 2);
  const std::vector<std::string> wanted = options.list("cpu");
  scenario->parse(options);
  options.finish();

  Host host;
  host.cpus = choose_cpus(wanted, std::max(1u, scenario->lcores()));
  if (scenario->lcores() == 0) pin(host.cpus[0]);
  host.hugepages = start_dpdk(scenario->lcores() == 0 ? std::vector<unsigned>{} : host.cpus,
                              scenario->memory_mib());
  host.mbufs = make_mbuf_pool("bench", kMbufs, BenchPort::kMtu, true);
  for (Json& result : scenario->run(host)) {
    result.add("tscHz", rte_get_tsc_hz()).add("cpus", host.cpus).add("hugepages", host.hugepages);
    std::puts(result.text().c_str());
  }
}

}  // namespace

void Host::start(std::function<void(unsigned)> body) {
  body_ = std::move(body);
  for (unsigned i = 0; i < cpus.size(); ++i) {
    auto call = [](void* host) {
      static_cast<Host*>(host)->body_(rte_lcore_id() - lcore_of_worker(0));
      return 0;
    };
    if (rte_eal_remote_launch(call, this, lcore_of_worker(i)) != 0) {
      throw Error("ERR_BENCH_LCORE", "worker " + std::to_string(i) + " has no lcore that is free");
    }
  }
}

void Host::join() {
  rte_eal_mp_wait_lcore();
}

}  // namespace sluice::bench

int main(int argc, char** argv) {
  try {
    sluice::bench::run(argc, argv);
    return 0;
  } catch (const sluice::Error& error) {
    std::fprintf(stderr, "sluice_bench: %s: %s\n", error.code().c_str(), error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sluice_bench: %s\n", error.what());
  }
  return 1;
}
