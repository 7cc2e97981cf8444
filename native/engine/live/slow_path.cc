#include "slow_path.h"

#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>

#include "../error.h"
#include "../port/dpdk_log.h"
#include "affinity.h"

namespace sluice {
namespace {

constexpr unsigned kFrames = 64;  // a round and twin or worker, so that each gets its turn
// Rings can't be waited for: this is how long a frame may lie in one while frames come. Ringing for
// each of them would cost the workers a system call each. When none has come for the sum of these
// waits, the thread sleeps until its bell.
constexpr long kShortestWaitNs = 20'000, kLongestWaitNs = 200'000;
constexpr uint64_t kCoalesceMs = 10;  // at least, between two Fibs from the kernel's changes
constexpr uint64_t kSecondMs = 1000;

std::vector<Mirror::Twin> twins_of(const Taps& taps) {
  std::vector<Mirror::Twin> twins;
  for (size_t port = 0; port < taps.size(); ++port) {
    if (taps[port]) twins.push_back({taps[port]->index(), static_cast<uint8_t>(port)});
  }
  return twins;
}

std::vector<std::string> names_of(const Ports& ports) {
  std::vector<std::string> names;
  for (const auto& port : ports) names.push_back(port->options().name);
  return names;
}

}  // namespace

SlowPath::SlowPath(const Ports& ports, Taps taps, Wiring& wiring, Routing& routing,
                   Publisher& publisher, rte_mempool* mbufs, EventHandler handler,
                   std::vector<unsigned> busy_cpus)
    : ports_(ports),
      taps_(std::move(taps)),
      wiring_(wiring),
      routing_(routing),
      publisher_(publisher),
      mbufs_(mbufs),
      handler_(std::move(handler)),
      busy_cpus_(std::move(busy_cpus)),
      notes_(handler_, names_of(ports)) {
  asked_.resize(wiring_.words.size());
  polled_.push_back({wiring_.slow_path_bell.fd(), POLLIN, 0});
  for (const auto& tap : taps_) {
    if (tap) polled_.push_back({tap->fd(), POLLIN, 0});
  }
  for (const auto& port : ports_) links_.push_back(port->is_up());
  if (polled_.size() == 1) return;
  // Made on the caller's thread: a failure is the start's, and routes are there from the start.
  mirror_.emplace(twins_of(taps_));
  resolver_.emplace(*mirror_, routing_);
  polled_.push_back({mirror_->fd(), POLLIN, 0});
  routing_.set_kernel(mirror_->input());
}

void SlowPath::start() {
  thread_ = std::thread([this] { run(); });
}

void SlowPath::stop() {
  stopping_.store(true, std::memory_order_relaxed);
  wiring_.slow_path_bell.ring();
  if (thread_.joinable()) thread_.join();
}

void SlowPath::run() {
  pthread_setname_np(pthread_self(), "sluice-slow");
  prctl(PR_SET_TIMERSLACK, 1000);
  keep_off(busy_cpus_);
  while (!stopping_.load(std::memory_order_relaxed)) {
    follow_hold();
    const unsigned work = to_kernel() + from_kernel() + read_words();
    deliver_answers();
    follow_kernel();
    every_second();
    wait(work);
  }
  deliver_answers();
}

void SlowPath::hold(bool held) {
  held_.store(held, std::memory_order_relaxed);
  wiring_.slow_path_bell.ring();
}

// poll() leaves out what is negative; a twin that is gone is -1 already, and stays so.
void SlowPath::follow_hold() {
  const bool held = held_.load(std::memory_order_relaxed);
  if (held == held_now_.load(std::memory_order_relaxed)) return;
  for (size_t i = 1, port = 0; port < taps_.size(); ++port) {
    if (!taps_[port]) continue;
    pollfd& p = polled_[i++];
    if (p.fd != -1) p.fd = ~p.fd;
    p.revents = 0;
  }
  held_now_.store(held, std::memory_order_release);
}

unsigned SlowPath::to_kernel() {
  unsigned total = 0;
  for (auto& ring : wiring_.punt) {
    rte_mbuf* packets[kFrames];
    const uint16_t n = ring->pop(packets, kFrames);
    const bool passages = !passages_.is_empty();
    for (uint16_t i = 0; i < n; ++i) {
      if (passages) {
        passages_.incoming(rte_pktmbuf_mtod(packets[i], uint8_t*), packets[i]->data_len, now_ms());
      }
      taps_[packets[i]->port]->write(*packets[i]);
    }
    if (n != 0) rte_pktmbuf_free_bulk(packets, n);
    total += n;
  }
  return total;
}

unsigned SlowPath::from_kernel() {
  unsigned total = 0;
  size_t polled = 1;  // after the bell
  for (size_t port = 0; port < taps_.size(); ++port) {
    if (!taps_[port] || (polled_[polled++].revents & POLLIN) == 0) continue;
    for (unsigned i = 0; i < kFrames; ++i, ++total) {
      rte_mbuf* packet = rte_pktmbuf_alloc(mbufs_);
      if (packet == nullptr) break;
      packet->port = static_cast<uint16_t>(port);
      if (!taps_[port]->read(*packet) || !pass(*packet) || wiring_.inject.push(&packet, 1) == 0) {
        rte_pktmbuf_free(packet);
        break;
      }
    }
  }
  if (total != 0) wiring_.worker_bells[0].ring();
  return total;
}

// A health check's packet gets its VIP and, perhaps, its tunnel. False: there is no room for that.
bool SlowPath::pass(rte_mbuf& packet) {
  if (passages_.is_empty()) return true;
  if (rte_pktmbuf_headroom(&packet) < Passages::kRoom) return false;
  const unsigned grown =
      passages_.outgoing(rte_pktmbuf_mtod(&packet, uint8_t*), packet.data_len, now_ms());
  if (grown > 1) rte_pktmbuf_prepend(&packet, static_cast<uint16_t>(grown - 1));
  return true;
}

unsigned SlowPath::read_words() {
  unsigned total = 0;
  const uint64_t now = now_ms();
  for (size_t worker = 0; worker < wiring_.words.size(); ++worker) {
    auto& ring = wiring_.words[worker];
    Asked& asked = asked_[worker];
    for (uint64_t word; ring->pop_word(&word); ++total) {
      if (Word::tag(word) == Word::kNote) {
        notes_.add(static_cast<Note>(Word::small(word)), Word::count(word), Word::value(word), now);
      } else if (Word::tag(word) == Word::kResolve6) {
        resolve6(word, asked, now);
      } else if (resolver_) {
        resolver_->ask(Word::small(word), Word::value(word), now);
      }
    }
  }
  return total;
}

// An IPv6 address comes in four words; where one of them found the ring full the rest is of no use.
void SlowPath::resolve6(uint64_t word, Asked& asked, uint64_t now) {
  const uint32_t part = Word::count(word);
  asked.parts = part == 0 ? 1 : part == asked.parts ? asked.parts + 1 : 0;
  if (asked.parts == 0) return;
  store(asked.address.data() + 4 * part, Word::value(word));
  if (asked.parts == 4 && resolver_) resolver_->ask(Word::small(word), asked.address, now);
}

void SlowPath::deliver_answers() {
  for (Mailbox& mailbox : wiring_.mail) {
    if (mailbox.answered.empty()) continue;
    for (auto& letter : mailbox.answered.take()) letter->answer(true);
  }
}

void SlowPath::return_mail() {
  deliver_answers();
  for (Mailbox& mailbox : wiring_.mail) {
    for (auto& letter : mailbox.in.take()) letter->answer(false);
  }
}

void SlowPath::follow_kernel() {
  if (!mirror_) return;
  const uint64_t now = now_ms();
  if (polled_.back().revents != 0 || now - second_ms_ >= kSecondMs) {
    routing_changed_ |= mirror_->read();
    polled_.back().revents = 0;
  }
  if (routing_changed_ && now >= next_fib_ms_) {
    mirror_->refresh();
    routing_.set_kernel(mirror_->input());
    routing_changed_ = false;
    // Large tables that change all the time must not take the whole thread.
    const uint64_t done = now_ms();
    next_fib_ms_ = done + std::max(kCoalesceMs, 4 * (done - now));
  }
  if (configuration_ != routing_.configurations()) {
    configuration_ = routing_.configurations();
    resolver_->tick(now);
  }
  if (overruns_ != mirror_->overruns()) {
    overruns_ = mirror_->overruns();
    log(Event::Level::info, "netlink notifications overran; routes and neighbours read anew");
  }
}

void SlowPath::every_second() {
  const uint64_t now = now_ms();
  if (now - second_ms_ < kSecondMs) return;
  second_ms_ = now;
  if (resolver_) resolver_->tick(now);
  notes_.tick(now);
  publisher_.reclaim();
  passages_.expire(now);
  watch_links();
  pass_dpdk_log_on();
}

void SlowPath::watch_links() {
  for (size_t i = 0; i < ports_.size(); ++i) {
    const bool up = ports_[i]->is_up();
    if (up == links_[i]) continue;
    links_[i] = up;
    Event event;
    event.type = Event::Type::link;
    event.level = up ? Event::Level::info : Event::Level::warn;
    event.message = "port '" + ports_[i]->options().name + "' is " + (up ? "up" : "down");
    handler_(std::move(event));
  }
}

void SlowPath::pass_dpdk_log_on() {
  for (dpdk_log::Line& line : dpdk_log::take()) {
    // One level down: what stops us is thrown with DPDK's words, the rest are its probings.
    const auto level = line.level <= 4 ? (line.level == 4 ? Event::Level::info : Event::Level::warn)
                                       : Event::Level::debug;
    log(level, "dpdk: " + line.text);
  }
}

void SlowPath::wait(unsigned work) {
  Bell& bell = wiring_.slow_path_bell;
  timespec timeout{0, 0};
  if (work != 0) {
    wait_ns_ = 0;
  } else if (wait_ns_ < kLongestWaitNs) {
    wait_ns_ = std::max(wait_ns_ * 2, kShortestWaitNs);
    timeout.tv_nsec = wait_ns_;
  } else {
    bell.listen();
    const uint64_t now = now_ms(), then = next_deadline_ms();
    const uint64_t ms = is_waited_for() || then <= now ? 0 : then - now;
    timeout = {static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000) * 1'000'000};
  }
  const int ready = ppoll(polled_.data(), polled_.size(), &timeout, nullptr);
  bell.hush();
  if (ready <= 0) return;
  if (polled_[0].revents != 0) bell.answer();
  // A twin whose interface was deleted is readable for ever: it is not asked again.
  for (pollfd& p : polled_) {
    if ((p.revents & (POLLERR | POLLNVAL)) == 0 || &p == &polled_.back()) continue;
    log(Event::Level::error, "a TAP twin was deleted by someone else; its port has none now",
        "ERR_TWIN_GONE");
    p.fd = -1;
  }
}

uint64_t SlowPath::next_deadline_ms() const {
  const uint64_t second = second_ms_ + kSecondMs;
  return mirror_ && routing_changed_ ? std::min(second, next_fib_ms_) : second;
}

// Whether there is something that the bell may have been rung for before the thread listened.
bool SlowPath::is_waited_for() const {
  auto holds = [](const auto& ring) { return !ring->empty(); };
  return stopping_.load(std::memory_order_relaxed) ||
         held_.load(std::memory_order_relaxed) != held_now_.load(std::memory_order_relaxed) ||
         (resolver_ && configuration_ != routing_.configurations()) ||
         std::any_of(wiring_.punt.begin(), wiring_.punt.end(), holds) ||
         std::any_of(wiring_.words.begin(), wiring_.words.end(), holds) ||
         std::any_of(wiring_.mail.begin(), wiring_.mail.end(),
                     [](const Mailbox& mailbox) { return !mailbox.answered.empty(); });
}

uint64_t SlowPath::now_ms() const {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000 + static_cast<uint64_t>(t.tv_nsec) / 1'000'000;
}

void SlowPath::log(Event::Level level, std::string message, std::string code) {
  Event event;
  event.level = level;
  event.message = std::move(message);
  event.code = std::move(code);
  handler_(std::move(event));
}

}  // namespace sluice
