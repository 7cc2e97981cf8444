// Many short TCP conversations at once on a thread of their own: connect, perhaps send some bytes
// and read the status of an HTTP answer, close by a reset. It takes a fraction of the CPU time of
// Node's own sockets, and none of the event loop's.
//
// It keeps no schedule and judges nothing: src/health does. Knows nothing of Node and DPDK.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "timing.h"

namespace sluice {

struct ProbeRequest {
  uint32_t id;  // the caller's; not used again before its result has come
  // 16 network-order bytes, IPv4 as ::ffff:a.b.c.d; the own one all zero: any.
  std::array<uint8_t, 16> address, own_address;
  uint16_t port, own_port;  // network order
  uint32_t mark;            // SO_MARK; 0: none
  // IPv4: goes there as a client's packets do (live/passages.h), perhaps in a tunnel; 0: to
  // `address`.
  uint32_t vip;
  uint32_t tunnel;        // PassageTunnel's number
  uint32_t timeout_ms;    // silence of so long ends it, at any stage
  uint32_t patience_ms;   // and so does its whole length
  std::string interface;  // SO_BINDTODEVICE; "": any
  std::string question;   // HTTP request; "": to be connected is all that is asked
  bool cancels;           // not a request: the one with this id is to end
};

enum class ProbeEnd : uint32_t {
  connected,  // and no question
  answered,   // `detail`: HTTP status
  failed,     // `detail`: errno
  timed_out,  // `detail`: 0 while connecting, 1 after the question
  closed,     // by the server, before the head of its answer was complete
  not_http,   // what it says is no head of an HTTP answer, or has no end
  not_tried,  // `detail`: errno; we lack something, and nothing is known of the server
};

struct ProbeResult {
  uint32_t id;
  ProbeEnd end;
  uint32_t detail;
  uint32_t micros;  // from the socket to the end
};

class Prober {
 public:
  // Called on the prober's thread when results have come and none were waiting to be taken.
  using Ready = std::function<void()>;

  explicit Prober(Ready ready);
  ~Prober();
  Prober(const Prober&) = delete;

  // From any thread; neither waits for the network.
  void start(std::vector<ProbeRequest> requests);
  // Those that have not ended fail with ECANCELED.
  void cancel(const std::vector<uint32_t>& ids);
  std::vector<ProbeResult> take();

  // CPU time of the thread so far, ns.
  uint64_t cpu_ns() const;

 private:
  struct Conversation;

  void run();
  void take_orders();
  void begin(ProbeRequest&& request);
  void progress(uint32_t slot, uint32_t events);
  void ask(uint32_t slot);
  void listen(uint32_t slot);
  void finish(uint32_t slot, ProbeEnd end, uint32_t detail);
  void close_of(uint32_t slot);
  void expire();
  void deliver();
  uint64_t now_us() const;

  const Ready ready_;
  int epoll_ = -1, bell_ = -1;
  std::vector<Conversation> conversations_;
  std::vector<uint32_t> spare_;
  Deadlines deadlines_;
  std::vector<ProbeResult> ended_;
  std::vector<uint32_t> slot_of_;  // by id

  std::mutex lock_;                   // of what follows
  std::vector<ProbeRequest> orders_;  // in the order in which they were given
  std::vector<ProbeResult> results_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace sluice
