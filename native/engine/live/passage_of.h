// A checker's socket as a passage: by the port that it is bound to.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>

#include "passages.h"

namespace sluice {

// For so long after its time a socket's last packets may be on their way.
inline constexpr uint64_t kPassageGraceMs = 5000;
// Longest segment, for the tunnel's header to fit on any MTU: what every host takes (RFC 9293
// section 3.7.1).
inline constexpr int kPassageSegment = 536;

// 0, or errno. `fd` is bound; it lives for `ms`.
inline int open_passage(int fd, uint8_t protocol, be32 server, be32 vip, PassageTunnel tunnel,
                        uint32_t ms) {
  sockaddr_in own{};
  socklen_t bytes = sizeof own;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &bytes) != 0) return errno;
  if (tunnel.is_one && protocol == IPPROTO_TCP &&
      setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &kPassageSegment, sizeof kPassageSegment) != 0) {
    return errno;
  }
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const uint64_t now_ms =
      static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
  Passages::of_process().open(protocol, own.sin_port,
                              {server, vip, tunnel, now_ms + ms + kPassageGraceMs});
  return 0;
}

}  // namespace sluice
