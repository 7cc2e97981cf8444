#include "kernel_off.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace sluice {
namespace {

// linux/bpf.h of Linux 6.6; Debian 12's headers are older.
constexpr uint32_t kTcxIngress = 46;

constexpr uint32_t kHandle = 1, kPriority = 1;

// return TC_ACT_SHOT;
int load_drop() {
  const bpf_insn program[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K,
       .dst_reg = BPF_REG_0,
       .src_reg = 0,
       .off = 0,
       .imm = TC_ACT_SHOT},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "sluice_drop", "Apache-2.0", program,
                       sizeof program / sizeof program[0], nullptr);
}

int link_tcx(int program, unsigned interface_index) {
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.link_create.prog_fd = static_cast<uint32_t>(program);
  attr.link_create.target_ifindex = interface_index;
  attr.link_create.attach_type = kTcxIngress;
  return static_cast<int>(syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof attr.link_create));
}

bpf_tc_hook hook_of(unsigned interface_index) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(interface_index);
  hook.attach_point = BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts filter() {
  bpf_tc_opts opts{};
  opts.sz = sizeof opts;
  opts.handle = kHandle;
  opts.priority = kPriority;
  return opts;
}

}  // namespace

KernelOff::KernelOff(unsigned interface_index, bool waits) : interface_(interface_index) {
  program_ = load_drop();
  if (program_ < 0) {
    reason_ = std::string("loading an eBPF program: ") + strerror(errno);
    return;
  }
  link_ = link_tcx(program_, interface_index);
  if (link_ >= 0) return;
  bpf_tc_hook hook = hook_of(interface_index);
  const int made = bpf_tc_hook_create(&hook);
  made_hook_ = made == 0;
  bpf_tc_opts opts = filter();
  opts.prog_fd = program_;
  opts.flags = BPF_TC_F_REPLACE;
  const int attached = made == 0 || made == -EEXIST ? bpf_tc_attach(&hook, &opts) : made;
  has_filter_ = attached == 0;
  clsact_ = has_filter_ && !waits;
  // The hook is the process's before this one: it goes when this one ends.
  made_hook_ |= waits;
  if (!has_filter_) reason_ = std::string("attaching a tc filter: ") + strerror(-attached);
}

KernelOff::~KernelOff() {
  if (link_ >= 0) close(link_);
  if (clsact_) {
    bpf_tc_hook hook = hook_of(interface_);
    bpf_tc_opts opts = filter();
    bpf_tc_detach(&hook, &opts);
    if (made_hook_) {
      // Both directions: destroys the clsact qdisc itself.
      hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
      bpf_tc_hook_destroy(&hook);
    }
  }
  if (program_ >= 0) close(program_);
}

}  // namespace sluice
