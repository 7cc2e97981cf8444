// The live engine: ports, workers and the slow path as one thing that starts and stops. Knows
// nothing of Node. Methods are for one control thread, except those of Publisher behind publish.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../counters.h"
#include "../port/eal.h"
#include "../port/ethdev.h"
#include "../watch/watches.h"
#include "event.h"
#include "gauges.h"
#include "hand_over.h"
#include "herald.h"
#include "lcore.h"
#include "routing.h"
#include "slow_path.h"
#include "sync_thread.h"
#include "urgent_mutex.h"

namespace sluice {

struct EngineOptions {
  EalOptions eal;
  std::vector<PortOptions> ports;
  Limits limits{};
  IdleOptions idle;
  unsigned mbufs = 0;
  int port_half = -1;        // WorkerOptions
  uint64_t cookie_seed = 0;  // not 0: keys SYN cookies, as in the process before this one
  uint64_t rss_seed = 0;     // not 0: RSS is keyed by it, as it is on another director
  bool waits = false;        // another process forwards: until take_over() or go_live()
};

// What a process that takes over is given: descriptors.
struct Belongings {
  std::vector<std::pair<std::string, int>> twins;
  std::vector<int> sockets;
};

struct PortStatus {
  std::string name, device, twin;
  Mac mac;
  unsigned mtu;
  bool up;
  PortStats stats;
};

struct ConnectionPage {
  uint32_t cursor = 0;
  std::vector<uint8_t> records;
};
// The page, or nullptr when the worker ended first. On the slow path's thread.
using PageHandler = std::function<void(std::unique_ptr<ConnectionPage>)>;

class Engine {
 public:
  // Starts everything or nothing. Throws Error.
  Engine(const EngineOptions& options, EventHandler on_event);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Until then everything is the kernel's. Throws ERR_NATIVE_SNAPSHOT, ERR_NATIVE_STOPPED.
  void publish(const uint8_t* bytes, size_t n);

  size_t workers() const { return options_.eal.worker_cpus.size(); }
  // workers() blocks of CounterOffsets::words; still readable after stop().
  const uint64_t* counters() const { return counters_; }
  size_t counter_words() const { return offsets_.words * workers(); }

  void connections(unsigned worker, uint32_t cursor, uint32_t limit, PageHandler handler);
  std::vector<PortStatus> ports() const;
  std::vector<double> worker_lag_us() const;
  // Ports as the last surveys found them; each call asks for the next one.
  Gauges gauges();
  // Throws ERR_NATIVE_STOPPED.
  Watches& watches() const;

  // Connection sync. Throws ERR_SYNC_SOCKET, or ERR_SYNC_RUNNING when it runs already.
  void start_sync(const SyncOptions& options);
  void stop_sync();
  // nullptr: it doesn't run.
  const SyncThread* sync() const { return sync_thread_.get(); }
  sync::Feeds feeds(unsigned worker) const { return lcores_[worker]->worker().feeds(); }

  // To another process, or from one. Both take `fd`, a stream socket's end. Throw
  // ERR_UPGRADE_RUNNING.
  Belongings belongings() const;
  void hand_over(int fd);
  void take_over(int fd);
  // nullptr: none since the start.
  HandOver* hand_over() { return hand_over_.get(); }
  TakeOver* take_over() { return take_over_.get(); }
  // Nobody hands anything over, or the one who did has been taken back from.
  void end_hand_over();
  // One that waits forwards from now on, with what it has.
  void go_live();
  // The other process forwards, and this one ends: what it leaves on interfaces stays.
  void let_go();

  // Made when it is first asked for.
  Herald& herald();
  // What the herald publishes when `succession` is carried out, its other parts given; until the
  // next publication. Throws ERR_NATIVE_SNAPSHOT.
  void prepare(const uint8_t* bytes, size_t n, Succession succession);

  // Joins the workers and the slow path, gives twins, devices and memory back. May be repeated.
  void stop() noexcept;
  bool stopped() const { return stopped_; }

 private:
  void start(EventHandler on_event);
  void check_running() const;
  void post(size_t worker, std::unique_ptr<Letter> letter);
  void make_steering(const EventHandler& on_event);
  unsigned mbufs_needed() const;
  void give_up_roles();
  void accept_macs(const Snapshot& snapshot);
  HandOverParts hand_over_parts();

  const EngineOptions options_;
  CounterOffsets offsets_;
  uint64_t* counters_ = nullptr;
  bool stopped_ = false;
  // In the order of creation: each uses those before it.
  rte_mempool* mbufs_ = nullptr;
  rte_mempool* datagrams_ = nullptr;  // reassembled from fragments
  Ports ports_;
  std::shared_ptr<const Steering> steering_;  // nullptr: workers hand packets to one another
  std::unique_ptr<Wiring> wiring_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<Routing> routing_;
  std::vector<std::unique_ptr<Lcore>> lcores_;
  std::unique_ptr<Watches> watches_;
  std::unique_ptr<Surveys> surveys_;
  std::unique_ptr<SlowPath> slow_path_;
  EventHandler on_event_;
  std::unique_ptr<SyncThread> sync_thread_;
  UrgentMutex published_mutex_;  // of the two below, which the herald reads
  std::vector<uint8_t> published_;
  std::unique_ptr<Herald> herald_;
  std::unique_ptr<HandOver> hand_over_;
  std::unique_ptr<TakeOver> take_over_;
};

}  // namespace sluice
