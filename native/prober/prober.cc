#include "prober.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "engine/live/passage_of.h"
#include "http_status.h"

namespace sluice {
namespace {

constexpr uint32_t kNobody = UINT32_MAX;
constexpr uint32_t kBell = UINT32_MAX;  // instead of a conversation
constexpr int kEvents = 256;            // taken from the kernel at once
constexpr size_t kLongestHead = 64 << 10;

// Ours is the lack; the server has no part in it.
bool is_ours(int number) {
  return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM ||
         number == EAGAIN;
}

using Address = std::array<uint8_t, 16>;
constexpr Address kAny{};

// One end of a connection, as the kernel wants it of its family.
class End {
 public:
  End(const Address& address, uint16_t port, bool four) : four_(four) {
    if (four) {
      v4_.sin_family = AF_INET;
      std::memcpy(&v4_.sin_addr, address.data() + 12, 4);
      v4_.sin_port = port;
    } else {
      v6_.sin6_family = AF_INET6;
      std::memcpy(&v6_.sin6_addr, address.data(), address.size());
      v6_.sin6_port = port;
    }
  }
  const sockaddr* name() const {
    return four_ ? reinterpret_cast<const sockaddr*>(&v4_)
                 : reinterpret_cast<const sockaddr*>(&v6_);
  }
  socklen_t bytes() const { return four_ ? sizeof v4_ : sizeof v6_; }

 private:
  const bool four_;
  sockaddr_in v4_{};
  sockaddr_in6 v6_{};
};

// 0, or errno.
int set_up(int fd, const ProbeRequest& r) {
  // A reset frees both ends' ports at once: nothing waits in TIME_WAIT for a minute.
  const linger reset{1, 0};
  if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0) return errno;
  if (r.mark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &r.mark, sizeof r.mark) != 0) return errno;
  if (!r.interface.empty() && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, r.interface.c_str(),
                                         static_cast<socklen_t>(r.interface.size())) != 0) {
    return errno;
  }
  if (r.own_address == kAny && r.own_port == 0 && r.vip == 0) return 0;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // The port is chosen when the destination is known, so that one can serve many destinations.
  if (r.own_port == 0 && r.vip == 0)
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const End own(r.own_address, r.own_port, is_v4(r.address));
  if (bind(fd, own.name(), own.bytes()) != 0) return errno;
  if (r.vip == 0) return 0;
  uint32_t address = 0;
  std::memcpy(&address, r.address.data() + 12, sizeof address);
  return open_passage(fd, IPPROTO_TCP, address, r.vip, PassageTunnel::of(r.tunnel), r.patience_ms);
}

}  // namespace

struct Prober::Conversation {
  ProbeRequest request;
  int fd = -1;  // -1: nobody's
  bool connected = false;
  size_t sent = 0;
  std::string head;  // of the answer, as far as it has come
  uint64_t begun_us = 0;
  uint64_t heard_ms = 0;  // when the server has last done something
};

Prober::Prober(Ready ready)
    : ready_(std::move(ready)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      bell_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = kBell;
  if (epoll_ < 0 || bell_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, bell_, &event) != 0) {
    const int number = errno;
    if (epoll_ >= 0) close(epoll_);
    if (bell_ >= 0) close(bell_);
    throw std::system_error(number, std::generic_category(), "prober");
  }
  thread_ = std::thread([this] { run(); });
}

Prober::~Prober() {
  stopping_.store(true, std::memory_order_release);
  eventfd_write(bell_, 1);
  thread_.join();
  for (const Conversation& one : conversations_) {
    if (one.fd >= 0) close(one.fd);
  }
  close(epoll_);
  close(bell_);
}

void Prober::start(std::vector<ProbeRequest> requests) {
  const std::lock_guard guard(lock_);
  if (orders_.empty()) eventfd_write(bell_, 1);
  std::move(requests.begin(), requests.end(), std::back_inserter(orders_));
}

void Prober::cancel(const std::vector<uint32_t>& ids) {
  std::vector<ProbeRequest> orders(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    orders[i].id = ids[i];
    orders[i].cancels = true;
  }
  start(std::move(orders));
}

std::vector<ProbeResult> Prober::take() {
  const std::lock_guard guard(lock_);
  return std::exchange(results_, {});
}

uint64_t Prober::cpu_ns() const {
  clockid_t clock;
  timespec t{};
  if (pthread_getcpuclockid(const_cast<std::thread&>(thread_).native_handle(), &clock) == 0) {
    clock_gettime(clock, &t);
  }
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

void Prober::run() {
  pthread_setname_np(pthread_self(), "sluice-prober");
  while (!stopping_.load(std::memory_order_acquire)) {
    epoll_event events[kEvents];
    const uint64_t now_ms = now_us() / 1000;
    const int n = epoll_wait(epoll_, events, kEvents, deadlines_.idle_ms(now_ms));
    for (int i = 0; i < n; ++i) {
      if (events[i].data.u32 != kBell) progress(events[i].data.u32, events[i].events);
    }
    // What has come is heard before anybody is called late: a thread that got no CPU for a while
    // must not take servers out.
    if (n < kEvents) expire();
    take_orders();
    deliver();
  }
}

void Prober::take_orders() {
  std::vector<ProbeRequest> orders;
  {
    const std::lock_guard guard(lock_);
    if (orders_.empty()) return;
    eventfd_t rings;
    eventfd_read(bell_, &rings);
    orders.swap(orders_);
  }
  for (ProbeRequest& order : orders) {
    if (!order.cancels) {
      begin(std::move(order));
    } else if (order.id < slot_of_.size() && slot_of_[order.id] != kNobody) {
      finish(slot_of_[order.id], ProbeEnd::failed, ECANCELED);
    }
  }
}

void Prober::begin(ProbeRequest&& request) {
  if (spare_.empty()) {
    spare_.push_back(static_cast<uint32_t>(conversations_.size()));
    conversations_.emplace_back();
  }
  const uint32_t slot = spare_.back();
  spare_.pop_back();
  Conversation& c = conversations_[slot];
  c.request = std::move(request);
  c.connected = false;
  c.sent = 0;
  c.head.clear();
  c.begun_us = now_us();
  c.heard_ms = c.begun_us / 1000;
  const ProbeRequest& r = c.request;
  if (r.id >= slot_of_.size()) slot_of_.resize(r.id + 1, kNobody);
  slot_of_[r.id] = slot;
  const bool four = is_v4(r.address);
  c.fd = socket(four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c.fd < 0) {
    const int number = errno;
    return finish(slot, is_ours(number) ? ProbeEnd::not_tried : ProbeEnd::failed,
                  static_cast<uint32_t>(number));
  }
  int number = set_up(c.fd, r);
  if (number == 0) {
    const End to(r.address, r.port, four);
    number = connect(c.fd, to.name(), to.bytes()) == 0 ? 0 : errno;
    // No local port is free: with an own address or port that is what was asked for.
    if (number == EADDRNOTAVAIL && r.own_address == kAny && r.own_port == 0) number = EAGAIN;
  }
  if (number != 0 && number != EINPROGRESS) {
    return finish(slot, is_ours(number) ? ProbeEnd::not_tried : ProbeEnd::failed,
                  static_cast<uint32_t>(number));
  }
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.u32 = slot;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event);
  deadlines_.set(slot, c.heard_ms + std::min(r.timeout_ms, r.patience_ms));
}

void Prober::progress(uint32_t slot, uint32_t events) {
  Conversation& c = conversations_[slot];
  if (c.fd < 0) return;  // ended earlier in this round
  c.heard_ms = now_us() / 1000;
  if (c.connected) return events & EPOLLOUT ? ask(slot) : listen(slot);
  // A connection that stands has no error to ask for.
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    int number = 0;
    socklen_t bytes = sizeof number;
    getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &number, &bytes);
    return finish(slot, ProbeEnd::failed, static_cast<uint32_t>(number != 0 ? number : ECONNRESET));
  }
  c.connected = true;
  if (c.request.question.empty()) return finish(slot, ProbeEnd::connected, 0);
  ask(slot);
}

void Prober::ask(uint32_t slot) {
  Conversation& c = conversations_[slot];
  const std::string& question = c.request.question;
  const ssize_t n = send(c.fd, question.data() + c.sent, question.size() - c.sent, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) {
    return finish(slot, ProbeEnd::failed, static_cast<uint32_t>(errno));
  }
  if (n > 0) c.sent += static_cast<size_t>(n);
  if (c.sent < question.size()) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = slot;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
}

void Prober::listen(uint32_t slot) {
  Conversation& c = conversations_[slot];
  char part[4096];
  const ssize_t n = recv(c.fd, part, sizeof part, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n < 0) return finish(slot, ProbeEnd::failed, static_cast<uint32_t>(errno));
  if (n == 0) return finish(slot, ProbeEnd::closed, 0);
  c.head.append(part, static_cast<size_t>(n));
  const HeadState head = read_head(c.head);
  if (head.is_complete) return finish(slot, ProbeEnd::answered, head.status);
  if (head.is_wrong || c.head.size() > kLongestHead) finish(slot, ProbeEnd::not_http, 0);
}

void Prober::finish(uint32_t slot, ProbeEnd end, uint32_t detail) {
  const Conversation& c = conversations_[slot];
  const uint64_t micros = now_us() - c.begun_us;
  ended_.push_back(
      {c.request.id, end, detail, static_cast<uint32_t>(std::min<uint64_t>(micros, UINT32_MAX))});
  close_of(slot);
}

void Prober::close_of(uint32_t slot) {
  Conversation& c = conversations_[slot];
  if (c.fd >= 0) close(c.fd);
  c.fd = -1;
  deadlines_.remove(slot);
  slot_of_[c.request.id] = kNobody;
  spare_.push_back(slot);
}

// Every sign of life gives a conversation its time again, which its deadline learns when it falls
// due.
void Prober::expire() {
  const uint64_t now_ms = now_us() / 1000;
  deadlines_.advance(now_ms, [&](uint32_t slot) {
    const Conversation& c = conversations_[slot];
    const ProbeRequest& r = c.request;
    const uint64_t due = std::min(c.heard_ms + r.timeout_ms, c.begun_us / 1000 + r.patience_ms);
    if (due > now_ms) return deadlines_.set(slot, due);
    finish(slot, ProbeEnd::timed_out, c.connected ? 1 : 0);
  });
}

void Prober::deliver() {
  if (ended_.empty()) return;
  bool was_empty = false;
  {
    const std::lock_guard guard(lock_);
    was_empty = results_.empty();
    results_.insert(results_.end(), ended_.begin(), ended_.end());
  }
  ended_.clear();
  if (was_empty) ready_();
}

uint64_t Prober::now_us() const {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000 + static_cast<uint64_t>(t.tv_nsec) / 1000;
}

}  // namespace sluice
