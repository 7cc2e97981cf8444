#include "sync_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "../error.h"

namespace sluice {
namespace {

constexpr unsigned kHeaders = 28;       // IPv4 and UDP
constexpr unsigned kMostBytes = 65507;  // that one can be told to send
constexpr unsigned kUsualBytes = 1472;  // unless told: what every Ethernet carries
constexpr unsigned kLeastBytes = 128;
constexpr unsigned kInBytes = 9216;  // whatever the peer's MTU
constexpr int kBuffer = 8 << 20;

[[noreturn]] void fail(const SyncSocketOptions& options, const std::string& what) {
  throw Error("ERR_SYNC_SOCKET",
              "connection sync on " + options.interface + ": " + what + ": " + strerror(errno));
}

template <class T>
void set(const SyncSocketOptions& options, int fd, int level, int name, const T& value,
         const char* what) {
  if (setsockopt(fd, level, name, &value, sizeof value) != 0) fail(options, what);
}

}  // namespace

SyncSocket::SyncSocket(const SyncSocketOptions& options) {
  try {
    open(options);
  } catch (...) {
    if (fd_ >= 0) close(fd_);
    throw;
  }
  prepare();
}

SyncSocket::~SyncSocket() {
  close(fd_);
}

void SyncSocket::open(const SyncSocketOptions& o) {
  fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) fail(o, "socket");
  ifreq interface {};
  strncpy(interface.ifr_name, o.interface.c_str(), IFNAMSIZ - 1);
  const auto index = static_cast<int>(if_nametoindex(o.interface.c_str()));
  if (index == 0) throw Error("ERR_SYNC_INTERFACE", "there is no interface " + o.interface);
  if (setsockopt(fd_, SOL_SOCKET, SO_BINDTODEVICE, interface.ifr_name,
                 static_cast<socklen_t>(o.interface.size())) != 0) {
    fail(o, "binding to the interface");
  }
  // Another group member on this machine may use the same port.
  set(o, fd_, SOL_SOCKET, SO_REUSEADDR, 1, "address reuse");
  // Beyond the system's limits where that is allowed; else as much as it gives.
  for (const int name : {SO_RCVBUFFORCE, SO_SNDBUFFORCE}) {
    if (setsockopt(fd_, SOL_SOCKET, name, &kBuffer, sizeof kBuffer) == 0) continue;
    const int plain = name == SO_RCVBUFFORCE ? SO_RCVBUF : SO_SNDBUF;
    set(o, fd_, SOL_SOCKET, plain, kBuffer, "buffer size");
  }
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = to_be(o.port);
  destination_ = own;
  destination_.sin_addr.s_addr = o.destination;
  const bool multicast = IN_MULTICAST(from_be(o.destination));
  if (multicast) own.sin_addr.s_addr = o.destination;  // what comes by unicast isn't the group's
  if (bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0) {
    fail(o, "port " + std::to_string(o.port));
  }
  if (multicast) {
    ip_mreqn group{};
    group.imr_multiaddr.s_addr = o.destination;
    group.imr_ifindex = index;
    set(o, fd_, IPPROTO_IP, IP_ADD_MEMBERSHIP, group, "joining the group");
    set(o, fd_, IPPROTO_IP, IP_MULTICAST_IF, group, "sending to the group");
    set(o, fd_, IPPROTO_IP, IP_MULTICAST_LOOP, 0, "sending to the group");
    set(o, fd_, IPPROTO_IP, IP_MULTICAST_TTL, int{o.ttl}, "time to live");
  }
  if (ioctl(fd_, SIOCGIFMTU, &interface) != 0) fail(o, "MTU");
  const auto mtu = static_cast<unsigned>(std::max(interface.ifr_mtu, 0));
  const unsigned fits = mtu > kHeaders ? mtu - kHeaders : 0;
  datagram_bytes_ =
      o.datagram_bytes == 0 ? std::min(fits, kUsualBytes) : std::min(o.datagram_bytes, kMostBytes);
  datagram_bytes_ = std::max(datagram_bytes_, kLeastBytes);
}

void SyncSocket::prepare() {
  out_bytes_.resize(size_t{kBatch} * datagram_bytes_);
  in_bytes_.resize(size_t{kBatch} * kInBytes);
  out_parts_.resize(kBatch);
  in_parts_.resize(kBatch);
  out_.resize(kBatch);
  in_.resize(kBatch);
  for (unsigned i = 0; i < kBatch; ++i) {
    out_parts_[i].iov_base = &out_bytes_[size_t{i} * datagram_bytes_];
    in_parts_[i] = {&in_bytes_[size_t{i} * kInBytes], kInBytes};
    out_[i].msg_hdr.msg_iov = &out_parts_[i];
    in_[i].msg_hdr.msg_iov = &in_parts_[i];
    out_[i].msg_hdr.msg_iovlen = in_[i].msg_hdr.msg_iovlen = 1;
    out_[i].msg_hdr.msg_name = &destination_;
    out_[i].msg_hdr.msg_namelen = sizeof destination_;
  }
}

void SyncSocket::add(std::span<const uint8_t> datagram) {
  if (waiting_ == kBatch) failed_ += send();
  memcpy(out_parts_[waiting_].iov_base, datagram.data(), datagram.size());
  out_parts_[waiting_++].iov_len = datagram.size();
}

// What the interface doesn't take is lost, as it may be on the way: a later sweep tells it again.
unsigned SyncSocket::send() {
  unsigned failed = std::exchange(failed_, 0);
  for (unsigned sent = 0; sent < waiting_;) {
    const int n = sendmmsg(fd_, &out_[sent], waiting_ - sent, 0);
    if (n <= 0) {
      if (errno == EINTR) continue;
      ++failed;
      ++sent;
      if (errno == ENETDOWN || errno == ENODEV) {
        failed += waiting_ - sent;
        break;
      }
      continue;
    }
    sent += static_cast<unsigned>(n);
  }
  waiting_ = 0;
  return failed;
}

std::span<const std::span<const uint8_t>> SyncSocket::receive() {
  received_.clear();
  const int n = recvmmsg(fd_, in_.data(), kBatch, MSG_DONTWAIT, nullptr);
  for (int i = 0; i < n; ++i) {
    received_.emplace_back(static_cast<const uint8_t*>(in_parts_[i].iov_base), in_[i].msg_len);
  }
  return received_;
}

}  // namespace sluice
