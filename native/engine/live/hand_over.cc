#include "hand_over.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "../port/packet_socket.h"
#include "affinity.h"

namespace sluice {

using sync::Tale;
using Phase = HandOverPhase;

namespace {

// Words of the process that comes.
constexpr char kReady = 'r', kSwitch = 's', kLive = 'l';

constexpr size_t kBatch = 512;  // records: 32 KiB
// Workers that sleep are woken by their bells; one that is not on its CPU comes later.
constexpr uint64_t kDutyUs = 50'000;
constexpr uint64_t kDrainUs = 20'000;
constexpr unsigned kQuietTurns = 3;
constexpr long kShortNs = 20'000;

uint64_t now_us() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000 + static_cast<uint64_t>(t.tv_nsec) / 1000;
}

void breathe() {
  constexpr timespec kBreath{0, kShortNs};
  nanosleep(&kBreath, nullptr);
}

template <class Condition>
bool wait_for(Condition is_met, uint64_t most_us) {
  const uint64_t until = now_us() + most_us;
  while (!is_met()) {
    if (now_us() >= until) return false;
    breathe();
  }
  return true;
}

bool all_have(const HandOverParts& parts, Duty duty) {
  return std::ranges::all_of(parts.lcores,
                             [duty](const Lcore* lcore) { return lcore->duty() == duty; });
}

struct EstateLetter final : Letter {
  EstateLetter() = default;  // no estate
  EstateLetter(std::unique_ptr<sync::Estate> four, std::unique_ptr<sync::Estate6> six)
      : four(std::move(four)), six(std::move(six)) {}
  void read(Worker& worker) noexcept override { worker.leave_estates(four, six); }
  void answer(bool) override {}  // frees those that were there, on the slow path's thread
  std::unique_ptr<sync::Estate> four;
  std::unique_ptr<sync::Estate6> six;
};

}  // namespace

void HandOverParts::open_ears() const {
  for (const auto& port : ports) sluice::open_ears(port->sockets());
}

// --- the process that leaves

HandOver::HandOver(HandOverParts parts, int fd) : parts_(std::move(parts)), fd_(fd) {
  for (size_t worker = 0; worker < parts_.lcores.size(); ++worker) {
    auto four = std::make_unique<sync::Estate>();
    auto six = std::make_unique<sync::Estate6>();
    estates_.emplace_back(four.get(), six.get());
    parts_.post(worker, std::make_unique<EstateLetter>(std::move(four), std::move(six)));
  }
  thread_ = std::thread([this] { run(); });
}

HandOver::~HandOver() {
  stopping_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
  for (size_t worker = 0; worker < parts_.lcores.size(); ++worker) {
    parts_.post(worker, std::make_unique<EstateLetter>());
  }
  close(fd_);
}

void HandOver::run() {
  pthread_setname_np(pthread_self(), "sluice-leave");
  keep_off(parts_.busy_cpus);
  while (!stopping_.load(std::memory_order_relaxed) && !has_ended_) {
    const bool told = pump();
    listen(told ? 0 : 1);
    if (phase() == Phase::switching) switch_over();
  }
  if (has_ended_ && phase() != Phase::done) go_on();
}

bool HandOver::pump() {
  bool any = false;
  uint64_t told = 0, lost = 0;
  for (const auto& [four, six] : estates_) {
    told += four->told.load(std::memory_order_relaxed) + six->told.load(std::memory_order_relaxed);
    lost += four->lost.load(std::memory_order_relaxed) + six->lost.load(std::memory_order_relaxed);
    any |= pump(*four);
    any |= pump(*six);
  }
  told_.store(told, std::memory_order_relaxed);
  lost_.store(lost, std::memory_order_relaxed);
  return any;
}

template <class Family>
bool HandOver::pump(sync::EstateOf<Family>& estate) {
  constexpr bool kSix = std::is_same_v<Family, V6>;
  sync::Record head{};  // of IPv6's records
  head.tale = Tale::six;
  if (kSix) add(head);
  Tale mark = Tale::live;  // none
  size_t taken = 0;
  for (; taken < kBatch; ++taken) {
    const sync::RecordOf<Family>* record = estate.out.peek();
    if (record == nullptr) break;
    const Tale tale = record->tale;
    // One mark for all estates.
    if (tale == Tale::swept || tale == Tale::last) {
      size_t& marks = tale == Tale::swept ? swept_ : last_;
      if (++marks == 2 * estates_.size()) mark = tale;
    } else {
      add(*record);
      ++head.told_ms;
    }
    estate.out.drop();
  }
  if (kSix) std::memcpy(outgoing_.data(), &head, sizeof head);
  if (kSix && head.told_ms == 0) outgoing_.clear();
  // What was told before a mark is here before it is.
  bool calls = false;
  if constexpr (!kSix) calls = add_calls(estate);
  if (mark != Tale::live) {
    sync::Record end{};
    end.tale = mark;
    add(end);
  }
  write_all();
  return taken != 0 || calls;
}

bool HandOver::add_calls(sync::Estate& estate) {
  sync::Record head{};
  head.tale = Tale::calls;
  head.told_ms = estate.calls.size();
  if (head.told_ms == 0) return false;
  add(head);
  for (uint32_t i = 0; i < head.told_ms; ++i) {
    add(*estate.calls.peek());
    estate.calls.drop();
  }
  return true;
}

template <class Told>
void HandOver::add(const Told& told) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&told);
  outgoing_.insert(outgoing_.end(), bytes, bytes + sizeof told);
}

void HandOver::write_all() {
  const uint8_t* at = outgoing_.data();
  size_t left = outgoing_.size();
  while (left != 0 && !has_ended_ && !stopping_.load(std::memory_order_relaxed)) {
    const ssize_t n = send(fd_, at, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      at += n;
      left -= static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      pollfd polled{fd_, POLLOUT, 0};
      poll(&polled, 1, 10);
    } else if (errno != EINTR) {
      has_ended_ = true;
    }
  }
  outgoing_.clear();
}

void HandOver::listen(int wait_ms) {
  pollfd polled{fd_, POLLIN, 0};
  if (poll(&polled, 1, wait_ms) <= 0) return;
  char word = 0;
  const ssize_t n = recv(fd_, &word, 1, MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) has_ended_ = true;
  if (n != 1) return;
  if (word == kReady) phase_.store(Phase::ready, std::memory_order_release);
  if (word == kSwitch) phase_.store(Phase::switching, std::memory_order_release);
  if (word == kLive) phase_.store(Phase::done, std::memory_order_release);
}

// Its ports are deaf already.
void HandOver::switch_over() {
  parts_.slow_path.hold(true);
  wait_for([this] { return parts_.slow_path.is_held(); }, kDutyUs);
  parts_.set_duty(Duty::draining);
  // Workers that hand packets to one another are through when none has had any for some turns.
  wait_for(
      [this] {
        pump();
        return all_have(parts_, Duty::draining) &&
               std::ranges::all_of(parts_.lcores, [](const Lcore* lcore) {
                 return lcore->quiet_turns() >= kQuietTurns;
               });
      },
      kDrainUs + kDutyUs);
  parts_.set_duty(Duty::paused);
  while (last_ != 2 * estates_.size() && !has_ended_ &&
         !stopping_.load(std::memory_order_relaxed)) {
    if (!pump()) breathe();
  }
  while (phase() == Phase::switching && !has_ended_ && !stopping_.load(std::memory_order_relaxed)) {
    listen(1);
  }
}

void HandOver::go_on() {
  parts_.open_ears();
  parts_.set_duty(Duty::live);
  parts_.slow_path.hold(false);
  phase_.store(Phase::broken, std::memory_order_release);
}

void HandOver::take_back() {
  stopping_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
  go_on();
}

// --- the process that comes

TakeOver::TakeOver(HandOverParts parts, const Steering* steering, int fd)
    : parts_(std::move(parts)),
      whereabouts_(steering, static_cast<uint16_t>(parts_.lcores.size())),
      fd_(fd),
      incoming_(kBatch * sizeof(sync::Record)),
      thread_([this] { run(); }) {}

TakeOver::~TakeOver() {
  stopping_.store(true, std::memory_order_relaxed);
  thread_.join();
  close(fd_);
}

void TakeOver::switch_over(std::vector<int> theirs) {
  theirs_ = std::move(theirs);
  is_wanted_.store(true, std::memory_order_release);
}

void TakeOver::run() {
  pthread_setname_np(pthread_self(), "sluice-take");
  keep_off(parts_.busy_cpus);
  while (!stopping_.load(std::memory_order_relaxed)) {
    whereabouts_.follow(parts_.publisher.current());
    listen();
    if (has_ended_) {
      phase_.store(Phase::broken, std::memory_order_release);
      return live();
    }
    if (swept_ && phase() == Phase::copying && all_adopted() && say(kReady)) {
      phase_.store(Phase::ready, std::memory_order_release);
    }
    if (phase() == Phase::ready && is_wanted_.load(std::memory_order_acquire)) flip();
    if (last_ && all_adopted()) {
      live();
      say(kLive);
      phase_.store(Phase::done, std::memory_order_release);
      return;
    }
  }
}

void TakeOver::listen() {
  pollfd polled{fd_, POLLIN, 0};
  // What workers are still to adopt can't be waited for.
  timespec wait{0, phase() == Phase::ready ? 500'000 : kShortNs};
  if (ppoll(&polled, 1, &wait, nullptr) <= 0) return;
  const ssize_t n = recv(fd_, incoming_.data() + filled_, incoming_.size() - filled_, MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) has_ended_ = true;
  if (n <= 0) return;
  filled_ += static_cast<size_t>(n);
  size_t at = 0;
  for (;;) {
    const size_t bytes = calls_left_ != 0 ? sizeof(sync::Call)
                         : six_left_ != 0 ? sizeof(sync::Record6)
                                          : sizeof(sync::Record);
    if (filled_ - at < bytes) break;
    const uint8_t* const record = incoming_.data() + at;
    if (calls_left_ != 0) {
      --calls_left_;
      const auto call = load<sync::Call>(record);
      give(call, call.teller);
    } else if (six_left_ != 0) {
      --six_left_;
      const auto six = load<sync::Record6>(record);
      give(six, six.told_ms);
    } else {
      take(load<sync::Record>(record));
    }
    at += bytes;
  }
  std::memmove(incoming_.data(), incoming_.data() + at, filled_ - at);
  filled_ -= at;
  for (size_t worker = 0; worker < parts_.lcores.size(); ++worker) {
    if (parts_.lcores[worker]->worker().is_told()) parts_.wiring.worker_bells[worker].ring();
  }
}

void TakeOver::take(const sync::Record& record) {
  switch (record.tale) {
    case Tale::swept:
      swept_ = true;
      break;
    case Tale::last:
      last_ = true;
      break;
    case Tale::six:
      six_left_ = record.told_ms;
      break;
    case Tale::calls:
      calls_left_ = record.told_ms;
      break;
    case Tale::inherited:
    case Tale::persistence:
    case Tale::end:
      give(record, record.told_ms);
      break;
    default:
      break;
  }
}

// To the worker that had it, where there are as many: then flows have the owners that they had.
template <class Told>
void TakeOver::give(Told told, uint32_t teller) {
  received_.fetch_add(1, std::memory_order_relaxed);
  const size_t workers = parts_.lcores.size();
  const uint32_t before = teller & 0xffff, of = teller >> 16;
  if (whereabouts_.find(told) != sync::Found::here) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const size_t worker = of == workers ? before : whereabouts_.owner(told);
  Lcore& lcore = *parts_.lcores[worker];
  const sync::Feeds feeds = lcore.worker().feeds();
  while (!feeds.in_of<Told>().push(told)) {
    if (stopping_.load(std::memory_order_relaxed)) return;
    parts_.wiring.worker_bells[worker].ring();
    breathe();
  }
}

bool TakeOver::all_adopted() const {
  return std::ranges::none_of(parts_.lcores,
                              [](Lcore* lcore) { return lcore->worker().is_told(); });
}

// From the first call to the last two system calls a port: in between a frame may be taken by both,
// which is less harm than by none.
void TakeOver::flip() {
  parts_.set_duty(Duty::holding);
  wait_for([this] { return all_have(parts_, Duty::holding); }, kDutyUs);
  flipped_us_ = now_us();
  parts_.open_ears();
  deafen(theirs_);
  phase_.store(Phase::switching, std::memory_order_release);
  say(kSwitch);
}

void TakeOver::live() {
  parts_.open_ears();
  parts_.set_duty(Duty::live);
  wait_for([this] { return all_have(parts_, Duty::live); }, kDutyUs);
  if (flipped_us_ != 0) gap_us_.store(now_us() - flipped_us_, std::memory_order_relaxed);
  parts_.slow_path.hold(false);
  for (const auto& port : parts_.ports) port->take_on();
  for (const int fd : theirs_) close(fd);
  theirs_.clear();
}

bool TakeOver::say(char word) {
  if (send(fd_, &word, 1, MSG_NOSIGNAL) == 1) return true;
  has_ended_ = true;
  return false;
}

}  // namespace sluice
