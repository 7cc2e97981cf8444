// SPDX-License-Identifier: Apache-2.0
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent.h"

namespace sluice::realserver {
namespace {

// Newer than libbpf 1.1's and Debian 12's headers.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);

constexpr uint32_t kFilterPriority = 0x5c00;

std::string Reason(int error) {
  return std::strerror(error < 0 ? -error : error);
}

class LinkHook final : public Hook {
 public:
  LinkHook(int fd, const char* how) : fd_(fd), how_(how) {}
  ~LinkHook() override { close(fd_); }
  const char* how() const override { return how_; }

 private:
  int fd_;
  const char* how_;
};

bpf_tc_attach_point PointOf(Direction direction) {
  return direction == Direction::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

// Filters outlive their maker: a killed agent leaves them behind, unlike links. libbpf's option
// structures are made where they are used, since it wants their padding to be zero.
class FilterHook final : public Hook {
 public:
  FilterHook(int index, Direction direction, uint32_t priority, bool made_qdisc)
      : index_(index), direction_(direction), priority_(priority), made_qdisc_(made_qdisc) {}
  ~FilterHook() override {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index_, .attach_point = PointOf(direction_));
    LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = priority_);
    bpf_tc_detach(&hook, &opts);
    if (!made_qdisc_) return;
    hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
    bpf_tc_hook_destroy(&hook);
  }
  const char* how() const override { return "clsact"; }

 private:
  int index_;
  Direction direction_;
  uint32_t priority_;
  bool made_qdisc_;
};

void Pin(int fd, const std::string& pin) {
  if (pin.empty() || bpf_obj_pin(fd, pin.c_str()) == 0) return;
  const int error = errno;
  close(fd);
  throw Error("ERR_REALSERVER_PIN", "cannot pin " + pin + ": " + Reason(error));
}

// The pinned link of an agent before us, running the new program; -1 if there is none.
int TakeOverLink(int program, const std::string& pin) {
  if (pin.empty()) return -1;
  const int fd = bpf_obj_get(pin.c_str());
  if (fd < 0) return -1;
  if (bpf_link_update(fd, program, nullptr) == 0) return fd;
  close(fd);
  unlink(pin.c_str());  // the interface it hung on is gone
  return -1;
}

std::unique_ptr<Hook> AttachFilter(int program, int index, const InterfaceHook& wanted) {
  // Our own priorities, so that filters of others stay where they are.
  const uint32_t priority = kFilterPriority + static_cast<uint32_t>(wanted.order);
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index, .attach_point = PointOf(wanted.direction));
  const int made = bpf_tc_hook_create(&hook);
  if (made < 0 && made != -EEXIST)
    throw Error("ERR_REALSERVER_ATTACH", "no clsact on " + wanted.interface + ": " + Reason(made));
  LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program, .flags = BPF_TC_F_REPLACE, .handle = 1,
              .priority = priority);
  const int error = bpf_tc_attach(&hook, &opts);
  if (error < 0)
    throw Error("ERR_REALSERVER_ATTACH", "no filter on " + wanted.interface + ": " + Reason(error));
  return std::make_unique<FilterHook>(index, wanted.direction, priority, made == 0);
}

std::unique_ptr<Hook> AttachLink(int program, int index, const InterfaceHook& wanted) {
  const int fd = bpf_link_create(
      program, index, wanted.direction == Direction::kIngress ? kTcxIngress : kTcxEgress, nullptr);
  if (fd < 0) return nullptr;
  Pin(fd, wanted.pin);
  return std::make_unique<LinkHook>(fd, "tcx");
}

}  // namespace

std::unique_ptr<Hook> AttachInterface(int program, const InterfaceHook& wanted) {
  const int index = static_cast<int>(if_nametoindex(wanted.interface.c_str()));
  if (index == 0)
    throw Error("ERR_REALSERVER_INTERFACE", "there is no interface " + wanted.interface + " here");
  if (wanted.means == Means::kClsact) return AttachFilter(program, index, wanted);
  const int fd = TakeOverLink(program, wanted.pin);
  if (fd >= 0) return std::make_unique<LinkHook>(fd, "tcx");
  if (auto link = AttachLink(program, index, wanted)) return link;
  if (wanted.means == Means::kTcx)
    throw Error("ERR_REALSERVER_ATTACH",
                "no TCX link on " + wanted.interface + ": " + Reason(errno));
  return AttachFilter(program, index, wanted);
}

std::unique_ptr<Hook> AttachCgroup(int program, int attach_type, int cgroup,
                                   const std::string& pin) {
  int fd = TakeOverLink(program, pin);
  if (fd >= 0) return std::make_unique<LinkHook>(fd, "cgroup");
  fd = bpf_link_create(program, cgroup, static_cast<bpf_attach_type>(attach_type), nullptr);
  if (fd < 0) throw Error("ERR_REALSERVER_CGROUP", "cannot attach to the cgroup: " + Reason(errno));
  Pin(fd, pin);
  return std::make_unique<LinkHook>(fd, "cgroup");
}

int OpenCgroup(const std::string& path) {
  if (!path.empty()) {
    const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
      throw Error("ERR_REALSERVER_CGROUP", "cannot open cgroup " + path + ": " + Reason(errno));
    struct statfs fs = {};
    if (fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) return fd;
    close(fd);
    throw Error("ERR_REALSERVER_CGROUP", path + " is not in a cgroup2 file system");
  }
  const int fs = static_cast<int>(syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC));
  int mount = -1;
  int error = errno;
  if (fs >= 0) {
    if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0)
      mount = static_cast<int>(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0));
    error = errno;
    close(fs);
  }
  if (mount >= 0) {
    // An O_PATH descriptor of a mount nobody sees; the links made by it do not need it to stay.
    return mount;
  }
  for (const char* usual : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    struct statfs info = {};
    if (statfs(usual, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC) return OpenCgroup(usual);
  }
  throw Error("ERR_REALSERVER_CGROUP", "there is no cgroup2 here: " + Reason(error));
}

}  // namespace sluice::realserver
