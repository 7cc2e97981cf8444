#include "lcore.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

namespace sluice {
namespace {

std::vector<int> sockets_of(const Ports& ports, unsigned worker) {
  std::vector<int> sockets;
  for (const auto& port : ports) {
    if (worker < port->rx_queues()) sockets.push_back(port->rx_socket(worker));
  }
  return sockets;
}

}  // namespace

Lcore::Lcore(const WorkerOptions& options, const Ports& ports, Wiring& wiring, Publisher& publisher,
             const IdleOptions& idle, const uint64_t* clock_ms)
    : index_(options.index),
      ports_(ports),
      wiring_(wiring),
      publisher_(publisher),
      watcher_(options.index),
      sink_(options.index, ports, wiring, watcher_),
      worker_(options, sink_),
      clock_ms_(clock_ms),
      cycles_a_ms_(rte_get_tsc_hz() / 1000),
      first_cycle_(rte_rdtsc()),
      idle_cycles_(idle.after_us * (rte_get_tsc_hz() / 1'000'000)),
      sleeps_(idle.sleep_us != 0),
      nap_(wiring.worker_bells[index_], sockets_of(ports, index_), idle.sleep_us),
      now_(first_cycle_),
      last_packet_(first_cycle_) {
  for (uint16_t p = 0; p < ports.size(); ++p) {
    if (index_ < ports[p]->rx_queues()) {
      queues_.push_back({p, ports[p]->id(), static_cast<uint16_t>(index_)});
    }
  }
}

void Lcore::run() {
  prctl(PR_SET_TIMERSLACK, 1);  // sleep as long as told, not 50 us longer
  thread_.store(gettid(), std::memory_order_relaxed);
  publisher_.enter(index_);
  while (!stopping_.load(std::memory_order_relaxed)) {
    begin_turn();
    worker_.begin(now_ms(), publisher_.snapshot(), publisher_.fib());
    const Duty duty = duty_.load(std::memory_order_relaxed);
    const unsigned packets = take_in(duty);
    if (wiring_.mail[index_].serve(worker_)) wiring_.slow_path_bell.ring();
    const bool expired = duty == Duty::paused ? worker_.settle_estate() : worker_.housekeep();
    worker_.flush();
    worker_.counters().add(Extra::loops);
    publisher_.quiescent(index_);
    heartbeat_.store(now_, std::memory_order_release);
    note_look();
    is_busy_ = packets != 0;
    note_turn(duty, packets);
    rest(duty, packets, !expired);
  }
  publisher_.leave(index_);
  ended_.store(true, std::memory_order_release);
}

unsigned Lcore::take_in(Duty duty) {
  if (duty == Duty::live || duty == Duty::draining) [[likely]] {
    unsigned packets = receive();
    if (wiring_.workers > 1) packets += receive_handed_off();
    if (index_ == 0) packets += send_for_others();
    return packets;
  }
  if (duty == Duty::waiting) discard();
  return 0;
}

void Lcore::discard() {
  for (const Queue& q : queues_) {
    rte_mbuf* packets[kBurst];
    const uint16_t n = rte_eth_rx_burst(q.device, q.queue, packets, kBurst);
    if (n != 0) rte_pktmbuf_free_bulk(packets, n);
  }
}

void Lcore::note_turn(Duty duty, unsigned packets) {
  if (duty == Duty::live && duty_now_.load(std::memory_order_relaxed) == Duty::live) [[likely]]
    return;
  const bool quiet = packets == 0 && duty == duty_now_.load(std::memory_order_relaxed);
  const unsigned before = quiet_turns_.load(std::memory_order_relaxed);
  quiet_turns_.store(quiet ? before + 1 : 0, std::memory_order_release);
  duty_now_.store(duty, std::memory_order_release);
}

// A turn ends where the next one begins, its sleep included.
void Lcore::begin_turn() {
  const uint64_t before = now_;
  now_ = rte_rdtsc();
  const auto turn = static_cast<int64_t>(now_ - before);
  worker_.counters().add(Extra::cycles, turn);
  worker_.counters().add(Extra::busy_cycles, is_busy_ ? turn : 0);
}

// What had arrived when a turn began has been read at its end where no queue held more than a
// burst; under a load that never lets up, a ring's length of turns later.
void Lcore::note_look() {
  if (!is_behind_) [[likely]] {
    turns_behind_ = 0;
    looked_.store(now_, std::memory_order_release);
    return;
  }
  is_behind_ = false;
  if (turns_behind_ == 0) behind_since_ = now_;
  if (++turns_behind_ <= kTurnsARing) return;
  turns_behind_ = 0;
  looked_.store(behind_since_, std::memory_order_release);
}

void Lcore::hurry(bool wanted) {
  const pid_t thread = thread_.load(std::memory_order_relaxed);
  if (wanted == in_haste_ || thread == 0) return;
  sched_param parameters{};
  // One that somebody has given a place of its own keeps it.
  if (!in_haste_ && sched_getscheduler(thread) != SCHED_OTHER) return;
  parameters.sched_priority = wanted ? 1 : 0;
  if (sched_setscheduler(thread, wanted ? SCHED_FIFO : SCHED_OTHER, &parameters) == 0) {
    in_haste_ = wanted;
  }
}

unsigned Lcore::receive() {
  unsigned total = 0;
  for (const Queue& q : queues_) {
    rte_mbuf* packets[kBurst];
    const uint16_t n = rte_eth_rx_burst(q.device, q.queue, packets, kBurst);
    if (n == 0) continue;
    is_behind_ |= n == kBurst;
    if (watcher_.is_on()) [[unlikely]] {
      watcher_.receive(worker_, q.port, packets, n, Watcher::now());
    } else {
      worker_.receive(q.port, packets, n);
    }
    total += n;
  }
  return total;
}

unsigned Lcore::receive_handed_off() {
  unsigned total = 0;
  for (unsigned from = 0; from < wiring_.workers; ++from) {
    if (from == index_) continue;
    rte_mbuf* packets[kBurst];
    const uint16_t n = wiring_.between(from, index_)->pop(packets, kBurst);
    if (n == 0) continue;
    if (watcher_.is_on()) [[unlikely]] {
      watcher_.receive_handed_off(worker_, packets, n, Watcher::now());
    } else {
      worker_.receive_handed_off(packets, n);
    }
    total += n;
  }
  return total;
}

// Worker 0 has a transmit queue on every port.
unsigned Lcore::send_for_others() {
  unsigned total = 0;
  if (!wiring_.said.empty()) send(wiring_.said, false, total);
  if (!wiring_.inject.empty()) send(wiring_.inject, false, total);
  if (wiring_.workers > 1 && !wiring_.relay.empty()) send(wiring_.relay, true, total);
  return total;
}

void Lcore::send(Ring& ring, bool counted, unsigned& total) {
  rte_mbuf* packets[kBurst];
  const uint16_t n = ring.pop(packets, kBurst);
  total += n;
  for (uint16_t i = 0; i < n; ++i) {
    const uint16_t port = packets[i]->port;
    if (!counted) Watcher::is_foreign(packets[i]);
    const uint32_t bytes = rte_pktmbuf_pkt_len(packets[i]);
    if (sink_.transmit(port, &packets[i], 1) == 0) {
      rte_pktmbuf_free(packets[i]);
    } else if (!counted) {
      uint64_t* words = worker_.counters().port(port);
      words[kTxPackets] += 1;
      words[kTxBytes] += bytes;
    }
  }
}

void Lcore::rest(Duty duty, unsigned packets, bool expiry_is_due) {
  if (packets != 0) last_packet_ = now_;
  if (duty != Duty::live && duty != Duty::waiting) [[unlikely]] {
    // The other process's worker may be on this very CPU. Frames that wait must not wake this one.
    constexpr timespec kBreath{0, 20'000};
    if (packets == 0 && !expiry_is_due) nanosleep(&kBreath, nullptr);
    return;
  }
  const bool polls = !sleeps_ && duty == Duty::live;
  if (polls || expiry_is_due || now_ - last_packet_ < idle_cycles_) return;
  worker_.counters().add(Extra::idle_sleeps);
  nap_.take([this] { return is_waited_for(); });
}

// Whether there is something that its bell may have been rung for before the worker listened.
bool Lcore::is_waited_for() const {
  if (stopping_.load(std::memory_order_relaxed) || !wiring_.mail[index_].in.empty()) return true;
  if (worker_.is_told() || duty_.load(std::memory_order_relaxed) != duty()) return true;
  for (unsigned from = 0; from < wiring_.workers; ++from) {
    if (from != index_ && !wiring_.between(from, index_)->empty()) return true;
  }
  if (index_ != 0) return false;
  return !(wiring_.said.empty() && wiring_.inject.empty() && wiring_.relay.empty());
}

double Lcore::lag_us() const {
  const uint64_t last = heartbeat_.load(std::memory_order_relaxed);
  const uint64_t now = rte_rdtsc();
  if (last == 0 || now < last) return 0;
  return static_cast<double>(now - last) * 1e6 / static_cast<double>(rte_get_tsc_hz());
}

}  // namespace sluice
