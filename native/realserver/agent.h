// SPDX-License-Identifier: Apache-2.0
// The real server's agent: loads the BPF programs of this folder and holds them attached. Plain C++
// over libbpf; everything lives as long as the Agent, or in bpffs if a pin folder is given.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "attach.h"
#include "shared.h"

namespace sluice::realserver {

// `code` is one of ERR_REALSERVER_*.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message)
      : std::runtime_error(message), code(std::move(code)) {}
  const std::string code;
};

struct Prefix {
  sluice_rs_address address;
  uint32_t length;  // of 128
};

struct Options {
  std::vector<std::string> interfaces;
  std::string object_dir;
  std::vector<Prefix> directors;
  std::vector<sluice_rs_address> vips;
  uint32_t modes = SLUICE_RS_MODE_TUN | SLUICE_RS_MODE_TOA | SLUICE_RS_MODE_ENAT;
  uint8_t toa_kind = 254;
  std::string cgroup;  // empty: the root of this cgroup namespace, mounted or not
  Means means = Means::kAuto;
  std::string pin_dir;  // empty: all goes with the Agent
  uint32_t max_flows = 131072;
  uint64_t tcp_idle_ms = 900'000;  // LVS's timeouts
  uint64_t udp_idle_ms = 300'000;
};

struct Attachment {
  std::string program;
  std::string where;  // interface or cgroup
  std::string how;    // "tcx", "clsact", "cgroup"
};

struct Counter {
  const char* name;
  const char* help;
  uint64_t value;
};

// "a.b.c.d" or "a.b.c.d/len"; throws ERR_REALSERVER_ADDRESS.
Prefix ParsePrefix(const std::string& text);

class Agent {
 public:
  // Attaches or throws an Error, leaving nothing attached.
  static std::unique_ptr<Agent> Attach(const Options& options);
  virtual ~Agent() = default;  // detaches, unless pinned

  virtual const std::vector<Attachment>& attachments() const = 0;
  virtual std::vector<Counter> Counters() const = 0;
  // Reads the machine's addresses anew (the RIPs tunnels may end at); returns how many there are.
  virtual size_t RefreshAddresses() = 0;
};

}  // namespace sluice::realserver
