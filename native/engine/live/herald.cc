#include "herald.h"

#include <poll.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

// While workers are asked to look at their queues: they do so within microseconds, unless one
// hangs.
constexpr uint64_t kLookAgainNs = 100'000;
// After which one is kept from its CPU by others.
constexpr uint64_t kPatienceNs = 500'000;
// After which it hangs: precedence would only take the CPU from everybody else. A virtual machine's
// CPU may be away for longer than a peer's patience, and the worker has to be first when it is
// back.
constexpr uint64_t kHopelessNs = 50'000'000;
// An alarm that could be looked into so late tells of a machine that stood still, the master's
// adverts perhaps with it: what was kept back comes within the grace.
constexpr uint64_t kStallNs = 2'000'000, kGraceNs = 4'000'000;
constexpr unsigned kMostGraces = 2;
// An advert that leaves so late is worth a word.
constexpr uint64_t kLateNs = 5'000'000;
// So many remarks together, so far apart: 1 000 addresses of which each is told five times take
// 40 ms, and an advert in between waits behind 64 at the most.
constexpr unsigned kRemarks = 64;
constexpr uint64_t kRemarksApartNs = 500'000;
// How long farewells may take to leave at a stop.
constexpr uint64_t kFarewellNs = 50'000'000;
constexpr unsigned kFrames = 32;

// Above ordinary threads, and above workers that it hurries: it needs microseconds a turn, and a
// turn that is late by a scheduler's slice is a false takeover at 10 ms adverts. Not permitted to
// everybody.
void take_precedence() {
  sched_param parameters{};
  parameters.sched_priority = 2;
  (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters);
}

void keep_off(const std::vector<unsigned>& cpus) {
  cpu_set_t set;
  if (pthread_getaffinity_np(pthread_self(), sizeof set, &set) != 0) return;
  for (const unsigned cpu : cpus) CPU_CLR(cpu, &set);
  if (CPU_COUNT(&set) != 0) pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

uint64_t ns_of(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

uint64_t wall_ns() {
  return ns_of(CLOCK_REALTIME);
}

}  // namespace

Herald::Herald(Wiring& wiring, size_t ports, rte_mempool* mbufs, HeraldHooks hooks,
               std::vector<unsigned> busy_cpus)
    : wiring_(wiring),
      ports_(ports),
      mbufs_(mbufs),
      hooks_(std::move(hooks)),
      busy_cpus_(std::move(busy_cpus)) {
  wiring_.adverts_wanted.store(true, std::memory_order_relaxed);
  thread_ = std::thread([this] { run(); });
}

uint64_t Herald::now_ns() {
  return ns_of(CLOCK_MONOTONIC);
}

void Herald::repeat(uint32_t instance, Advert advert, bool at_once) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = repeated_.find(instance);
    const uint64_t now = now_ns();
    uint64_t next = now;
    if (known != repeated_.end() && !at_once) {
      next = std::min(known->second.next_ns, now + advert.interval_ns);
    }
    repeated_[instance] = {std::move(advert), next};
  }
  wiring_.herald_bell.ring();
}

void Herald::cease(uint32_t instance, bool farewell) {
  const std::lock_guard lock(mutex_);
  const auto known = repeated_.find(instance);
  std::erase_if(remarks_, [instance](const Remark& one) { return one.instance == instance; });
  if (known == repeated_.end()) return;
  if (farewell) put_all(instance, known->second.advert, known->second.advert.farewell);
  repeated_.erase(known);
}

void Herald::send(Remark remark) {
  {
    const std::lock_guard lock(mutex_);
    if (remark.port >= ports_ || remarks_.size() >= kMostRemarks) {
      ++unsent_;
      return;
    }
    remarks_.push_back(std::move(remark));
    // One look for all that come at once.
    if (remarks_.size() > 1) return;
  }
  wiring_.herald_bell.ring();
}

uint64_t Herald::heed(uint32_t instance, uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  uint64_t& last = sequences_[instance];
  return last = std::max(last, sequence);
}

void Herald::wake_at(uint64_t at_ns, bool decided) {
  {
    const std::lock_guard lock(mutex_);
    decided_ = decided;
    // The same silence goes on.
    if (at_ns == wanted_ns_ && alarm_ns_ != 0) return;
    alarm_ns_ = wanted_ns_ = at_ns;
    looking_since_ = 0;
    graces_ = 0;
  }
  wiring_.herald_bell.ring();
}

void Herald::prepare(Succession succession) {
  const std::lock_guard lock(mutex_);
  // What it replaces may hold a configuration: freed after the lock is given back.
  std::swap(succession_, succession);
}

void Herald::renew_lease(uint64_t until_ns) {
  {
    const std::lock_guard lock(mutex_);
    // Too late: of a process that was stopped and goes on, whoever runs first must not make it the
    // master again. It lapses, which is told, and is renewed then.
    const bool expired = lease_ns_ != 0 && !in_lapse_ && now_ns() >= lease_ns_;
    if (!expired) {
      lease_ns_ = until_ns;
      in_lapse_ = false;
    }
  }
  wiring_.herald_bell.ring();
}

News Herald::take() {
  const std::lock_guard lock(mutex_);
  News news{lapsed_, succeeded_, complete_ns_, {}, std::move(heard_), lost_, unsent_, late_ns_};
  for (const auto& entry : repeated_) news.repeating.push_back(entry.first);
  heard_.clear();
  lapsed_ = told_ = succeeded_ = decided_ = false;
  lost_ = unsent_ = late_ns_ = 0;
  return news;
}

void Herald::on_news(std::function<void()> news) {
  const std::lock_guard lock(mutex_);
  hooks_.news = std::move(news);
  told_ = false;
}

void Herald::stop() {
  if (!thread_.joinable()) return;
  wiring_.adverts_wanted.store(false, std::memory_order_relaxed);
  stopping_.store(true, std::memory_order_relaxed);
  wiring_.herald_bell.ring();
  thread_.join();
  const std::lock_guard lock(mutex_);
  for (const auto& [instance, repeated] : repeated_) {
    put_all(instance, repeated.advert, repeated.advert.farewell);
  }
  const bool said = !repeated_.empty();
  repeated_.clear();
  hooks_ = {};
  const uint64_t limit = now_ns() + kFarewellNs;
  while (said && !wiring_.said.empty() && now_ns() < limit) rte_delay_us_sleep(100);
}

void Herald::run() {
  pthread_setname_np(pthread_self(), "sluice-herald");
  prctl(PR_SET_TIMERSLACK, 1);
  keep_off(busy_cpus_);
  take_precedence();
  while (!stopping_.load(std::memory_order_relaxed)) {
    hear();
    const uint64_t now = now_ns();
    watch_lease(now);
    speak(now);
    watch_alarm(now);
    watch_departure(now);
    watch_haste(now);
    remark(now);
    wait();
  }
  hooks_.hurry(0);
}

void Herald::hear() {
  rte_mbuf* packets[kFrames];
  bool any = false;
  for (uint16_t n; (n = wiring_.adverts.pop(packets, kFrames)) != 0;) {
    const uint64_t now = now_ns();
    const std::lock_guard lock(mutex_);
    for (uint16_t i = 0; i < n; ++i) {
      if (heard_.size() < kMostHeard) {
        const auto* at = rte_pktmbuf_mtod(packets[i], const uint8_t*);
        heard_.push_back({now, packets[i]->port, Frame(at, at + packets[i]->data_len)});
      } else {
        ++lost_;
      }
    }
    rte_pktmbuf_free_bulk(packets, n);
    any = true;
  }
  if (any) tell();
}

void Herald::speak(uint64_t now) {
  const std::lock_guard lock(mutex_);
  if (in_lapse_) return;
  for (auto& [instance, repeated] : repeated_) {
    if (repeated.next_ns > now) continue;
    if (due_ns_ == 0) due_ns_ = repeated.next_ns;
    put_all(instance, repeated.advert, repeated.advert.frames);
    repeated.next_ns += repeated.advert.interval_ns;
    // Late by more than a beat: what was missed is not made up for.
    if (repeated.next_ns <= now) repeated.next_ns = now + repeated.advert.interval_ns;
  }
}

void Herald::watch_lease(uint64_t now) {
  {
    const std::lock_guard lock(mutex_);
    if (in_lapse_ || lease_ns_ == 0 || now < lease_ns_) return;
    in_lapse_ = lapsed_ = true;
    for (const auto& [instance, repeated] : repeated_) {
      // Found out too late, since the whole process was stopped: somebody else is the master by
      // now, and a farewell would make the others elect again.
      if (now - lease_ns_ < repeated.advert.interval_ns) {
        put_all(instance, repeated.advert, repeated.advert.farewell);
      }
    }
    repeated_.clear();
    remarks_.clear();
  }
  if (hooks_.lapsed) hooks_.lapsed();
  tell();
}

void Herald::watch_alarm(uint64_t now) {
  {
    const std::lock_guard lock(mutex_);
    if (alarm_ns_ == 0 || now < alarm_ns_) return;
    if (looking_since_ == 0) {
      looking_since_ = rte_rdtsc();
      asked_ns_ = now;
      for (Bell& bell : wiring_.worker_bells) bell.ring();
      return;
    }
    if (!hooks_.have_looked_since(looking_since_)) return;
    looking_since_ = 0;
    if (now - alarm_ns_ >= kStallNs && graces_ < kMostGraces) {
      ++graces_;
      alarm_ns_ = now + kGraceNs;
      return;
    }
    alarm_ns_ = 0;
  }
  hear();
  {
    const std::lock_guard lock(mutex_);
    complete_ns_ = asked_ns_;
    told_ = false;
  }
  succeed();
  tell();
}

// In the order in which JavaScript does it: adverts, what is published, gratuitous ARP.
void Herald::succeed() {
  Succession now;
  {
    const std::lock_guard lock(mutex_);
    if (!decided_ || in_lapse_ || !heard_.empty() || lost_ != 0) return;
    if (succession_.adverts.empty() || is_cut_off()) return;
    std::swap(now, succession_);
    succeeded_ = true;
    decided_ = false;
    const uint64_t at = now_ns();
    for (auto& [instance, advert] : now.adverts) {
      put_all(instance, advert, advert.frames);
      const uint64_t next = at + advert.interval_ns;
      repeated_[instance] = {std::move(advert), next};
    }
  }
  now.publish();
  {
    const std::lock_guard lock(mutex_);
    for (Remark& one : now.remarks) {
      if (one.port < ports_) remarks_.push_back(std::move(one));
    }
  }
  remark(now_ns());
}

bool Herald::is_cut_off() const {
  return std::ranges::any_of(succession_.adverts,
                             [this](const auto& one) { return !hooks_.is_up(one.second.port); });
}

void Herald::watch_departure(uint64_t now) {
  bool late = false;
  {
    const std::lock_guard lock(mutex_);
    if (leaving_since_ == 0) return;
    const bool hopeless = now > left_ns_ && now - left_ns_ >= kHopelessNs;
    if (!hopeless && !hooks_.has_sent_since(leaving_since_)) return;
    leaving_since_ = 0;
    const uint64_t after = due_ns_ == 0 || now < due_ns_ ? 0 : now - due_ns_;
    due_ns_ = 0;
    late_ns_ = std::max(late_ns_, after);
    late = after >= kLateNs;
  }
  if (late) tell();
}

void Herald::remark(uint64_t now) {
  const std::lock_guard lock(mutex_);
  if (remarks_.empty() || now < remark_ns_) return;
  for (unsigned i = 0; i < kRemarks && !remarks_.empty(); ++i) {
    // No room, or no buffer: worker 0 is behind.
    if (!put(remarks_.front().port, buffer_of(remarks_.front().frame))) break;
    remarks_.pop_front();
  }
  remark_ns_ = now + kRemarksApartNs;
  wiring_.worker_bells[0].ring();
}

// A worker that keeps adverts or the alarm waiting.
void Herald::watch_haste(uint64_t now) {
  const std::lock_guard lock(mutex_);
  const auto is_late = [now](uint64_t since) {
    return now >= since + kPatienceNs && now < since + kHopelessNs;
  };
  uint64_t wanted = 0;
  if (leaving_since_ != 0 && is_late(left_ns_)) wanted = leaving_since_;
  if (looking_since_ != 0 && is_late(asked_ns_)) wanted = std::max(wanted, looking_since_);
  if (wanted != 0 || in_haste_) hooks_.hurry(wanted);
  in_haste_ = wanted != 0;
}

// Once until somebody takes it.
void Herald::tell() {
  std::function<void()> news;
  {
    const std::lock_guard lock(mutex_);
    if (told_) return;
    told_ = true;
    news = hooks_.news;
  }
  if (news) news();
}

uint64_t Herald::deadline() const {
  uint64_t first = UINT64_MAX;
  if (!in_lapse_) {
    for (const auto& [instance, repeated] : repeated_) first = std::min(first, repeated.next_ns);
    if (lease_ns_ != 0) first = std::min(first, lease_ns_);
  }
  if (!remarks_.empty()) first = std::min(first, remark_ns_);
  if (in_haste_) first = std::min(first, now_ns() + kLookAgainNs);
  if (leaving_since_ != 0)
    first = std::min(first, std::max(now_ns() + kLookAgainNs, left_ns_ + kPatienceNs));
  if (looking_since_ != 0) {
    first = std::min(first, now_ns() + kLookAgainNs);
  } else if (alarm_ns_ != 0) {
    first = std::min(first, alarm_ns_);
  }
  return first;
}

void Herald::wait() {
  Bell& bell = wiring_.herald_bell;
  bell.listen();
  uint64_t until;
  {
    const std::lock_guard lock(mutex_);
    until = deadline();
  }
  const uint64_t now = now_ns();
  const bool work = !wiring_.adverts.empty() || stopping_.load(std::memory_order_relaxed);
  const uint64_t ns = work || until <= now ? 0 : std::min(until - now, uint64_t{1'000'000'000});
  const timespec timeout{static_cast<time_t>(ns / 1'000'000'000),
                         static_cast<long>(ns % 1'000'000'000)};
  pollfd polled{bell.fd(), POLLIN, 0};
  const int ready = ppoll(&polled, 1, &timeout, nullptr);
  bell.hush();
  if (ready > 0) bell.answer();
}

rte_mbuf* Herald::buffer_of(const Frame& frame) {
  rte_mbuf* packet = rte_pktmbuf_alloc(mbufs_);
  if (packet == nullptr) return nullptr;
  char* at = rte_pktmbuf_append(packet, static_cast<uint16_t>(frame.size()));
  if (at == nullptr) {
    rte_pktmbuf_free(packet);
    return nullptr;
  }
  std::memcpy(at, frame.data(), frame.size());
  return packet;
}

bool Herald::put(uint16_t port, rte_mbuf* packet) {
  if (packet == nullptr) return false;
  packet->port = port;
  if (port < ports_ && wiring_.said.push(&packet, 1) == 1) return true;
  rte_pktmbuf_free(packet);
  return false;
}

void Herald::put_all(uint32_t instance, const Advert& advert, const std::vector<Frame>& frames) {
  const bool sealed = advert.seal.kind != SealKind::none;
  for (const Frame& frame : frames) {
    rte_mbuf* packet = buffer_of(frame);
    if (sealed && packet != nullptr) {
      uint64_t& last = sequences_[instance];
      last = next_sequence(advert.seal.kind, last, wall_ns());
      put_seal(advert.seal, last, rte_pktmbuf_mtod(packet, uint8_t*), frame.size());
    }
    put(advert.port, packet);
  }
  wiring_.worker_bells[0].ring();
  if (leaving_since_ == 0) left_ns_ = now_ns();
  leaving_since_ = rte_rdtsc();
}

}  // namespace sluice
