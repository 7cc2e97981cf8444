// A request socket to the kernel's routing tables (rtnetlink, by libmnl), in the network namespace
// of the thread that makes it.
#pragma once

#include <libmnl/libmnl.h>

#include <functional>
#include <string>

#include "../types.h"

namespace sluice {

class Netlink {
 public:
  Netlink();  // throws ERR_NATIVE_NETLINK
  ~Netlink();
  Netlink(const Netlink&) = delete;

  // `address` as a.b.c.d/len or with colons. Throws Error with `code`.
  void add_address(unsigned interface_index, const std::string& address, const char* code);

  // Sends it, with a sequence number and the flags that ask for an answer: errno of that, 0 if
  // none.
  int request(nlmsghdr* header);

  // The kernel resolves or re-validates a neighbour as if it had a packet to send there.
  void use_neighbour(unsigned interface_index, be32 address);
  void use_neighbour(unsigned interface_index, const WideAddress& address);

  // All records of RTM_GETROUTE, RTM_GETNEIGH or RTM_GETADDR of AF_INET or AF_INET6. False when the
  // kernel's tables changed so often meanwhile that no consistent dump was had.
  bool dump(uint16_t type, uint8_t family, const std::function<void(const nlmsghdr*)>& each);

 private:
  void use_neighbour(unsigned interface_index, uint8_t family, const void* address, size_t bytes);
  int acknowledged();  // errno of the answer, 0 if none

  mnl_socket* socket_ = nullptr;
  unsigned sequence_ = 0;
};

}  // namespace sluice
