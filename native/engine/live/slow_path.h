// The engine's one thread besides the workers: everything that may make a system call. It moves
// frames between ports and their twins, mirrors the kernel's routing, has next hops resolved,
// delivers workers' answers and log lines. It is never a worker, and workers never wait for it.
#pragma once

#include <poll.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "event.h"
#include "live_sink.h"
#include "mirror.h"
#include "notes.h"
#include "passages.h"
#include "resolver.h"
#include "routing.h"
#include "tap.h"
#include "wiring.h"

namespace sluice {

// By port index; nullptr: no twin.
using Taps = std::vector<std::unique_ptr<Tap>>;

class SlowPath {
 public:
  // `busy_cpus`: the workers', to be kept off where there are others.
  SlowPath(const Ports& ports, Taps taps, Wiring& wiring, Routing& routing, Publisher& publisher,
           rte_mempool* mbufs, EventHandler handler, std::vector<unsigned> busy_cpus);
  ~SlowPath() { stop(); }
  SlowPath(const SlowPath&) = delete;

  void start();
  // Joins the thread; what workers have answered by then is delivered.
  void stop();
  // While held, frames of the twins stay in their queues: another process reads them.
  void hold(bool held);
  // What hold() said last is in force.
  bool is_held() const { return held_now_.load(std::memory_order_acquire); }
  // Twins by port, nullptr: none.
  const Taps& taps() const { return taps_; }
  // Letters that no worker will read any more. After the workers and stop().
  void return_mail();

 private:
  void run();
  unsigned to_kernel();
  unsigned from_kernel();
  bool pass(rte_mbuf& packet);
  unsigned read_words();
  // What a worker has said so far of an IPv6 address that it asks for.
  struct Asked {
    WideAddress address;
    uint32_t parts = 0;
  };
  void resolve6(uint64_t word, Asked& asked, uint64_t now);
  void deliver_answers();
  void follow_kernel();
  void every_second();
  void watch_links();
  void pass_dpdk_log_on();
  void wait(unsigned work);
  uint64_t next_deadline_ms() const;
  bool is_waited_for() const;
  uint64_t now_ms() const;
  void log(Event::Level level, std::string message, std::string code = "");

  const Ports& ports_;
  Taps taps_;
  Wiring& wiring_;
  Routing& routing_;
  Publisher& publisher_;
  rte_mempool* mbufs_;
  EventHandler handler_;
  const std::vector<unsigned> busy_cpus_;
  Notes notes_;
  Passages& passages_ = Passages::of_process();
  std::optional<Mirror> mirror_;
  std::optional<Resolver> resolver_;
  std::vector<pollfd> polled_;
  std::vector<bool> links_;
  std::vector<Asked> asked_;  // by worker
  long wait_ns_ = 0;
  uint64_t second_ms_ = 0;    // when every_second ran last
  uint64_t next_fib_ms_ = 0;  // when the kernel's part may be published again
  bool routing_changed_ = true;
  unsigned configuration_ = 0;
  unsigned overruns_ = 0;
  void follow_hold();
  std::atomic<bool> held_{false}, held_now_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace sluice
