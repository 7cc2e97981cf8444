#include "interface.h"

#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "../error.h"

namespace sluice::interface {
namespace {

// One ioctl on a throw-away socket of this thread's network namespace.
class Request {
 public:
  explicit Request(const std::string& name)
      : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    strncpy(ifreq.ifr_name, name.c_str(), IFNAMSIZ - 1);
  }
  ~Request() { ::close(socket_); }
  Request(const Request&) = delete;

  bool call(unsigned long what) { return ::ioctl(socket_, what, &ifreq) == 0; }
  void call_or_throw(unsigned long what, const char* code, const char* doing) {
    if (!call(what)) {
      throw Error(code, std::string("interface '") + ifreq.ifr_name + "': " + doing + ": " +
                            strerror(errno));
    }
  }

  struct ifreq ifreq {};

 private:
  int socket_;
};

}  // namespace

unsigned index_of(const std::string& name) {
  return if_nametoindex(name.c_str());
}

bool is_running(const std::string& name) {
  Request request(name);
  constexpr int kBoth = IFF_UP | IFF_RUNNING;
  return request.call(SIOCGIFFLAGS) && (request.ifreq.ifr_flags & kBoth) == kBoth;
}

Mac mac_of(const std::string& name) {
  Mac mac{};
  Request request(name);
  if (request.call(SIOCGIFHWADDR)) memcpy(mac.data(), request.ifreq.ifr_hwaddr.sa_data, mac.size());
  return mac;
}

void set_up(const std::string& name, const char* code) {
  Request request(name);
  request.call_or_throw(SIOCGIFFLAGS, code, "reading its flags");
  if (request.ifreq.ifr_flags & IFF_UP) return;
  request.ifreq.ifr_flags |= IFF_UP;
  request.call_or_throw(SIOCSIFFLAGS, code, "setting it up");
}

void set_mac(const std::string& name, const Mac& mac, const char* code) {
  Request request(name);
  request.ifreq.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(request.ifreq.ifr_hwaddr.sa_data, mac.data(), mac.size());
  request.call_or_throw(SIOCSIFHWADDR, code, "setting its MAC");
}

void set_mtu(const std::string& name, unsigned mtu, const char* code) {
  Request request(name);
  request.ifreq.ifr_mtu = static_cast<int>(mtu);
  request.call_or_throw(SIOCSIFMTU, code, "setting its MTU");
}

}  // namespace sluice::interface
