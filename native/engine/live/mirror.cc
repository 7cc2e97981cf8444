#include "mirror.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include <cerrno>
#include <type_traits>
#include <utility>

#include "../error.h"
#include "accepted.h"

namespace sluice {
namespace {

constexpr uint16_t kUsable =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
constexpr int kReceiveBuffer = 1 << 20;
constexpr unsigned kMaxMessages = 256;  // a call of read(), so that packets get their turn

template <class Fixed>
struct Attributes {
  explicit Attributes(const nlmsghdr* message)
      : fixed(static_cast<const Fixed*>(mnl_nlmsg_get_payload(message))) {
    mnl_attr_parse(message, sizeof(Fixed), keep, at_);
  }
  uint32_t u32(unsigned type, uint32_t otherwise) const {
    return has(type, 4) ? mnl_attr_get_u32(at_[type]) : otherwise;
  }
  bool has(unsigned type, size_t bytes) const {
    return at_[type] != nullptr && mnl_attr_get_payload_len(at_[type]) >= bytes;
  }
  const void* payload(unsigned type) const { return mnl_attr_get_payload(at_[type]); }
  const nlattr* operator[](unsigned type) const { return at_[type]; }

  const Fixed* fixed;

 private:
  static constexpr unsigned kMax = 40;
  static int keep(const nlattr* attribute, void* at) {
    const unsigned type = mnl_attr_get_type(attribute);
    if (type < kMax) static_cast<const nlattr**>(at)[type] = attribute;
    return MNL_CB_OK;
  }

  const nlattr* at_[kMax]{};
};

}  // namespace

template <>
Mirror::Copy<V4>& Mirror::copy<V4>() {
  return four_;
}
template <>
Mirror::Copy<V6>& Mirror::copy<V6>() {
  return six_;
}

Mirror::Mirror(std::vector<Twin> twins) : twins_(std::move(twins)) {
  events_ = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
  constexpr unsigned kGroups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE |
                               RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
  if (events_ == nullptr || mnl_socket_bind(events_, kGroups, MNL_SOCKET_AUTOPID) < 0) {
    const std::string reason = strerror(errno);
    if (events_ != nullptr) mnl_socket_close(events_);
    throw Error("ERR_NATIVE_NETLINK", "netlink notifications: " + reason);
  }
  const int bytes = kReceiveBuffer;
  setsockopt(fd(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  // Subscribed first: what changes during the dumps is told again, and applies to either state.
  dump_neighbours();
  dump_routes();
}

Mirror::~Mirror() {
  mnl_socket_close(events_);
}

int Mirror::fd() const {
  return mnl_socket_get_fd(events_);
}

const Mirror::Twin* Mirror::twin(unsigned interface_index) const {
  for (const Twin& twin : twins_) {
    if (twin.interface_index == interface_index) return &twin;
  }
  return nullptr;
}

unsigned Mirror::interface_of(uint8_t port) const {
  for (const Twin& twin : twins_) {
    if (twin.port == port) return twin.interface_index;
  }
  return 0;
}

bool Mirror::read() {
  bool changed = false;
  char buffer[16 << 10];
  for (unsigned i = 0; i < kMaxMessages; ++i) {
    const ssize_t n = mnl_socket_recvfrom(events_, buffer, sizeof buffer);
    if (n < 0 && errno == ENOBUFS) {
      ++overruns_;
      overrun_ = true;
      continue;
    }
    if (n <= 0) {
      // Only now: what was still queued is older than what got lost, and than a dump.
      if (overrun_) {
        dump_neighbours();
        routes_outdated_ = changed = true;
        overrun_ = false;
      }
      break;
    }
    int left = static_cast<int>(n);
    for (auto* at = reinterpret_cast<const nlmsghdr*>(buffer); mnl_nlmsg_ok(at, left);
         at = mnl_nlmsg_next(at, &left)) {
      changed |= handle(at);
    }
  }
  return changed || routes_outdated_;
}

void Mirror::refresh() {
  if (routes_outdated_) dump_routes();
}

bool Mirror::handle(const nlmsghdr* message) {
  switch (message->nlmsg_type) {
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return handle_neighbour(message);
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const Attributes<rtmsg> a(message);
      if (a.fixed->rtm_family != AF_INET && a.fixed->rtm_family != AF_INET6) return false;
      if (a.u32(RTA_TABLE, a.fixed->rtm_table) != RT_TABLE_MAIN) return false;
      break;
    }
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const auto* fixed = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
      if (twin(fixed->ifa_index) == nullptr) return false;
      break;
    }
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      const auto* fixed = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
      if (twin(static_cast<unsigned>(fixed->ifi_index)) == nullptr) return false;
      break;
    }
    default:
      return false;
  }
  routes_outdated_ = true;
  return true;
}

bool Mirror::handle_neighbour(const nlmsghdr* message) {
  switch (static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message))->ndm_family) {
    case AF_INET:
      return keep_neighbour<V4>(message);
    case AF_INET6:
      return keep_neighbour<V6>(message);
    default:
      return false;
  }
}

template <class Family>
bool Mirror::keep_neighbour(const nlmsghdr* message) {
  using Address = typename Family::Address;
  auto& neighbours = copy<Family>().neighbours;
  const Attributes<ndmsg> a(message);
  const Twin* on = twin(static_cast<unsigned>(a.fixed->ndm_ifindex));
  if (on == nullptr || !a.has(NDA_DST, sizeof(Address))) return false;
  const auto key = std::make_pair(on->port, load<Address>(a.payload(NDA_DST)));
  const bool usable = message->nlmsg_type == RTM_NEWNEIGH && (a.fixed->ndm_state & kUsable) != 0 &&
                      a.has(NDA_LLADDR, 6);
  if (!usable) return neighbours.erase(key) != 0;
  Neighbour next{a.fixed->ndm_state, {}};
  memcpy(next.mac.data(), a.payload(NDA_LLADDR), next.mac.size());
  const auto [at, fresh] = neighbours.try_emplace(key, next);
  const bool changed = fresh || at->second.mac != next.mac;
  at->second = next;
  return changed;
}

void Mirror::dump_neighbours() {
  four_.neighbours.clear();
  six_.neighbours.clear();
  auto keep = [this](const nlmsghdr* message) { handle_neighbour(message); };
  requests_.dump(RTM_GETNEIGH, AF_INET, keep);
  requests_.dump(RTM_GETNEIGH, AF_INET6, keep);
}

void Mirror::dump_routes() {
  const bool four = dump_routes_of<V4>(), six = dump_routes_of<V6>();
  // Otherwise the next notification, or the next second's look, tries again.
  routes_outdated_ = !four || !six;
}

// False when it could not be had whole; what was known stays then.
template <class Family>
bool Mirror::dump_routes_of() {
  using Address = typename Family::Address;
  constexpr bool kFour = std::is_same_v<Family, V4>;
  constexpr uint8_t kFamily = kFour ? AF_INET : AF_INET6;
  // A broadcast interface's own IPv4 address is IFA_LOCAL, an IPv6 one IFA_ADDRESS.
  constexpr unsigned kOwn = kFour ? IFA_LOCAL : IFA_ADDRESS;
  Copy<Family>& now = copy<Family>();
  auto before = std::exchange(now.routes, {});
  const bool whole = requests_.dump(
      RTM_GETROUTE, kFamily, [this](const nlmsghdr* message) { keep_route<Family>(message); });
  if (!whole) now.routes = std::move(before);

  now.addresses.clear();
  requests_.dump(RTM_GETADDR, kFamily, [&](const nlmsghdr* message) {
    const Attributes<ifaddrmsg> a(message);
    const Twin* on = twin(a.fixed->ifa_index);
    if (on == nullptr || a.fixed->ifa_family != kFamily) return;
    if (!a.has(kOwn, sizeof(Address)) || is_accepted_address(message)) return;
    now.addresses.push_back({load<Address>(a.payload(kOwn)), a.fixed->ifa_prefixlen, on->port});
  });
  return whole;
}

template <class Family>
void Mirror::keep_route(const nlmsghdr* message) {
  using Address = typename Family::Address;
  constexpr uint8_t kFamily = std::is_same_v<Family, V4> ? AF_INET : AF_INET6;
  const Attributes<rtmsg> a(message);
  if (message->nlmsg_type != RTM_NEWROUTE || a.fixed->rtm_family != kFamily) return;
  if (a.fixed->rtm_type != RTN_UNICAST || a.fixed->rtm_dst_len > 8 * sizeof(Address)) return;
  if (a.u32(RTA_TABLE, a.fixed->rtm_table) != RT_TABLE_MAIN) return;

  auto address = [&](unsigned type) {
    return a.has(type, sizeof(Address)) ? load<Address>(a.payload(type)) : Address{};
  };
  const Twin* on = twin(a.u32(RTA_OIF, 0));
  Address via = address(RTA_GATEWAY);
  if (a[RTA_MULTIPATH] != nullptr) {
    const auto* hop = static_cast<const rtnexthop*>(mnl_attr_get_payload(a[RTA_MULTIPATH]));
    int left = mnl_attr_get_payload_len(a[RTA_MULTIPATH]);
    for (; on == nullptr && RTNH_OK(hop, left);
         left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
      on = twin(static_cast<unsigned>(hop->rtnh_ifindex));
      via = {};
      const auto* attribute = reinterpret_cast<const nlattr*>(RTNH_DATA(hop));
      int bytes = hop->rtnh_len - static_cast<int>(RTNH_LENGTH(0));
      for (; mnl_attr_ok(attribute, bytes);
           bytes -= MNL_ALIGN(attribute->nla_len), attribute = mnl_attr_next(attribute)) {
        if (mnl_attr_get_type(attribute) != RTA_GATEWAY) continue;
        if (mnl_attr_get_payload_len(attribute) < sizeof(Address)) continue;
        via = load<Address>(mnl_attr_get_payload(attribute));
      }
    }
  }
  // A next hop of the other family (RFC 5549) has no RTA_GATEWAY.
  if (on == nullptr || a[RTA_VIA] != nullptr) return;

  const Address network = address(RTA_DST);
  const uint32_t priority = a.u32(RTA_PRIORITY, 0);
  auto& routes = copy<Family>().routes;
  const auto [at, fresh] = routes.try_emplace(
      {network, a.fixed->rtm_dst_len},
      typename Copy<Family>::KernelRoute{priority, {network, a.fixed->rtm_dst_len, on->port, via}});
  // The kernel lists routes of one prefix best first, but for their metric it need not.
  if (!fresh && priority < at->second.priority) {
    at->second = {priority, {network, a.fixed->rtm_dst_len, on->port, via}};
  }
}

FibInput Mirror::input() const {
  FibInput input;
  auto fill = [](auto& side, const auto& from) {
    for (const auto& [key, kept] : from.routes) side.routes.push_back(kept.route);
    for (const auto& [key, n] : from.neighbours) {
      side.neighbours.push_back({key.second, key.first, n.mac});
    }
    side.addresses = from.addresses;
  };
  fill(input, four_);
  fill(input.six, six_);
  return input;
}

template <class Address>
Mirror::Freshness Mirror::neighbour(uint8_t port, const Address& address) const {
  using Family = std::conditional_t<std::is_same_v<Address, be32>, V4, V6>;
  const auto& neighbours = copy<Family>().neighbours;
  const auto found = neighbours.find({port, address});
  if (found == neighbours.end()) return Freshness::absent;
  return found->second.state & NUD_STALE ? Freshness::stale : Freshness::usable;
}
template Mirror::Freshness Mirror::neighbour(uint8_t, const be32&) const;
template Mirror::Freshness Mirror::neighbour(uint8_t, const WideAddress&) const;

template <class Family>
std::vector<std::pair<uint8_t, typename Family::Address>> Mirror::stale() const {
  std::vector<std::pair<uint8_t, typename Family::Address>> all;
  for (const auto& [key, n] : copy<Family>().neighbours) {
    if (n.state & NUD_STALE) all.push_back(key);
  }
  return all;
}
template std::vector<std::pair<uint8_t, be32>> Mirror::stale<V4>() const;
template std::vector<std::pair<uint8_t, WideAddress>> Mirror::stale<V6>() const;

}  // namespace sluice
