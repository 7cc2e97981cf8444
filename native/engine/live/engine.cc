#include "engine.h"

#include <arpa/inet.h>
#include <rte_launch.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <random>

#include "../error.h"
#include "../snapshot_wire.h"
#include "counter_block.h"

namespace sluice {
namespace {

// Datagrams that may be on their way through the workers at once, put together from fragments.
constexpr unsigned kDatagrams = 255;

std::atomic<bool> running{false};

int run_lcore(void* lcore) {
  static_cast<Lcore*>(lcore)->run();
  return 0;
}

// A configuration with nothing in it, for the time before the first publish.
std::shared_ptr<const Snapshot> empty_snapshot(const Limits& limits, size_t ports) {
  wire::Header header{};
  header.magic = wire::kMagic;
  header.version = wire::kVersion;
  header.total = sizeof header;
  for (wire::SectionRef& section : header.sections) section.offset = sizeof header;
  return Snapshot::parse(reinterpret_cast<const uint8_t*>(&header), sizeof header, limits, ports);
}

// Adds an address with its length to what a port without a twin has.
void add_address(const std::string& text, size_t port, FibInput& to) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  const bool six = address.find(':') != std::string::npos;
  const int most = six ? 128 : 32;
  const int length = slash == std::string::npos ? most : atoi(text.c_str() + slash + 1);
  be32 four{};
  WideAddress wide{};
  void* const parsed = six ? static_cast<void*>(wide.data()) : &four;
  if (inet_pton(six ? AF_INET6 : AF_INET, address.c_str(), parsed) != 1 || length < 0 ||
      length > most) {
    throw Error("ERR_NATIVE_ARGUMENT", "address '" + text + "' is neither a.b.c.d/len nor IPv6's");
  }
  if (six) {
    to.six.addresses.push_back({wide, static_cast<uint8_t>(length), static_cast<uint8_t>(port)});
  } else {
    to.addresses.push_back({four, static_cast<uint8_t>(length), static_cast<uint8_t>(port)});
  }
}

std::unique_ptr<Tap> make_twin(const PortOptions& options, const Port& port) {
  if (options.twin.empty()) return nullptr;
  if (options.twin_fd >= 0) {
    return std::make_unique<Tap>(options.twin, options.twin_fd, options.mtu, options.addresses);
  }
  return std::make_unique<Tap>(options.twin, port.mac(), options.mtu, options.addresses);
}

struct Listing final : Letter {
  Listing(uint32_t cursor, uint32_t limit, PageHandler handler)
      : from(cursor), limit(limit), handler(std::move(handler)) {
    page->records.reserve(size_t{limit} * 96);
  }
  void read(Worker& worker) noexcept override {
    page->cursor = worker.list(from, limit, page->records);
  }
  void answer(bool was_read) override { handler(was_read ? std::move(page) : nullptr); }

  uint32_t from, limit;
  PageHandler handler;
  std::unique_ptr<ConnectionPage> page = std::make_unique<ConnectionPage>();
};

// Starts or ends a worker's part of connection sync.
struct FeedLetter final : Letter {
  explicit FeedLetter(std::optional<sync::FeedOptions> options) : options(options) {}
  void read(Worker& worker) noexcept override {
    if (options) {
      worker.start_sync(*options);
    } else {
      worker.stop_sync();
    }
  }
  void answer(bool) override {}
  const std::optional<sync::FeedOptions> options;
};

}  // namespace

Engine::Engine(const EngineOptions& options, EventHandler on_event)
    : options_(options), offsets_(CounterOffsets::of(options.ports.size(), options.limits)) {
  if (running.exchange(true)) {
    throw Error("ERR_NATIVE_EAL_STARTED", "an engine is running in this process already");
  }
  try {
    start(std::move(on_event));
  } catch (...) {
    stop();
    throw;
  }
}

Engine::~Engine() {
  stop();
}

void Engine::start(EventHandler on_event) {
  start_eal(options_.eal);
  unsigned mtu = 0;
  for (const PortOptions& port : options_.ports) mtu = std::max<unsigned>(mtu, port.mtu);
  mbufs_ = make_mbuf_pool("sluice", std::max(options_.mbufs, mbufs_needed()), mtu, true);
  datagrams_ = make_mbuf_pool("datagrams", kDatagrams, kMostFragments * mtu, true);

  // Keys the hash: from the kernel, so that no sender can aim at a bucket, nor at a worker.
  std::random_device entropy;
  auto random = [&entropy] { return uint64_t{entropy()} << 32 | entropy(); };
  const net::Toeplitz::Key rss_key =
      Steering::make_key(options_.rss_seed != 0 ? options_.rss_seed : random());

  std::vector<FibPort> fib_ports;
  FibInput own;
  Taps taps;
  WorkerOptions worker;
  worker.vip_checks = &Passages::of_process().count();
  for (const PortOptions& port : options_.ports) {
    const size_t index = ports_.size();
    PortOptions opened = port;
    opened.waits = options_.waits;
    ports_.push_back(std::make_unique<Port>(opened, workers(), mbufs_, &rss_key));
    fib_ports.push_back({ports_[index]->mac(), port.mtu});
    worker.partial_checksums[index] = ports_[index]->partial_checksums();
    taps.push_back(make_twin(port, *ports_[index]));
    if (!port.twin.empty()) continue;
    for (const std::string& text : port.addresses) add_address(text, index, own);
  }

  make_steering(on_event);
  worker.steering = steering_.get();
  std::fill_n(worker.spreads, ports_.size(), steering_ != nullptr);

  wiring_ = std::make_unique<Wiring>(workers());
  publisher_ = std::make_unique<Publisher>(workers());
  routing_ = std::make_unique<Routing>(std::move(fib_ports), std::move(own), *publisher_);
  publisher_->publish(empty_snapshot(options_.limits, ports_.size()));
  counters_ = make_counter_block(offsets_.words * workers());

  worker.workers = static_cast<uint16_t>(workers());
  worker.limits = options_.limits;
  worker.port_half = options_.port_half;
  worker.seed = random();
  using std::chrono::system_clock;
  worker.cookie_base_ms = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(system_clock::now().time_since_epoch())
          .count());
  // Two directors share the former, two processes one after the other the latter.
  worker.cookie_seed = options_.rss_seed != 0      ? options_.rss_seed
                       : options_.cookie_seed != 0 ? options_.cookie_seed
                                                   : random();
  worker.ports = ports_.size();
  worker.mbufs = mbufs_;
  worker.datagrams = datagrams_;
  for (size_t i = 0; i < workers(); ++i) {
    worker.index = static_cast<uint16_t>(i);
    worker.counters = counters_ + i * offsets_.words;
    lcores_.push_back(
        std::make_unique<Lcore>(worker, ports_, *wiring_, *publisher_, options_.idle));
  }
  surveys_ = std::make_unique<Surveys>(static_cast<unsigned>(workers()));
  std::vector<Watcher*> watchers;
  for (const auto& lcore : lcores_) watchers.push_back(&lcore->watcher());
  watches_ = std::make_unique<Watches>(std::move(watchers), ports_.size(),
                                       [this](unsigned worker, std::unique_ptr<Letter> letter) {
                                         wiring_->mail[worker].in.put(std::move(letter));
                                         wiring_->worker_bells[worker].ring();
                                       });
  for (const auto& port : ports_) {
    for (const std::string& remark : port->remarks()) {
      on_event({Event::Type::log, Event::Level::warn, remark, "", 0, -1});
    }
  }
  on_event_ = on_event;
  slow_path_ = std::make_unique<SlowPath>(ports_, std::move(taps), *wiring_, *routing_, *publisher_,
                                          mbufs_, std::move(on_event), options_.eal.worker_cpus);
  if (options_.waits) {
    for (auto& lcore : lcores_) lcore->set_duty(Duty::waiting);
    slow_path_->hold(true);
  }
  for (size_t i = 0; i < workers(); ++i) {
    if (rte_eal_remote_launch(run_lcore, lcores_[i].get(), lcore_of_worker(i)) != 0) {
      throw Error("ERR_NATIVE_EAL", "worker " + std::to_string(i) + "'s lcore is busy");
    }
  }
  slow_path_->start();
}

// What receive rings, transmit queues, the rings between threads and caches can hold at once:
// with fewer a port would stop receiving for good.
unsigned Engine::mbufs_needed() const {
  const size_t queues = options_.ports.size() * std::max<size_t>(workers(), 1);
  const size_t rings = (workers() + 2) * (workers() + 1) * Wiring::kPackets;
  return static_cast<unsigned>(queues * kMbufsPerQueue + rings + workers() * 512);
}

void Engine::check_running() const {
  if (stopped_) throw Error("ERR_NATIVE_STOPPED", "the engine has been stopped");
}

void Engine::publish(const uint8_t* bytes, size_t n) {
  check_running();
  std::shared_ptr<const Snapshot> snapshot =
      Snapshot::parse(bytes, n, options_.limits, ports_.size(), publisher_->current().get());
  // The Fib first: a new server's next hop is there when the first packet is scheduled to it.
  routing_->set_static(snapshot->fib_input(), snapshot->next_hops_wanted(),
                       snapshot->six().next_hops_wanted());
  const bool has_roles = snapshot->has_roles();
  accept_macs(*snapshot);
  // It was made from what is replaced now.
  if (herald_) herald_->prepare({});
  {
    const std::lock_guard lock(published_mutex_);
    publisher_->publish(std::move(snapshot));
    published_.assign(bytes, has_roles ? bytes + n : bytes);
  }
  wiring_->slow_path_bell.ring();  // it has the new next hops resolved
}

void Engine::accept_macs(const Snapshot& snapshot) {
  for (uint16_t port = 0; port < ports_.size(); ++port) {
    if (snapshot.has_virtual_mac(port)) ports_[port]->accept_other_macs();
  }
}

void Engine::prepare(const uint8_t* bytes, size_t n, Succession succession) {
  check_running();
  std::shared_ptr<const Snapshot> snapshot =
      Snapshot::parse(bytes, n, options_.limits, ports_.size(), publisher_->current().get());
  accept_macs(*snapshot);
  // Routes and next hops depend on no role.
  succession.publish = [this, snapshot, kept = std::vector(bytes, bytes + n)] {
    const std::lock_guard lock(published_mutex_);
    publisher_->publish(snapshot);
    published_ = kept;
  };
  herald().prepare(std::move(succession));
}

Herald& Engine::herald() {
  if (herald_) return *herald_;
  HeraldHooks hooks;
  hooks.lapsed = [this] { give_up_roles(); };
  hooks.have_looked_since = [this](uint64_t tsc) {
    return std::all_of(lcores_.begin(), lcores_.end(),
                       [tsc](const auto& lcore) { return lcore->has_looked_since(tsc); });
  };
  hooks.is_up = [this](uint16_t port) { return ports_[port]->is_up(); };
  hooks.has_sent_since = [this](uint64_t tsc) { return lcores_[0]->has_turned_since(tsc); };
  hooks.hurry = [this](uint64_t tsc) {
    for (const auto& lcore : lcores_) lcore->hurry(tsc != 0 && !lcore->has_looked_since(tsc));
  };
  herald_ = std::make_unique<Herald>(*wiring_, ports_.size(), mbufs_, std::move(hooks),
                                     options_.eal.worker_cpus);
  return *herald_;
}

// On the herald's thread: the control plane has not been heard of for as long as its lease was.
void Engine::give_up_roles() {
  const std::lock_guard lock(published_mutex_);
  if (published_.empty()) return;
  publisher_->publish(Snapshot::parse(published_.data(), published_.size(), options_.limits,
                                      ports_.size(), publisher_->current().get(), true));
}

// Every port or none: a reply may come in by any.
void Engine::make_steering(const EventHandler& on_event) {
  std::vector<RssSetup> setups;
  std::string why;
  for (const auto& port : ports_) {
    if (port->rss()) {
      setups.push_back(*port->rss());
    } else {
      why += (why.empty() ? "port '" : ", port '") + port->options().name + "' has no RSS";
    }
  }
  if (setups.empty()) return;  // virtual devices never have
  if (why.empty()) steering_ = Steering::of(setups, static_cast<uint16_t>(workers()), why);
  if (steering_) return;
  on_event({Event::Type::log, Event::Level::warn,
            "workers hand packets to one another by ring: " + why, "ERR_RSS_UNUSED", 0, -1});
}

void Engine::connections(unsigned worker, uint32_t cursor, uint32_t limit, PageHandler handler) {
  check_running();
  post(worker, std::make_unique<Listing>(cursor, limit, std::move(handler)));
}

void Engine::start_sync(const SyncOptions& options) {
  check_running();
  if (sync_thread_) throw Error("ERR_SYNC_RUNNING", "connection sync is running already");
  std::vector<sync::Feeds> feeds;
  for (const auto& lcore : lcores_) feeds.push_back(lcore->worker().feeds());
  sync_thread_ = std::make_unique<SyncThread>(options, std::move(feeds), steering_.get(),
                                              *publisher_, *wiring_, on_event_,
                                              options_.eal.worker_cpus, lcores_[0]->first_cycle());
  sync::FeedOptions feed = options.settings.feed;
  feed.tells = options.settings.tells;
  for (size_t w = 0; w < workers(); ++w) post(w, std::make_unique<FeedLetter>(feed));
}

void Engine::stop_sync() {
  if (!sync_thread_) return;
  for (size_t w = 0; w < workers(); ++w) post(w, std::make_unique<FeedLetter>(std::nullopt));
  sync_thread_.reset();
}

void Engine::post(size_t worker, std::unique_ptr<Letter> letter) {
  wiring_->mail[worker].in.put(std::move(letter));
  wiring_->worker_bells[worker].ring();
}

std::vector<PortStatus> Engine::ports() const {
  check_running();
  std::vector<PortStatus> all;
  for (const auto& port : ports_) {
    const PortOptions& o = port->options();
    all.push_back({o.name, o.device, o.twin, port->mac(), o.mtu, port->is_up(), port->stats()});
  }
  return all;
}

std::vector<double> Engine::worker_lag_us() const {
  check_running();
  std::vector<double> lags;
  for (const auto& lcore : lcores_) lags.push_back(lcore->lag_us());
  return lags;
}

Gauges Engine::gauges() {
  check_running();
  return {mbufs_->size, rte_mempool_in_use_count(mbufs_), surveys_->read(*wiring_)};
}

Watches& Engine::watches() const {
  check_running();
  return *watches_;
}

Belongings Engine::belongings() const {
  check_running();
  Belongings all;
  for (const auto& tap : slow_path_->taps()) {
    if (tap) all.twins.emplace_back(tap->name(), tap->fd());
  }
  for (const auto& port : ports_) {
    all.sockets.insert(all.sockets.end(), port->sockets().begin(), port->sockets().end());
  }
  return all;
}

HandOverParts Engine::hand_over_parts() {
  std::vector<Lcore*> lcores;
  for (const auto& lcore : lcores_) lcores.push_back(lcore.get());
  return {
      std::move(lcores),
      ports_,
      *slow_path_,
      *publisher_,
      *wiring_,
      options_.eal.worker_cpus,
      [this](size_t worker, std::unique_ptr<Letter> letter) { post(worker, std::move(letter)); }};
}

void Engine::hand_over(int fd) {
  check_running();
  if (hand_over_) throw Error("ERR_UPGRADE_RUNNING", "another process is taking over already");
  hand_over_ = std::make_unique<HandOver>(hand_over_parts(), fd);
}

void Engine::take_over(int fd) {
  check_running();
  if (take_over_) throw Error("ERR_UPGRADE_RUNNING", "this process is taking over already");
  struct NotesLetter final : Letter {
    void read(Worker& worker) noexcept override { worker.keep_notes(); }
    void answer(bool) override {}
  };
  for (size_t w = 0; w < workers(); ++w) post(w, std::make_unique<NotesLetter>());
  take_over_ = std::make_unique<TakeOver>(hand_over_parts(), steering_.get(), fd);
}

void Engine::end_hand_over() {
  if (!hand_over_) return;
  hand_over_->take_back();
  hand_over_.reset();
}

void Engine::go_live() {
  check_running();
  const HandOverParts parts = hand_over_parts();
  parts.open_ears();
  parts.set_duty(Duty::live);
  slow_path_->hold(false);
  for (const auto& port : ports_) port->take_on();
}

void Engine::let_go() {
  check_running();
  for (const auto& port : ports_) port->let_go();
}

void Engine::stop() noexcept {
  if (stopped_) return;
  stopped_ = true;
  take_over_.reset();
  hand_over_.reset();
  sync_thread_.reset();
  if (herald_) herald_->stop();
  for (auto& lcore : lcores_) lcore->stop();
  for (size_t i = 0; i < lcores_.size(); ++i) {
    rte_eal_wait_lcore(lcore_of_worker(i));
    lcores_[i]->has_ended();
  }
  if (slow_path_) {
    slow_path_->stop();
    slow_path_->return_mail();
  }
  slow_path_.reset();  // closes the twins
  herald_.reset();
  watches_.reset();
  lcores_.clear();
  routing_.reset();
  publisher_.reset();
  wiring_.reset();  // frees what lies in rings
  ports_.clear();   // frees what lies in devices
  rte_mempool_free(mbufs_);
  rte_mempool_free(datagrams_);
  mbufs_ = datagrams_ = nullptr;
  running.store(false);
}

}  // namespace sluice
