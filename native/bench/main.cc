// sluice_bench: one measurement a process, driven by bench/run.ts.
//
//   sluice_bench forward [--mode M] [--protocol P] [--flows N] [--bytes N|imix] [--direction D]
//                        [--runs N] [--milliseconds N] [--cpu N]
//   sluice_bench --callgrind-case mode/protocol/direction[/flows[/bytes]] … [--packets N]
//
// Prints one JSON object a case on stdout. Status 1: a case is void, or the arguments are wrong.
#include <pthread.h>
#include <rte_cycles.h>
#include <sched.h>

#include <cinttypes>
#include <cstdio>
#include <optional>

#include "callgrind.h"
#include "engine/error.h"
#include "engine/port/eal.h"
#include "forward.h"

namespace sluice::bench {
namespace {

constexpr unsigned kMbufs = 16384;
constexpr unsigned kMemoryMib = 128;

struct Arguments {
  Case what;
  ForwardOptions options;
  std::optional<unsigned> cpu;
  std::vector<Case> instructions;
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  uint64_t packets = 8192;
  int i = 1;
  if (i < argc && argv[i][0] != '-') {
    if (std::string(argv[i]) != "forward") {
      throw Error("ERR_BENCH_ARGUMENT", "scenario '" + std::string(argv[i]) + "': forward");
    }
    ++i;
  }
  for (; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 == argc) throw Error("ERR_BENCH_ARGUMENT", option + " needs a value");
    const std::string value = argv[i + 1];
    auto number = [&](uint64_t least, uint64_t most) {
      return number_of(option, value, least, most);
    };
    if (option == "--mode")
      a.what.mode = mode_of(value);
    else if (option == "--protocol")
      a.what.protocol = protocol_of(value);
    else if (option == "--direction")
      a.what.traffic = traffic_of(value);
    else if (option == "--bytes")
      a.what.bytes = bytes_of(value);
    else if (option == "--flows")
      a.what.flows = static_cast<uint32_t>(number(1, plan::kMostFlows));
    else if (option == "--runs")
      a.options.runs = static_cast<unsigned>(number(1, 1000));
    else if (option == "--milliseconds")
      a.options.seconds = a.options.warm_up_seconds = static_cast<double>(number(1, 60'000)) / 1e3;
    else if (option == "--cpu")
      a.cpu = static_cast<unsigned>(number(0, CPU_SETSIZE - 1));
    else if (option == "--callgrind-case")
      a.instructions.push_back(case_of(value));
    else if (option == "--packets")
      packets = number(kBurst, 1 << 20);
    else
      throw Error("ERR_BENCH_ARGUMENT", "unknown option '" + option + "'");
  }
  if (!a.instructions.empty()) a.options.instructions = packets;
  check(a.what);
  return a;
}

// The last CPU that this process may use, as the director's own choice for one worker is.
unsigned pin(std::optional<unsigned> wanted) {
  cpu_set_t allowed;
  pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed);
  unsigned cpu = 0;
  for (unsigned i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &allowed)) cpu = i;
  }
  if (wanted) {
    if (!CPU_ISSET(*wanted, &allowed)) {
      throw Error("ERR_BENCH_ARGUMENT", "this process may not use CPU " + std::to_string(*wanted));
    }
    cpu = *wanted;
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  pthread_setaffinity_np(pthread_self(), sizeof one, &one);
  return cpu;
}

// Huge pages for mbufs where the machine has some free; what the tables use is their own business
// (transparent ones).
bool start_dpdk() {
  EalOptions options;
  options.memory_mib = kMemoryMib;
  options.hugepages = true;
  try {
    start_eal(options);
    return true;
  } catch (const Error& error) {
    if (error.code() != "ERR_NATIVE_HUGEPAGES") throw;
  }
  options.hugepages = false;
  start_eal(options);
  return false;
}

void print_runs(const char* name, const std::vector<Run>& runs) {
  std::printf(",\"%s\":[", name);
  for (size_t i = 0; i < runs.size(); ++i) {
    std::printf("%s{\"packets\":%" PRIu64 ",\"cycles\":%" PRIu64 ",\"cpuNs\":%" PRIu64 "}",
                i == 0 ? "" : ",", runs[i].packets, runs[i].cycles, runs[i].cpu_ns);
  }
  std::printf("]");
}

void print(const Case& c, const ForwardResult& r, bool hugepages, unsigned cpu) {
  std::printf(
      "{\"scenario\":\"forward\",\"mode\":\"%s\",\"protocol\":\"%s\",\"family\":4,"
      "\"flows\":%u,\"bytes\":",
      name_of(c.mode), c.protocol == kTcp ? "tcp" : "udp", c.flows);
  if (c.bytes == kImix)
    std::printf("\"imix\"");
  else
    std::printf("%u", c.bytes);
  std::printf(",\"direction\":\"%s\"", name_of(c.traffic));
  print_runs("director", r.director);
  print_runs("floor", r.floor);
  std::printf(",\"offered\":%" PRIu64 ",\"accounted\":%" PRIu64 ",\"tscHz\":%" PRIu64
              ",\"cpu\":%u,\"hugepages\":%s,\"transparentHugeKiB\":%" PRIu64
              ",\"digest\":\"%016" PRIx64 "\"}\n",
              r.offered, r.accounted, rte_get_tsc_hz(), cpu, hugepages ? "true" : "false",
              r.huge_kib, r.digest);
  std::fflush(stdout);
}

int run(const Arguments& arguments) {
  const unsigned cpu = pin(arguments.cpu);
  const bool hugepages = start_dpdk();
  rte_mempool* mbufs = make_mbuf_pool("bench", kMbufs, BenchPort::kMtu, true);
  std::vector<Case> cases = arguments.instructions;
  if (cases.empty()) cases.push_back(arguments.what);
  for (const Case& c : cases) {
    callgrind::stop();
    const ForwardResult result = forward(c, arguments.options, mbufs);
    if (!result.failure.empty()) {
      throw Error("ERR_BENCH_VOID", c.name() + ": " + result.failure);
    }
    print(c, result, hugepages, cpu);
  }
  return 0;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice;
  try {
    const bench::Arguments arguments = bench::parse(argc, argv);
    if (!arguments.instructions.empty() && !bench::callgrind::is_running()) {
      std::fprintf(stderr, "sluice_bench: not under callgrind: nothing is counted\n");
    }
    return bench::run(arguments);
  } catch (const Error& error) {
    std::fprintf(stderr, "sluice_bench: %s: %s\n", error.code().c_str(), error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sluice_bench: %s\n", error.what());
  }
  return 1;
}
