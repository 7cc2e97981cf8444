#include "netlink.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include <cerrno>
#include <vector>

#include "../error.h"

namespace sluice {
namespace {

constexpr size_t kDumpBuffer = 64 << 10;
constexpr int kDumpTries = 4;

}  // namespace

Netlink::Netlink() {
  socket_ = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
  if (socket_ == nullptr || mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) < 0) {
    const std::string reason = strerror(errno);
    if (socket_ != nullptr) mnl_socket_close(socket_);
    throw Error("ERR_NATIVE_NETLINK", "netlink socket: " + reason);
  }
}

Netlink::~Netlink() {
  mnl_socket_close(socket_);
}

void Netlink::add_address(unsigned interface_index, const std::string& address, const char* code) {
  auto fail = [&](const std::string& why) -> void {
    throw Error(code, "address '" + address + "': " + why);
  };
  const size_t slash = address.find('/');
  const std::string host = address.substr(0, slash);
  const int family = host.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const size_t bytes = family == AF_INET ? 4 : 16;
  uint8_t binary[16];
  if (inet_pton(family, host.c_str(), binary) != 1) fail("not an IP address");
  const int length =
      slash == std::string::npos ? static_cast<int>(bytes * 8) : atoi(address.c_str() + slash + 1);
  if (length < 0 || length > static_cast<int>(bytes * 8)) fail("impossible prefix length");

  char buffer[MNL_SOCKET_BUFFER_SIZE];
  nlmsghdr* header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = RTM_NEWADDR;
  header->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
  auto* message = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifaddrmsg)));
  message->ifa_family = static_cast<uint8_t>(family);
  message->ifa_prefixlen = static_cast<uint8_t>(length);
  message->ifa_index = interface_index;
  mnl_attr_put(header, IFA_LOCAL, bytes, binary);
  mnl_attr_put(header, IFA_ADDRESS, bytes, binary);
  if (const int error = request(header); error != 0) fail(strerror(error));
}

int Netlink::request(nlmsghdr* header) {
  header->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_, header, header->nlmsg_len) < 0) return errno;
  return acknowledged();
}

void Netlink::use_neighbour(unsigned interface_index, be32 address) {
  use_neighbour(interface_index, AF_INET, &address, sizeof address);
}

void Netlink::use_neighbour(unsigned interface_index, const WideAddress& address) {
  use_neighbour(interface_index, AF_INET6, address.data(), address.size());
}

void Netlink::use_neighbour(unsigned interface_index, uint8_t family, const void* address,
                            size_t bytes) {
  char buffer[MNL_SOCKET_BUFFER_SIZE];
  nlmsghdr* header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = RTM_NEWNEIGH;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
  header->nlmsg_seq = ++sequence_;
  auto* message = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ndmsg)));
  message->ndm_family = family;
  message->ndm_ifindex = static_cast<int>(interface_index);
  message->ndm_state = NUD_NONE;
  message->ndm_flags = NTF_USE;
  mnl_attr_put(header, NDA_DST, bytes, address);
  // No answer is asked for; an error would be read away by the next dump.
  mnl_socket_sendto(socket_, header, header->nlmsg_len);
}

bool Netlink::dump(uint16_t type, uint8_t family,
                   const std::function<void(const nlmsghdr*)>& each) {
  std::vector<char> buffer(kDumpBuffer);
  for (int tries = 0; tries < kDumpTries; ++tries) {
    nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    const unsigned sequence = header->nlmsg_seq = ++sequence_;
    // Large enough for the fixed part of each of the three kinds, zeroed but for the family.
    auto* fixed = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
    fixed->rtm_family = family;
    if (mnl_socket_sendto(socket_, header, header->nlmsg_len) < 0) return false;

    // Collected first: an interrupted dump must leave nothing of itself with the caller.
    std::vector<std::vector<char>> records;
    bool interrupted = false, done = false;
    while (!done) {
      const ssize_t n = mnl_socket_recvfrom(socket_, buffer.data(), buffer.size());
      if (n < 0) return false;
      int left = static_cast<int>(n);
      for (auto* at = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(at, left);
           at = mnl_nlmsg_next(at, &left)) {
        if (at->nlmsg_seq != sequence) continue;
        interrupted |= (at->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (at->nlmsg_type == NLMSG_DONE || at->nlmsg_type == NLMSG_ERROR) {
          done = true;
          break;
        }
        const char* bytes = reinterpret_cast<const char*>(at);
        records.emplace_back(bytes, bytes + at->nlmsg_len);
      }
    }
    if (interrupted) continue;
    for (const auto& record : records) each(reinterpret_cast<const nlmsghdr*>(record.data()));
    return true;
  }
  return false;
}

int Netlink::acknowledged() {
  char buffer[MNL_SOCKET_BUFFER_SIZE];
  const ssize_t n = mnl_socket_recvfrom(socket_, buffer, sizeof buffer);
  if (n < 0) return errno;
  return mnl_cb_run(buffer, static_cast<size_t>(n), sequence_, mnl_socket_get_portid(socket_),
                    nullptr, nullptr) < 0
             ? errno
             : 0;
}

}  // namespace sluice
