// Health checks to the VIP itself: a checker's socket talks to a real server's own address (RIP) as
// any other does, and on the way between the port and its twin the VIP takes that address's place,
// so that DR's servers get what a client would send them, and TUN's get it through the tunnel.
// Which packets: those from (or to) a local port that a checker has registered.
//
// One for the process, as checkers know no engine. Knows nothing of DPDK, and of no mode but the
// two.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "../mode/tunnel.h"
#include "../types.h"

namespace sluice {

// How a passage's packets reach the server: as they are, or in a tunnel.
struct PassageTunnel {
  bool is_one;
  Wrap wrap;
  be16 port;  // GUE's

  // The boundary's number (PassageTunnel in src/native.ts): 0 for none, else the wrap + 1 and
  // GUE's port in the upper half.
  static PassageTunnel of(uint32_t word) {
    const uint32_t wrap = (word & 0xff) - 1;
    if (wrap >= kWraps) return {false, Wrap::ipip, 0};
    return {true, static_cast<Wrap>(wrap), to_be(static_cast<uint16_t>(word >> 16))};
  }
};

struct Passage {
  be32 server, vip;
  PassageTunnel tunnel;
  uint64_t until_ms;
};

class Passages {
 public:
  // Bytes that outgoing() may put before the IPv4 header.
  static constexpr unsigned kRoom = mode::tunnel::kMostOverhead;

  static Passages& of_process();

  // `port` is the socket's own, or the identifier of an echo socket. Ends by itself, some time
  // after the conversation: whoever closes a socket has packets on their way.
  void open(uint8_t protocol, be16 port, const Passage& passage);

  bool is_empty() const { return count_.load(std::memory_order_acquire) == 0; }
  // How many are open, for whoever needs no more than that.
  const std::atomic<size_t>& count() const { return count_; }

  // A frame from the kernel: rewritten in place. 0: not one of a passage, nothing has changed; else
  // the bytes that now lie before the old beginning of the IPv4 header, plus one.
  unsigned outgoing(uint8_t* frame, unsigned bytes, uint64_t now_ms);
  // A frame to the kernel; `bytes`: of it that lie together.
  void incoming(uint8_t* frame, unsigned bytes, uint64_t now_ms);

  void expire(uint64_t now_ms);

 private:
  bool find(uint8_t protocol, be16 port, uint64_t now_ms, Passage& found);
  void incoming_error(uint8_t* l4, unsigned bytes, uint64_t now_ms);

  std::mutex lock_;                             // of what follows
  std::unordered_map<uint32_t, Passage> open_;  // by protocol and port
  std::atomic<size_t> count_{0};
};

}  // namespace sluice
