#include "accepted.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include <cerrno>
#include <set>

#include "../error.h"
#include "../port/interface.h"
#include "netlink.h"

namespace sluice {
namespace {

constexpr char kCode[] = "ERR_NATIVE_TWIN";
constexpr uint32_t kForever = UINT32_MAX;
constexpr uint32_t kOfV6 = IFA_F_NOPREFIXROUTE | IFA_F_DEPRECATED;
// ARP's sender is an address of the target's network, never the packet's own source: neighbours
// learn a VIP's MAC from the dataplane alone.
constexpr uint32_t kArpAnnounce = 2;

struct Address {
  uint8_t family;
  std::string bytes;  // as on the wire
  auto operator<=>(const Address&) const = default;
};

struct Attributes {
  uint32_t flags = 0;
  std::string local, address;
};

int keep(const nlattr* attribute, void* into) {
  auto& a = *static_cast<Attributes*>(into);
  const auto text = [&] {
    return std::string(static_cast<const char*>(mnl_attr_get_payload(attribute)),
                       mnl_attr_get_payload_len(attribute));
  };
  switch (mnl_attr_get_type(attribute)) {
    case IFA_LOCAL:
      a.local = text();
      break;
    case IFA_ADDRESS:
      a.address = text();
      break;
    case IFA_FLAGS:
      if (mnl_attr_get_payload_len(attribute) >= 4) a.flags = mnl_attr_get_u32(attribute);
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

Attributes attributes_of(const nlmsghdr* message) {
  Attributes all;
  mnl_attr_parse(message, sizeof(ifaddrmsg), keep, &all);
  return all;
}

Address parsed(const std::string& text) {
  const auto family =
      static_cast<uint8_t>(text.find(':') == std::string::npos ? AF_INET : AF_INET6);
  char bytes[16];
  if (inet_pton(family, text.c_str(), bytes) != 1) {
    throw Error(kCode, "address '" + text + "': not an IP address");
  }
  return {family, std::string(bytes, family == AF_INET ? 4 : 16)};
}

std::string text_of(const Address& address) {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(address.family, address.bytes.data(), text, sizeof text);
}

// RTM_NEWADDR or RTM_DELADDR. Errno, 0 for none.
int change(Netlink& netlink, uint16_t type, unsigned interface, const Address& address) {
  const bool four = address.family == AF_INET;
  char buffer[MNL_SOCKET_BUFFER_SIZE];
  nlmsghdr* header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = type;
  if (type == RTM_NEWADDR) header->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
  auto* message = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifaddrmsg)));
  message->ifa_family = address.family;
  message->ifa_prefixlen = four ? 32 : 128;
  message->ifa_index = interface;
  message->ifa_scope = four ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  mnl_attr_put(header, IFA_LOCAL, address.bytes.size(), address.bytes.data());
  mnl_attr_put(header, IFA_ADDRESS, address.bytes.size(), address.bytes.data());
  if (!four) {
    // Nobody asks whether it is free: the dataplane has it. It is no source of the kernel's choice.
    mnl_attr_put_u32(header, IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
    const ifa_cacheinfo lifetime{0, kForever, 0, 0};
    mnl_attr_put(header, IFA_CACHEINFO, sizeof lifetime, &lifetime);
  }
  return netlink.request(header);
}

void be_quiet(Netlink& netlink, unsigned interface, const std::string& name) {
  char buffer[MNL_SOCKET_BUFFER_SIZE];
  nlmsghdr* header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = RTM_NEWLINK;
  auto* message = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  message->ifi_index = static_cast<int>(interface);
  nlattr* families = mnl_attr_nest_start(header, IFLA_AF_SPEC);
  nlattr* family = mnl_attr_nest_start(header, AF_INET);
  nlattr* settings = mnl_attr_nest_start(header, IFLA_INET_CONF);
  mnl_attr_put_u32(header, IPV4_DEVCONF_ARP_ANNOUNCE, kArpAnnounce);
  mnl_attr_nest_end(header, settings);
  mnl_attr_nest_end(header, family);
  mnl_attr_nest_end(header, families);
  const int error = netlink.request(header);
  if (error != 0) throw Error(kCode, "arp_announce of " + name + ": " + strerror(error));
}

}  // namespace

void accept_addresses(const std::string& interface, const std::vector<std::string>& addresses) {
  std::set<Address> wanted, there;
  for (const std::string& address : addresses) wanted.insert(parsed(address));
  const unsigned index = interface::index_of(interface);
  if (index == 0) throw Error(kCode, "there is no twin " + interface);
  Netlink netlink;
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    const bool whole = netlink.dump(RTM_GETADDR, family, [&](const nlmsghdr* message) {
      const auto* fixed = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
      if (fixed->ifa_index != index || !is_accepted_address(message)) return;
      const Attributes a = attributes_of(message);
      there.insert({fixed->ifa_family, fixed->ifa_family == AF_INET ? a.local : a.address});
    });
    if (!whole) throw Error(kCode, "the addresses of " + interface + " cannot be read");
  }
  for (const Address& address : there) {
    if (wanted.contains(address)) continue;
    const int error = change(netlink, RTM_DELADDR, index, address);
    if (error == 0 || error == EADDRNOTAVAIL) continue;
    throw Error(kCode, text_of(address) + " stays on " + interface + ": " + strerror(error));
  }
  if (wanted.empty()) return;
  be_quiet(netlink, index, interface);
  for (const Address& address : wanted) {
    if (there.contains(address)) continue;
    const int error = change(netlink, RTM_NEWADDR, index, address);
    if (error == 0 || error == EEXIST) continue;
    throw Error(kCode, text_of(address) + " is not on " + interface + ": " + strerror(error));
  }
}

bool is_accepted_address(const nlmsghdr* message) {
  const auto* fixed = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  if (fixed->ifa_family == AF_INET) {
    return fixed->ifa_prefixlen == 32 && fixed->ifa_scope == RT_SCOPE_HOST;
  }
  return fixed->ifa_prefixlen == 128 && (attributes_of(message).flags & kOfV6) == kOfV6;
}

}  // namespace sluice
