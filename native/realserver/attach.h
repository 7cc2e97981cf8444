// SPDX-License-Identifier: Apache-2.0
// Ways to hang a loaded program on an interface or a cgroup. Each returns an object that takes it
// off again when destroyed.
#pragma once

#include <memory>
#include <string>

namespace sluice::realserver {

enum class Direction { kIngress, kEgress };

// kAuto: TCX where the kernel has it (6.6), else clsact.
enum class Means { kAuto, kTcx, kClsact };

class Hook {
 public:
  virtual ~Hook() = default;
  virtual const char* how() const = 0;
};

struct InterfaceHook {
  std::string interface;
  Direction direction;
  int order;  // among our own of that direction
  Means means;
  std::string pin;  // file in bpffs to keep a TCX link under, empty for none
};

// A pinned link already there is given the new program without a gap.
std::unique_ptr<Hook> AttachInterface(int program, const InterfaceHook& wanted);

std::unique_ptr<Hook> AttachCgroup(int program, int attach_type, int cgroup,
                                   const std::string& pin);

// Descriptor of the cgroup2 folder `path`; empty: the root of this cgroup namespace, reached by a
// mount of its own that is never attached anywhere, since `ip netns exec` hides /sys/fs/cgroup.
int OpenCgroup(const std::string& path);

}  // namespace sluice::realserver
