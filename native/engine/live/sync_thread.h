// The thread that tells the other director of connections, and hears of its. It belongs to the
// engine, and so goes on whatever becomes of the control plane; workers never wait for it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../steering.h"
#include "../sync/exchange.h"
#include "event.h"
#include "publisher.h"
#include "sync_socket.h"
#include "wiring.h"

namespace sluice {

struct SyncOptions {
  sync::Settings settings;
  SyncSocketOptions socket;
};

class SyncThread {
 public:
  // Opens the socket and starts. Throws ERR_SYNC_SOCKET. Everything given outlives this.
  // `first_cycle`: of the workers' clocks.
  SyncThread(const SyncOptions& options, std::vector<sync::Feeds> feeds, const Steering* steering,
             Publisher& publisher, Wiring& wiring, EventHandler handler,
             std::vector<unsigned> busy_cpus, uint64_t first_cycle);
  ~SyncThread();
  SyncThread(const SyncThread&) = delete;
  SyncThread& operator=(const SyncThread&) = delete;

  const SyncOptions& options() const { return options_; }
  const sync::ExchangeFigures& figures() const { return exchange_->figures(); }
  uint64_t send_errors() const { return send_errors_.load(std::memory_order_relaxed); }

 private:
  void run();
  bool receive();
  void send();
  void reopen();
  void report();
  void wait(bool worked);
  uint64_t now_ms() const;
  void log(Event::Level level, std::string message, std::string code = "");

  const SyncOptions options_;
  Publisher& publisher_;
  Wiring& wiring_;
  EventHandler handler_;
  const std::vector<unsigned> busy_cpus_;
  const uint64_t first_cycle_;
  std::unique_ptr<SyncSocket> socket_;  // none: its interface has gone
  std::unique_ptr<sync::Exchange> exchange_;
  uint64_t peers_ = 0, bulks_ = 0;
  unsigned idle_rounds_ = 0;
  uint64_t opened_ms_ = 0;
  bool complained_ = false;
  std::atomic<uint64_t> send_errors_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace sluice
