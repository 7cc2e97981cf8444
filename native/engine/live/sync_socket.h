// The UDP socket that directors tell one another of connections by: bound to one kernel interface
// (a TAP twin or any other), unicast to a peer or multicast to a group.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "../types.h"

namespace sluice {

struct SyncSocketOptions {
  std::string interface;
  be32 destination = 0;  // peer or group
  uint16_t port = 0;
  uint8_t ttl = 1;              // multicast
  unsigned datagram_bytes = 0;  // at most; 0: what the interface's MTU takes, 1472 at most
};

class SyncSocket {
 public:
  // Throws ERR_SYNC_SOCKET with the reason.
  explicit SyncSocket(const SyncSocketOptions& options);
  ~SyncSocket();
  SyncSocket(const SyncSocket&) = delete;
  SyncSocket& operator=(const SyncSocket&) = delete;

  int fd() const { return fd_; }
  unsigned datagram_bytes() const { return datagram_bytes_; }

  // Collected and sent some at a time. How many of all could not be sent.
  void add(std::span<const uint8_t> datagram);
  unsigned send();
  // Some of what has come, each valid until the next call.
  std::span<const std::span<const uint8_t>> receive();

 private:
  static constexpr unsigned kBatch = 32;
  void open(const SyncSocketOptions& options);
  void prepare();

  int fd_ = -1;
  unsigned datagram_bytes_ = 0;
  sockaddr_in destination_{};
  std::vector<uint8_t> out_bytes_, in_bytes_;
  unsigned waiting_ = 0, failed_ = 0;
  std::vector<iovec> out_parts_, in_parts_;
  std::vector<mmsghdr> out_, in_;
  std::vector<std::span<const uint8_t>> received_;
};

}  // namespace sluice
