// One process takes over from another on the same machine: the dataplane's part. Both have a thread
// at an end of a stream socket.
//
//   old                                        new
//   records, in passes            ──────────▶  makes connections of them; its ports are deaf
//   swept: all told once          ──────────▶
//                                 ◀── ready ─  all of that is in its tables
//                                              (the control planes agree: now)
//                                              its workers hold; its ports' ears are opened, the
//                                              old ones' closed: a frame is the one's or the
//                                              other's
//                                 ◀─ switch ─
//   works off what it has got, pauses,
//   tells what has changed; last  ──────────▶
//                                              lives: frames that have waited are the first
//                                 ◀─── live ─
//
// IPv6's records are longer: a record whose tale is `six` says how many of them follow it.
//
// The old one keeps everything until it is told to leave, and takes it back when the stream ends
// before. When it ends on the new one's side, the old process has died: the new one lives at once.
// Nothing of this is on a worker's way but a look at its duty, once a turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../sync/whereabouts.h"
#include "event.h"
#include "lcore.h"
#include "slow_path.h"

namespace sluice {

// Grows with sync::Record and whatever else goes through the stream.
inline constexpr uint32_t kHandOverFormat = 2;

enum class HandOverPhase : uint8_t {
  copying,
  ready,      // everything has been told once, and is there
  switching,  // between the two
  done,       // the other process forwards; or, on its side: this one does
  broken,     // the other process has gone; this one forwards
};

struct HandOverParts {
  std::vector<Lcore*> lcores;
  const Ports& ports;
  SlowPath& slow_path;
  Publisher& publisher;
  Wiring& wiring;
  std::vector<unsigned> busy_cpus;
  std::function<void(size_t worker, std::unique_ptr<Letter>)> post;

  void set_duty(Duty duty) const {
    for (Lcore* lcore : lcores) lcore->set_duty(duty);
  }
  void open_ears() const;
};

// Of the process that leaves.
class HandOver {
 public:
  // Takes `fd`.
  HandOver(HandOverParts parts, int fd);
  ~HandOver();  // what has not been taken back is left as it is
  HandOver(const HandOver&) = delete;

  HandOverPhase phase() const { return phase_.load(std::memory_order_acquire); }
  uint64_t told() const { return told_.load(std::memory_order_relaxed); }
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }
  // Forwards again, whatever the other one has done: it must be dead. Ends the thread.
  void take_back();

 private:
  void run();
  bool pump();  // false: nothing to tell at the moment
  template <class Family>
  bool pump(sync::EstateOf<Family>& estate);
  bool add_calls(sync::Estate& estate);
  template <class Told>
  void add(const Told& told);
  void listen(int wait_ms);
  void switch_over();
  void go_on();
  void write_all();

  const HandOverParts parts_;
  const int fd_;
  std::vector<uint8_t> outgoing_;
  std::vector<std::pair<sync::Estate*, sync::Estate6*>> estates_;  // by worker
  size_t swept_ = 0, last_ = 0;                                    // estates
  bool has_ended_ = false;                                         // the stream
  std::atomic<HandOverPhase> phase_{HandOverPhase::copying};
  std::atomic<uint64_t> told_{0}, lost_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Of the process that comes, whose workers wait.
class TakeOver {
 public:
  // Takes `fd`.
  TakeOver(HandOverParts parts, const Steering* steering, int fd);
  ~TakeOver();
  TakeOver(const TakeOver&) = delete;

  HandOverPhase phase() const { return phase_.load(std::memory_order_acquire); }
  // Once ready. Takes the other process's packet sockets, by their descriptors here.
  void switch_over(std::vector<int> theirs);
  // From the last frame that was the other's to the first that is worked on here.
  uint64_t gap_us() const { return gap_us_.load(std::memory_order_relaxed); }
  uint64_t received() const { return received_.load(std::memory_order_relaxed); }
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  void run();
  void listen();
  void take(const sync::Record& record);
  template <class Told>
  void give(Told told, uint32_t teller);
  void flip();
  void live();
  bool all_adopted() const;
  bool say(char word);

  const HandOverParts parts_;
  sync::Whereabouts whereabouts_;
  const int fd_;
  std::vector<uint8_t> incoming_;
  size_t filled_ = 0;
  uint32_t six_left_ = 0;  // of IPv6's records that come next
  uint32_t calls_left_ = 0;
  std::vector<int> theirs_;
  bool swept_ = false, last_ = false, has_ended_ = false;
  uint64_t flipped_us_ = 0;
  std::atomic<bool> is_wanted_{false};
  std::atomic<HandOverPhase> phase_{HandOverPhase::copying};
  std::atomic<uint64_t> gap_us_{0}, received_{0}, refused_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace sluice
