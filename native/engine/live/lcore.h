// The loop of one worker's lcore. Everything it touches is its own, but for the rings, the mailbox
// and the two published pointers.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <vector>

#include "../watch/watcher.h"
#include "../worker.h"
#include "live_sink.h"
#include "nap.h"
#include "publisher.h"

namespace sluice {

struct IdleOptions {
  unsigned after_us = 1000;
  unsigned sleep_us = 50;  // where arrivals can't be waited for; 0: poll for ever
};

// What a worker does with its ports, while one process takes over from another (hand_over.h).
enum class Duty : uint8_t {
  live,      // all of it
  waiting,   // frames are another process's: what comes nevertheless is let go of
  holding,   // frames wait in the ports
  draining,  // none come any more: live, without rest
  paused,    // nothing but telling what is left to tell
};

class Lcore {
 public:
  // `clock_ms`: monotonic milliseconds to go by, set between turns on the lcore's thread; without
  // it the TSC is.
  Lcore(const WorkerOptions& options, const Ports& ports, Wiring& wiring, Publisher& publisher,
        const IdleOptions& idle, const uint64_t* clock_ms = nullptr);

  // Until stop(); on the lcore's own thread.
  void run();
  void stop() {
    stopping_.store(true, std::memory_order_relaxed);
    wiring_.worker_bells[index_].ring();
  }
  void set_duty(Duty duty) {
    duty_.store(duty, std::memory_order_relaxed);
    wiring_.worker_bells[index_].ring();
  }
  // The duty of the last turn that has ended.
  Duty duty() const { return duty_now_.load(std::memory_order_acquire); }
  // Turns on end, all of that duty, in which nothing came.
  unsigned quiet_turns() const { return quiet_turns_.load(std::memory_order_acquire); }
  // After EAL has seen the lcore return: what the worker did before is known to the caller. (EAL's
  // own word for it is out of sight for the thread sanitizer.)
  bool has_ended() const { return ended_.load(std::memory_order_acquire); }

  // Since the end of the last turn; 0 before the first.
  double lag_us() const;
  // Whether a turn has begun and ended since `tsc`.
  bool has_turned_since(uint64_t tsc) const {
    return heartbeat_.load(std::memory_order_acquire) >= tsc;
  }
  // Whether everything has been read that its queues held at `tsc`.
  bool has_looked_since(uint64_t tsc) const {
    return looked_.load(std::memory_order_acquire) >= tsc;
  }
  // Puts its thread above ordinary ones, or back where it was; where that is permitted. From one
  // thread.
  void hurry(bool wanted);
  Worker& worker() { return worker_; }
  uint64_t first_cycle() const { return first_cycle_; }  // at which its clock is 0
  Watcher& watcher() { return watcher_; }

 private:
  struct Queue {
    uint16_t port;    // ours
    uint16_t device;  // DPDK's
    uint16_t queue;
  };

  // A receive ring in bursts: after as many turns the last frame of a full one has been read.
  static constexpr unsigned kTurnsARing = kMbufsPerQueue / kBurst;

  void begin_turn();
  void note_look();
  unsigned take_in(Duty duty);
  void discard();
  void note_turn(Duty duty, unsigned packets);
  unsigned receive();
  unsigned receive_handed_off();
  unsigned send_for_others();
  void send(Ring& ring, bool counted, unsigned& total);
  void rest(Duty duty, unsigned packets, bool expiry_is_due);
  bool is_waited_for() const;

  const unsigned index_;
  const Ports& ports_;
  Wiring& wiring_;
  Publisher& publisher_;
  Watcher watcher_;
  LiveSink sink_;
  Worker worker_;
  std::vector<Queue> queues_;
  uint64_t now_ms() {
    if (clock_ms_ != nullptr) return *clock_ms_;
    if (now_ >= next_ms_) {
      now_ms_ = (now_ - first_cycle_) / cycles_a_ms_;
      next_ms_ = first_cycle_ + (now_ms_ + 1) * cycles_a_ms_;
    }
    return now_ms_;
  }

  const uint64_t* const clock_ms_;
  const uint64_t cycles_a_ms_, first_cycle_;
  const uint64_t idle_cycles_;
  const bool sleeps_;
  Nap nap_;
  uint64_t now_;               // cycles at the start of this turn
  uint64_t now_ms_ = 0;        // at its start
  uint64_t next_ms_ = 0;       // cycles at which the next millisecond begins
  uint64_t last_packet_;       // cycles at the last turn that had one
  bool is_busy_ = false;       // the turn before had packets
  bool is_behind_ = false;     // a queue held more than a burst in this turn
  unsigned turns_behind_ = 0;  // one after the other
  uint64_t behind_since_ = 0;  // cycles
  alignas(64) std::atomic<uint64_t> heartbeat_{0};
  std::atomic<uint64_t> looked_{0};
  std::atomic<pid_t> thread_{0};
  bool in_haste_ = false;
  std::atomic<bool> stopping_{false}, ended_{false};
  std::atomic<Duty> duty_{Duty::live}, duty_now_{Duty::live};
  std::atomic<unsigned> quiet_turns_{0};
};

}  // namespace sluice
