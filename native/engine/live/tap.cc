#include "tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "../error.h"
#include "../port/interface.h"
#include "netlink.h"

namespace sluice {
namespace {

constexpr char kCode[] = "ERR_NATIVE_TWIN";

}  // namespace

Tap::Tap(const std::string& name, const Mac& mac, unsigned mtu,
         const std::vector<std::string>& addresses)
    : name_(name) {
  auto fail = [&](const char* doing) {
    const std::string reason = strerror(errno);
    if (fd_ >= 0) close(fd_);
    throw Error(kCode, "twin '" + name + "': " + doing + ": " + reason);
  };
  if (name.size() >= IFNAMSIZ) {
    errno = ENAMETOOLONG;
    fail("its name");
  }
  // An interface of that name that is there already would be taken over silently if it is a TAP.
  if (interface::index_of(name) != 0) {
    errno = EEXIST;
    fail("making it");
  }
  fd_ = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd_ < 0) fail("/dev/net/tun");
  struct ifreq request {};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  if (ioctl(fd_, TUNSETIFF, &request) != 0) fail("making it");
  try {
    index_ = interface::index_of(name);
    interface::set_mac(name, mac, kCode);
    interface::set_mtu(name, mtu, kCode);
    interface::set_up(name, kCode);
    Netlink netlink;
    for (const std::string& address : addresses) netlink.add_address(index_, address, kCode);
  } catch (...) {
    close(fd_);
    throw;
  }
}

Tap::Tap(const std::string& name, int fd, unsigned mtu, const std::vector<std::string>& addresses)
    : name_(name), fd_(fd) {
  struct ifreq request {};
  const bool is_it = ioctl(fd, TUNGETIFF, &request) == 0 && name == request.ifr_name;
  if (!is_it) {
    close(fd);
    throw Error(kCode, "twin '" + name + "': what was handed over is another interface");
  }
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  try {
    index_ = interface::index_of(name);
    interface::set_mtu(name, mtu, kCode);
    Netlink netlink;
    for (const std::string& address : addresses) netlink.add_address(index_, address, kCode);
  } catch (...) {
    close(fd);
    throw;
  }
}

Tap::~Tap() {
  close(fd_);
}

bool Tap::write(const rte_mbuf& packet) {
  if (packet.nb_segs == 1) {
    return ::write(fd_, rte_pktmbuf_mtod(&packet, const void*), packet.data_len) >= 0;
  }
  iovec parts[16];
  int n = 0;
  for (const rte_mbuf* at = &packet; at != nullptr && n < 16; at = at->next) {
    parts[n++] = {rte_pktmbuf_mtod(at, void*), at->data_len};
  }
  return ::writev(fd_, parts, n) >= 0;
}

bool Tap::read(rte_mbuf& packet) {
  const ssize_t n = ::read(fd_, rte_pktmbuf_mtod(&packet, void*), rte_pktmbuf_tailroom(&packet));
  if (n <= 0) return false;
  packet.data_len = static_cast<uint16_t>(n);
  packet.pkt_len = static_cast<uint32_t>(n);
  return true;
}

}  // namespace sluice
