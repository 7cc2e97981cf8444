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
// What follows then can be prepared ahead, as a Succession: the herald carries it out itself at the
// alarm, and JavaScript does the same once more when it comes round. It does so only where nothing
// was heard that JavaScript has not considered: the alarm is JavaScript's own judgement of
// everything that has come, and whatever comes later, good or bad, puts the decision back into its
// hands.
//
// Where the alarm or the look is late the machine has stood still, and a master on it with it: the
// decision waits for what comes right after.
//
// Nor does it where the link of one of its ports is down: silence is no wonder then.
//
// A worker on a CPU that it has to share may be kept waiting longer than a peer's patience. When an
// advert has to leave, or the alarm waits for its look, such a worker gets the herald's precedence
// until it has had its turn.
//
// Times are nanoseconds of CLOCK_MONOTONIC: a step of the wall clock changes nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "../port/ethdev.h"
#include "bell.h"
#include "seal.h"
#include "urgent_mutex.h"
#include "wiring.h"

struct rte_mempool;

namespace sluice {

using Frame = std::vector<uint8_t>;

struct Advert {
  uint16_t port = 0;
  uint64_t interval_ns = 0;
  std::vector<Frame> frames;    // sent together: one, or one a unicast peer
  std::vector<Frame> farewell;  // sent once when it resigns
  Seal seal;                    // of each of them as it leaves
};

struct Heard {
  uint64_t at_ns;
  uint16_t port;
  Frame frame;
};

// A frame that is sent once: gratuitous ARP and its like.
struct Remark {
  uint32_t instance;  // with which it ends
  uint16_t port;
  Frame frame;
};

// All that becoming the master of some instances takes.
struct Succession {
  std::vector<std::pair<uint32_t, Advert>> adverts;  // by instance
  std::vector<Remark> remarks;
  std::function<void()> publish;  // not under a lock
};

struct News {
  bool lapsed;                      // the lease has run out since the last look
  bool succeeded;                   // a Succession has been carried out since the last look
  uint64_t complete_ns;             // everything that had arrived by then has been handed over
  std::vector<uint32_t> repeating;  // instances
  std::vector<Heard> heard;         // in order
  uint64_t lost;                    // adverts for which there was no room
  uint64_t unsent;                  // remarks for which there was none, or no buffer
  uint64_t late_ns;                 // between the time of an advert and its sending; the longest
};

struct HeraldHooks {
  std::function<void()> news;    // something to take(), or the alarm; not under a lock
  std::function<void()> lapsed;  // the dataplane has to give up what follows a role
  // Whether all workers have read what had arrived at `tsc`, and worker 0 has sent what it was
  // left.
  std::function<bool(uint64_t tsc)> have_looked_since;
  std::function<bool(uint16_t port)> is_up;  // its link
  std::function<bool(uint64_t tsc)> has_sent_since;
  // Precedence for the workers that have not looked since, and for no others; 0: for none.
  std::function<void(uint64_t tsc)> hurry;
};

class Herald {
 public:
  // Of frames not taken: later ones are lost and counted. A second of a hundred instances at 10 ms.
  static constexpr size_t kMostHeard = 10'000;
  // Of remarks that wait to be sent: later ones are lost and counted.
  static constexpr size_t kMostRemarks = 1u << 16;

  // `busy_cpus`: the workers', to be kept off where there are others.
  Herald(Wiring& wiring, size_t ports, rte_mempool* mbufs, HeraldHooks hooks,
         std::vector<unsigned> busy_cpus);
  ~Herald() { stop(); }
  Herald(const Herald&) = delete;

  // All of these from any thread. Sends at once, then again and again; a known instance keeps its
  // rhythm unless `at_once`.
  void repeat(uint32_t instance, Advert advert, bool at_once);
  // Stops it, and what waits of its remarks; with its farewell if wanted.
  void cease(uint32_t instance, bool farewell);
  // In turn with others, at a pace that leaves queues room for adverts.
  void send(Remark remark);
  // The sequence numbers of an instance's seals go on above this one; the last of them. 0: none
  // yet.
  uint64_t heed(uint32_t instance, uint64_t sequence);
  // One alarm; the last one counts. 0: none. `decided`: what was prepared may be carried out then.
  void wake_at(uint64_t at_ns, bool decided);
  // In place of what was prepared before; without adverts: nothing.
  void prepare(Succession succession);
  // From the first renewal on the lease is in force. One that has run out is not renewed before it
  // has been told.
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
  void watch_departure(uint64_t now);
  void watch_haste(uint64_t now);
  void remark(uint64_t now);
  void succeed();
  void wait();
  uint64_t deadline() const;  // these under the lock
  bool is_cut_off() const;
  void tell();
  rte_mbuf* buffer_of(const Frame& frame);
  bool put(uint16_t port, rte_mbuf* packet);
  void put_all(uint32_t instance, const Advert& advert, const std::vector<Frame>& frames);

  Wiring& wiring_;
  const size_t ports_;
  rte_mempool* const mbufs_;
  HeraldHooks hooks_;
  const std::vector<unsigned> busy_cpus_;

  UrgentMutex mutex_;  // of all below
  std::map<uint32_t, Repeated> repeated_;
  std::map<uint32_t, uint64_t> sequences_;  // by instance, whether or not it is repeated
  std::vector<Heard> heard_;
  uint64_t lost_ = 0, unsent_ = 0, late_ns_ = 0;
  std::deque<Remark> remarks_;
  uint64_t remark_ns_ = 0;  // not before: the next ones
  uint64_t lease_ns_ = 0, alarm_ns_ = 0;
  uint64_t wanted_ns_ = 0;      // what the alarm was set to, before any grace
  unsigned graces_ = 0;         // that this alarm has had
  bool lapsed_ = false;         // not taken yet
  bool in_lapse_ = false;       // until the next renewal
  bool told_ = false;           // news() was called and take() was not
  uint64_t looking_since_ = 0;  // TSC; the alarm is due and workers are asked to look
  uint64_t asked_ns_ = 0;       // since when
  uint64_t complete_ns_ = 0;    // when they were asked last, of those times when all have looked
  uint64_t leaving_since_ = 0;  // TSC; frames wait for worker 0's turn
  uint64_t left_ns_ = 0;        // since when
  uint64_t due_ns_ = 0;  // when the first of them ought to have left; 0: no advert is among them
  Succession succession_;
  bool decided_ = false;    // JavaScript has considered everything that was taken
  bool succeeded_ = false;  // not taken yet
  bool in_haste_ = false;   // a worker may have precedence

  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace sluice
