#include "dpdk_log.h"

#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <rte_log.h>
#include <stdio.h>

#include <cstdarg>
#include <mutex>
#include <utility>

namespace sluice::dpdk_log {
namespace {

constexpr size_t kKept = 256;
constexpr unsigned kComplaints = 3;

struct State {
  std::mutex mutex;
  std::vector<Line> lines;
  std::string partial;
  std::string complaints;
  unsigned complaint_count = 0;
};

// Never destroyed: DPDK's own threads may log until the process is gone.
State& state() {
  static State* s = new State;
  return *s;
}

void keep(State& s, int level, std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.empty()) return;
  if (level <= static_cast<int>(RTE_LOG_WARNING) && s.complaint_count < kComplaints) {
    s.complaints += (s.complaint_count++ == 0 ? "" : "; ") + text;
  }
  if (s.lines.size() < kKept) s.lines.push_back({level, std::move(text)});
}

ssize_t write_line(void*, const char* bytes, size_t n) {
  State& s = state();
  const int level = rte_log_cur_msg_loglevel();
  const std::lock_guard lock(s.mutex);
  s.partial.append(bytes, n);
  for (size_t end; (end = s.partial.find('\n')) != std::string::npos;) {
    keep(s, level, s.partial.substr(0, end));
    s.partial.erase(0, end + 1);
  }
  return static_cast<ssize_t>(n);
}

// libxdp's levels are the same numbers.
int write_libbpf(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char text[512];
  vsnprintf(text, sizeof text, format, arguments);
  State& s = state();
  const std::lock_guard lock(s.mutex);
  // Their warnings about a missing bpffs and the like are no failure of ours: information.
  keep(s, RTE_LOG_INFO, text);
  return 0;
}

void clear(State& s) {
  s.complaints.clear();
  s.complaint_count = 0;
}

}  // namespace

void capture(int level) {
  static std::once_flag once;
  std::call_once(once, [] {
    cookie_io_functions_t functions{};
    functions.write = write_line;
    FILE* stream = fopencookie(nullptr, "w", functions);
    if (stream == nullptr) return;
    setvbuf(stream, nullptr, _IOLBF, 0);
    rte_openlog_stream(stream);
    libbpf_set_print(write_libbpf);
  });
  rte_log_set_global_level(static_cast<uint32_t>(level));
}

void capture_libxdp() {
  // Loaded by the AF_XDP driver's plugin, if at all: not a library of ours.
  void* library = dlopen("libxdp.so.1", RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return;
  using SetPrint = libbpf_print_fn_t (*)(libbpf_print_fn_t);
  if (auto* set_print = reinterpret_cast<SetPrint>(dlsym(library, "libxdp_set_print"))) {
    set_print(write_libbpf);
  }
  dlclose(library);
}

std::vector<Line> take() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  clear(s);
  return std::exchange(s.lines, {});
}

std::string complaints() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.complaints;
}

void forget() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  clear(s);
}

}  // namespace sluice::dpdk_log
