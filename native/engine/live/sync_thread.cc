#include "sync_thread.h"

#include <poll.h>
#include <rte_cycles.h>
#include <sys/prctl.h>

#include <random>

#include "affinity.h"

namespace sluice {
namespace {

// Workers' rings can't be waited for, as ringing would cost them system calls: this is how long a
// record may lie in one, while there are some and when there have been none for a while.
constexpr int kShortWaitMs = 1, kLongWaitMs = 10;
constexpr unsigned kIdleRounds = 100;
constexpr uint64_t kReopenMs = 1000;
constexpr unsigned kReceives = 16;  // batches a round, so that sending gets its turn

uint64_t entropy() {
  std::random_device device;
  for (;;) {
    const uint64_t drawn = uint64_t{device()} << 32 | device();
    if (drawn != 0) return drawn;
  }
}

// What the socket found out belongs to the settings.
sync::Settings settings_for(const SyncOptions& options, const SyncSocket& socket) {
  sync::Settings settings = options.settings;
  settings.session = entropy();
  settings.datagram_bytes = socket.datagram_bytes();
  return settings;
}

}  // namespace

SyncThread::SyncThread(const SyncOptions& options, std::vector<sync::Feeds> feeds,
                       const Steering* steering, Publisher& publisher, Wiring& wiring,
                       EventHandler handler, std::vector<unsigned> busy_cpus, uint64_t first_cycle)
    : options_(options),
      publisher_(publisher),
      wiring_(wiring),
      handler_(std::move(handler)),
      busy_cpus_(std::move(busy_cpus)),
      first_cycle_(first_cycle),
      socket_(std::make_unique<SyncSocket>(options.socket)),
      exchange_(std::make_unique<sync::Exchange>(
          settings_for(options, *socket_), std::move(feeds), steering, entropy(),
          [this](std::span<const uint8_t> datagram) {
            if (socket_) socket_->add(datagram);
          },
          [this](unsigned worker) { wiring_.worker_bells[worker].ring(); })),
      thread_([this] { run(); }) {}

SyncThread::~SyncThread() {
  stopping_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void SyncThread::run() {
  pthread_setname_np(pthread_self(), "sluice-sync");
  keep_off(busy_cpus_);
  while (!stopping_.load(std::memory_order_relaxed)) {
    exchange_->follow(publisher_.current());
    const bool heard = receive();
    const bool told = exchange_->gather(now_ms()) != 0;
    exchange_->tick(now_ms());
    send();
    report();
    wait(heard || told);
  }
}

bool SyncThread::receive() {
  bool any = false;
  for (unsigned i = 0; i < kReceives && socket_; ++i) {
    const auto datagrams = socket_->receive();
    for (const std::span<const uint8_t> datagram : datagrams) {
      exchange_->receive(datagram, now_ms());
    }
    if (datagrams.empty()) break;
    any = true;
  }
  return any;
}

// An interface may go and come again under its name: the socket is bound to the one that was.
void SyncThread::send() {
  if (!socket_) return reopen();
  const unsigned failed = socket_->send();
  if (failed == 0) return;
  sync::tally(send_errors_, failed);
  if (now_ms() - opened_ms_ >= kReopenMs) reopen();
}

void SyncThread::reopen() {
  if (now_ms() - opened_ms_ < kReopenMs) return;
  opened_ms_ = now_ms();
  socket_.reset();
  SyncSocketOptions options = options_.socket;
  try {
    socket_ = std::make_unique<SyncSocket>(options);
  } catch (const Error& error) {
    if (!complained_) log(Event::Level::warn, error.what(), error.code());
    complained_ = true;
    return;
  }
  if (complained_) log(Event::Level::info, "connection sync: the interface is back");
  complained_ = false;
}

void SyncThread::report() {
  const sync::ExchangeFigures& figures = exchange_->figures();
  const uint64_t peers = figures.peers.load(std::memory_order_relaxed);
  const uint64_t bulks = figures.bulks_done.load(std::memory_order_relaxed);
  if (peers != peers_) {
    log(peers < peers_ ? Event::Level::warn : Event::Level::info,
        "connection sync: " + std::to_string(peers) + (peers == 1 ? " peer is" : " peers are") +
            " heard");
  }
  if (bulks != bulks_)
    log(Event::Level::info, "connection sync: a peer has told everything it has");
  peers_ = peers;
  bulks_ = bulks;
}

void SyncThread::wait(bool worked) {
  if (worked) {
    idle_rounds_ = 0;
    return;
  }
  if (idle_rounds_ < kIdleRounds) ++idle_rounds_;
  pollfd polled{socket_ ? socket_->fd() : -1, POLLIN, 0};
  poll(&polled, 1, idle_rounds_ < kIdleRounds ? kShortWaitMs : kLongWaitMs);
}

uint64_t SyncThread::now_ms() const {
  return (rte_rdtsc() - first_cycle_) / (rte_get_tsc_hz() / 1000);
}

void SyncThread::log(Event::Level level, std::string message, std::string code) {
  Event event;
  event.level = level;
  event.message = std::move(message);
  event.code = std::move(code);
  handler_(std::move(event));
}

}  // namespace sluice
