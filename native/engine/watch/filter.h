// A tcpdump filter as a program that workers run on frames: libpcap compiles it, DPDK checks it
// and makes machine code of it.
#pragma once

#include <rte_bpf.h>
#include <rte_mbuf.h>

#include <memory>
#include <string>

namespace sluice {

class Filter {
 public:
  // '' takes every frame. Throws ERR_NATIVE_FILTER with libpcap's or DPDK's words.
  explicit Filter(const std::string& expression);
  ~Filter();
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  // By any thread. The mbuf may have several segments.
  bool takes(rte_mbuf* frame) const {
    return (jit_ != nullptr ? jit_(frame) : rte_bpf_exec(program_, frame)) != 0;
  }
  bool is_machine_code() const { return jit_ != nullptr; }

 private:
  rte_bpf* program_ = nullptr;
  uint64_t (*jit_)(void*) = nullptr;
};

}  // namespace sluice
