#include "filter.h"

#include <pcap/pcap.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include <mutex>

#include "../error.h"

namespace sluice {
namespace {

constexpr int kWhole = 65535;

struct Compiled {
  bpf_program program{};
  explicit Compiled(const std::string& expression) {
    // The grammar of older libpcaps keeps its state in static variables.
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    const std::unique_ptr<pcap_t, decltype(&pcap_close)> handle(pcap_open_dead(DLT_EN10MB, kWhole),
                                                                pcap_close);
    if (!handle) throw Error("ERR_NATIVE_MEMORY", "filter: out of memory");
    if (pcap_compile(handle.get(), &program, expression.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0) {
      throw Error("ERR_NATIVE_FILTER", "filter '" + expression + "': " + pcap_geterr(handle.get()));
    }
  }
  ~Compiled() { pcap_freecode(&program); }
};

}  // namespace

Filter::Filter(const std::string& expression) {
  const Compiled compiled(expression);
  auto fail = [&](const char* what) {
    throw Error("ERR_NATIVE_FILTER",
                "filter '" + expression + "': " + what + ": " + rte_strerror(rte_errno));
  };
  rte_bpf_prm* converted = rte_bpf_convert(&compiled.program);
  if (converted == nullptr) fail("workers cannot run it");
  program_ = rte_bpf_load(converted);
  rte_free(converted);
  if (program_ == nullptr) fail("workers cannot run it");
  rte_bpf_jit jit{};
  if (rte_bpf_get_jit(program_, &jit) == 0) jit_ = jit.func;
}

Filter::~Filter() {
  rte_bpf_destroy(program_);
}

}  // namespace sluice
