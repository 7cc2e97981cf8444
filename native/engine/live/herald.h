// What a VRRP master says and a backup listens for, kept in time by a thread of its own.
//
// JavaScript decides; this repeats what it has decided: the frames of each instance, an interval
// apart, for as long as the control plane renews its lease. A garbage collection or a hung event
// loop so neither drops a mastership nor keeps it for ever: when the lease runs out the instances
// resign (their farewell frames have priority 0), and the dataplane gives up what follows a role.
//
// Adverts that arrive are kept with the time at which they came, so that a late event loop can tell
// "none has come" from "I have not looked". An alarm (the end of Master_Down) goes off only after
// every worker has looked at its queues since: what lies there unread is no silence.
//
// Times are nanoseconds of CLOCK_MONOTONIC: a step of the wall clock changes nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "../port/ethdev.h"
#include "bell.h"
#include "wiring.h"

struct rte_mempool;

namespace sluice {

using Frame = std::vector<uint8_t>;

struct Advert {
  uint16_t port = 0;
  uint64_t interval_ns = 0;
  std::vector<Frame> frames;    // sent together: one, or one a unicast peer
  std::vector<Frame> farewell;  // sent once when it resigns
};

struct Heard {
  uint64_t at_ns;
  uint16_t port;
  Frame frame;
};

struct News {
  bool lapsed;                      // the lease has run out since the last look
  std::vector<uint32_t> repeating;  // instances
  std::vector<Heard> heard;         // in order
  uint64_t lost;                    // adverts for which there was no room
};

struct HeraldHooks {
  std::function<void()> news;    // something to take(), or the alarm; not under a lock
  std::function<void()> lapsed;  // the dataplane has to give up what follows a role
  // Whether all workers have gone through their queues since `tsc`.
  std::function<bool(uint64_t tsc)> have_looked_since;
};

class Herald {
 public:
  // Of frames not taken: later ones are lost and counted. A second of a hundred instances at 10 ms.
  static constexpr size_t kMostHeard = 10'000;

  // `busy_cpus`: the workers', to be kept off where there are others.
  Herald(Wiring& wiring, size_t ports, rte_mempool* mbufs, HeraldHooks hooks,
         std::vector<unsigned> busy_cpus);
  ~Herald() { stop(); }
  Herald(const Herald&) = delete;

  // All of these from any thread. Sends at once, then again and again; a known instance keeps its
  // rhythm unless `at_once`.
  void repeat(uint32_t instance, Advert advert, bool at_once);
  // Stops it; with its farewell if wanted.
  void cease(uint32_t instance, bool farewell);
  void send(uint16_t port, const Frame& frame);
  // One alarm; the last one counts. 0: none.
  void wake_at(uint64_t at_ns);
  // From the first renewal on the lease is in force.
  void renew_lease(uint64_t until_ns);
  News take();
  // In place of the hook it was made with: a new control plane goes on where one ended.
  void on_news(std::function<void()> news);

  // All instances resign; joins the thread. While worker 0 still sends.
  void stop();

  static uint64_t now_ns();

 private:
  struct Repeated {
    Advert advert;
    uint64_t next_ns = 0;
  };

  void run();
  void hear();
  void speak(uint64_t now);
  void watch_lease(uint64_t now);
  void watch_alarm(uint64_t now);
  void wait();
  uint64_t deadline() const;  // under the lock
  void tell();
  bool put(uint16_t port, const Frame& frame);
  void put_all(const Advert& advert, const std::vector<Frame>& frames);

  Wiring& wiring_;
  const size_t ports_;
  rte_mempool* const mbufs_;
  HeraldHooks hooks_;
  const std::vector<unsigned> busy_cpus_;

  std::mutex mutex_;  // of all below
  std::map<uint32_t, Repeated> repeated_;
  std::vector<Heard> heard_;
  uint64_t lost_ = 0;
  uint64_t lease_ns_ = 0, alarm_ns_ = 0;
  bool lapsed_ = false;         // not taken yet
  bool in_lapse_ = false;       // until the next renewal
  bool told_ = false;           // news() was called and take() was not
  uint64_t looking_since_ = 0;  // TSC; the alarm is due and workers are asked to look

  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace sluice
