#include "packet_socket.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <thread>

namespace sluice {
namespace {

// setsockopt(_, SOL_PACKET, PACKET_FANOUT, …) returns 0 and is not carried out.
bool ignore_fanout() {
  constexpr uint32_t kCall = offsetof(seccomp_data, nr);
  constexpr uint32_t kLevel = offsetof(seccomp_data, args) + 1 * sizeof(uint64_t);
  constexpr uint32_t kOption = offsetof(seccomp_data, args) + 2 * sizeof(uint64_t);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kCall),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_setsockopt, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kLevel),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOL_PACKET, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kOption),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_FANOUT, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof filter / sizeof filter[0], filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

std::vector<int> packet_sockets_on(unsigned interface_index) {
  std::vector<int> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const int fd = atoi(entry.path().filename().c_str());
    sockaddr_ll address{};
    socklen_t bytes = sizeof address;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes) == 0 &&
        address.sll_family == AF_PACKET &&
        static_cast<unsigned>(address.sll_ifindex) == interface_index) {
      found.push_back(fd);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

int without_fanout(const std::function<int()>& probe) {
  int result = 0;
  std::thread([&] {
    ignore_fanout();
    result = probe();
  }).join();
  return result;
}

bool spread_packet_sockets(const std::vector<int>& sockets, unsigned interface_index) {
  bool good = true;
  for (const int fd : sockets) {
    const int on = 1;
    good &= setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0;
  }
  if (sockets.size() < 2) return good;
  const unsigned group = (static_cast<unsigned>(getpid()) ^ interface_index) & 0xffff;
  for (const int fd : sockets) {
    const unsigned fanout = group | PACKET_FANOUT_HASH << 16;
    good &= setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &fanout, sizeof fanout) == 0;
  }
  return good;
}

void deafen(const std::vector<int>& sockets) {
  sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog program{1, nothing};
  for (const int fd : sockets) {
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  }
}

void open_ears(const std::vector<int>& sockets) {
  const int unused = 0;
  for (const int fd : sockets) {
    setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
  }
}

}  // namespace sluice
