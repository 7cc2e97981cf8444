// A copy of the kernel's routes, neighbours and addresses on the twins, of both families, kept up
// to date by netlink's notifications.
//
// Neighbours are followed one by one. A change of routes, addresses or links is answered by a new
// dump of routes and addresses: the kernel doesn't announce each route that goes with an interface
// or an address, and a new Fib costs as much as the dump. What the Fib can't say is left out: all
// tables but main, types other than unicast, next hops of a multipath route after the first on a
// twin.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../table/fib.h"
#include "netlink.h"

namespace sluice {

class Mirror {
 public:
  struct Twin {
    unsigned interface_index;
    uint8_t port;
  };
  enum class Freshness { absent, usable, stale };

  explicit Mirror(std::vector<Twin> twins);  // throws ERR_NATIVE_NETLINK
  ~Mirror();
  Mirror(const Mirror&) = delete;

  int fd() const;  // readable: call read
  // True when there is something new for input().
  bool read();
  // Reads routes and addresses anew if they have changed: costs as much as they are many.
  void refresh();

  // Routes, neighbours and addresses; ports are not filled in.
  FibInput input() const;
  template <class Address>
  Freshness neighbour(uint8_t port, const Address& address) const;
  // Neighbours that work but have not been confirmed for a while.
  template <class Family>
  std::vector<std::pair<uint8_t, typename Family::Address>> stale() const;

  Netlink& requests() { return requests_; }
  unsigned interface_of(uint8_t port) const;  // 0: the port has no twin
  // Times the kernel had more to say than its buffer held, each followed by a full dump.
  unsigned overruns() const { return overruns_; }

 private:
  struct Neighbour {
    uint16_t state;
    Mac mac;
  };
  template <class Family>
  struct Copy {
    using Address = typename Family::Address;
    struct KernelRoute {
      uint32_t priority;
      typename FibOf<Family>::Route route;
    };
    std::map<std::pair<uint8_t, Address>, Neighbour> neighbours;
    std::map<std::pair<Address, uint8_t>, KernelRoute> routes;
    std::vector<typename FibOf<Family>::Address> addresses;
  };

  bool handle(const nlmsghdr* message);
  bool handle_neighbour(const nlmsghdr* message);
  template <class Family>
  bool keep_neighbour(const nlmsghdr* message);
  void dump_neighbours();
  void dump_routes();
  template <class Family>
  bool dump_routes_of();
  template <class Family>
  void keep_route(const nlmsghdr* message);
  template <class Family>
  Copy<Family>& copy();
  template <class Family>
  const Copy<Family>& copy() const {
    return const_cast<Mirror*>(this)->copy<Family>();
  }
  const Twin* twin(unsigned interface_index) const;

  const std::vector<Twin> twins_;
  Netlink requests_;
  mnl_socket* events_ = nullptr;
  Copy<V4> four_;
  Copy<V6> six_;
  bool routes_outdated_ = true;
  bool overrun_ = false;  // notifications were lost, the dump that makes up for it is due
  unsigned overruns_ = 0;
};

}  // namespace sluice
