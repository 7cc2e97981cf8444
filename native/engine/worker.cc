#include "worker.h"

#include <algorithm>

#include "list_record.h"
#include "table/worth.h"
#include "worker6.h"

namespace sluice {
namespace {

HashKey hash_key(uint64_t seed) {
  uint64_t state = seed;
  const uint64_t a = mix64(state), b = mix64(state), c = mix64(state);
  return {a, b, c, mix64(state)};
}

// (LIP, RIP, rport, protocol) sets at once: every server with 16 local addresses, but no more
// than there can be connections. A set costs memory once it has one.
uint32_t port_sets(const Limits& limits) {
  constexpr uint64_t kLocals = 16;
  return static_cast<uint32_t>(
      std::min(limits.max_servers * kLocals, uint64_t{limits.max_connections}) + 64);
}

}  // namespace

Worker::Worker(const WorkerOptions& options, Sink& sink)
    : options_(options),
      sink_(sink),
      counters_(options.counters, CounterOffsets::of(options.ports, options.limits)),
      table_(options.limits.max_connections, hash_key(options.seed)),
      wheel_(table_),
      local_ports_(PortShare(options.steering, options.index, options.workers),
                   port_sets(options.limits), options.seed ^ options.index),
      expendables_(options.limits.max_connections),
      templates_(options.limits.max_connections, options.seed),
      cookies_(options.cookie_seed, options.cookie_base_ms),
      feed_(options.limits.max_connections),
      schedulers_(options.limits.max_services),
      scheduler_own_(options.seed ^ (uint64_t{options.index} << 32), now_ms_),
      overloaded_(options.limits.max_servers),
      local_cursor_(options.limits.max_services),
      fragments_(make_fragments()),
      random_(options.seed + options.index),
      ip_id_(static_cast<uint32_t>(mix64(random_))),
      calls_(options.limits.max_connections, ~options.seed),
      held_(options.limits.max_connections) {
  six_ = std::make_unique<Worker6>(*this);
  if (options.port_half >= 0) local_ports_.slice(static_cast<unsigned>(options.port_half));
  for (uint16_t port = 0; port < options.ports; ++port) {
    if (options.steering != nullptr && options.spreads[port]) calibrations_[port].start();
  }
  for (Packet& packet : burst_) packet.record = &nobody_;
}

Worker::~Worker() {
  auto drain = [](Out& out) {
    for (uint16_t i = 0; i < out.n; ++i) rte_pktmbuf_free(out.mbufs[i]);
  };
  for (Out& out : to_port_) drain(out);
  for (Out& out : to_twin_) drain(out);
  for (Out& out : to_worker_) drain(out);
}

void Worker::begin(uint64_t now_ms, const Snapshot* snapshot, const Fib* fib) {
  if (!started_) {
    wheel_.start(now_ms);
    six_->start(now_ms);
    started_ = true;
  }
  now_ms_ = now_ms;
  // Addresses of what was published may come again, so generations are compared as well.
  const bool new_fib = fib != fib_ || fib->generation() != fib_generation_;
  if (new_fib || snapshot != snapshot_ || snapshot->generation() != snapshot_generation_) {
    take_note(snapshot, fib, new_fib);
  }
}

void Worker::receive(uint16_t port, rte_mbuf** packets, uint16_t n) {
  run(port, packets, n, false);
  uint64_t* counted = counters_.port(port);
  counters_.add(Extra::received, n);
  counted[kRxPackets] += n;
}

void Worker::receive_handed_off(rte_mbuf** packets, uint16_t n) {
  run(0, packets, n, true);
}

void Worker::take_note(const Snapshot* snapshot, const Fib* fib, bool new_fib) {
  epoch_.advance(new_fib);
  snapshot_ = snapshot;
  if (some_rest_) think_again_of_thresholds();
  fib_ = fib;
  snapshot_generation_ = snapshot->generation();
  fib_generation_ = fib->generation();
  if (!std::equal(timeouts_, timeouts_ + kStates, snapshot->timeouts())) {
    std::copy_n(snapshot->timeouts(), kStates, timeouts_);
    relink_cursor_ = 0;
    six_->timeouts_changed();
  }
  for (uint16_t port = 0; port < options_.ports; ++port) {
    plain_[port] = net::PlainFrame(fib->port(port).mac);
  }
}

// As LVS when a server is edited: a threshold that was raised or taken away ends its rest, also
// when it is as before by the time that a connection asks.
void Worker::think_again_of_thresholds() {
  some_rest_ = false;
  for (uint32_t slot = 0; slot < overloaded_.size(); ++slot) {
    uint32_t& reached = overloaded_[slot];
    if (reached == 0) continue;
    if (const Server* server = snapshot_->server_of_slot(slot); server != nullptr) {
      reached = server->upper > reached ? 0 : server->upper;
    }
    some_rest_ |= reached != 0;
  }
}

inline void Worker::run(uint16_t port, rte_mbuf** mbufs, uint16_t n, bool handed_off) {
#pragma GCC unroll 8
  for (unsigned i = 0; i < n; ++i) {
    auto* const frame = rte_pktmbuf_mtod(mbufs[i], net::Ethernet*);
    __builtin_prefetch(frame);
    burst_[i].ip = reinterpret_cast<net::Ipv4*>(frame + 1);
  }
  auto group_at = [&](unsigned at) {
    const auto size = static_cast<uint16_t>(std::min<unsigned>(kGroup, n - at));
    return Group{burst_ + at, mbufs + at, size, port, handed_off};
  };
  unsigned at = 0;
  parse(group_at(0));
  for (; at + kGroup < n; at += kGroup) {
    parse(group_at(at + kGroup));
    lookup(group_at(at));
  }
  for (unsigned i = 0; i < kRecordsAhead; ++i) __builtin_prefetch(burst_[i].record, 1);
  lookup(group_at(at));
  process({burst_, mbufs, n, port, handed_off});
  if (six_waits_) [[unlikely]]
    run_six();
}

void Worker::run_six() {
  six_waits_ = false;
  six_->run();
}

uint32_t Worker::connections() const {
  return std::max(table_.size(), six_->connections());
}

bool Worker::keep_house(unsigned budget) {
  expire_fragments();
  if (relink_cursor_ != kNone) relink(budget);
  // A connection is buried when the memory it has left its traces in has had time to come.
  Leaving leaving[kLeaving];
  unsigned in = 0, out = 0;
  bool done = wheel_.advance(now_ms_, budget, [&](uint32_t record) {
    const Record& c = table_[record];
    if (is_idle(c)) [[likely]] {
      if (in - out == kLeaving) bury(leaving[out++ % kLeaving], Extra::connections_expired);
      leave(record, leaving[in++ % kLeaving]);
      return;
    }
    if (is_waiting(c) && c.state == State::syn_recv) [[unlikely]] {
      if (ask_again(record)) return;
      if (in - out == kLeaving) bury(leaving[out++ % kLeaving], Extra::connections_expired);
      leave(record, leaving[in++ % kLeaving]);
      return;
    }
    // In use after a whole timeout, and in the cache just now: a good time to find that out.
    if (worth_of(c) == Worth::assured) expendables_.remove(record);
    wheel_.add(record, now_ms_ + timeout_of(c.state) - idle_ms(c));
  });
  while (out != in) bury(leaving[out++ % kLeaving], Extra::connections_expired);
  done = six_->housekeep(budget) && done;
  expired_at_ms_ = done ? now_ms_ : kNever;
  if (feed_.on()) [[unlikely]]
    done = synchronise() && done;
  return done;
}

// New timeouts may bring deadlines forward, which the wheel would find out too late: every record
// is put in its place again, some at a time.
void Worker::relink(unsigned budget) {
  const uint32_t end = table_.high_water();
  for (; relink_cursor_ < end; ++relink_cursor_) {
    if (budget-- == 0) return;
    if (!table_.is_live(relink_cursor_)) continue;
    const Record& c = table_[relink_cursor_];
    if (is_waiting(c)) continue;
    const uint32_t idle = idle_ms(c);
    const uint32_t timeout = timeout_of(c.state);
    wheel_.remove(relink_cursor_);
    wheel_.add(relink_cursor_, now_ms_ + (timeout > idle ? timeout - idle : 0));
  }
  relink_cursor_ = kNone;
}

void Worker::flush() {
  for (uint16_t port = 0; port < options_.ports; ++port) {
    if (to_port_[port].n != 0) flush_port(port);
    if (to_twin_[port].n != 0) flush_punt(port);
  }
  if (options_.workers == 1) return;
  for (uint16_t worker = 0; worker < options_.workers; ++worker) {
    if (to_worker_[worker].n != 0) flush_hand_off(worker);
  }
}

void Worker::destroy(uint32_t record, Extra why) {
  wheel_.remove(record);
  Leaving leaving;
  leave(record, leaving);
  bury(leaving, why);
}

// Where a connection's tuples and port are, and the memory asked for them.
inline void Worker::leave(uint32_t record, Leaving& leaving) {
  const Record& c = table_[record];
  if (feed_.on()) [[unlikely]]
    feed_.prefetch_notes(record);
  leaving.record = record;
  expendables_.ask_for(record);  // by the connection that takes its place
  leaving.request = table_.hash(c, Direction::request);
  table_.prefetch_bucket(leaving.request);
  leaving.reply = 0;
  if (c.has(kHasReplyTuple)) {
    leaving.reply = table_.hash(c, Direction::reply);
    table_.prefetch_bucket(leaving.reply);
  }
  leaving.port.entry = kNone;
  if (c.has(kOwnsLocalPort)) {
    leaving.port = local_ports_.find({c.laddr, c.raddr, c.rport, c.protocol()}, c.lport);
  }
}

inline void Worker::bury(const Leaving& leaving, Extra why) {
  const uint32_t record = leaving.record;
  const Record& c = table_[record];
  if (feed_.on()) [[unlikely]]
    note_end(record, why);
  if (c.state == State::syn_recv) [[unlikely]]
    note_half_open_end(record, why);
  table_.erase(record, Direction::request, leaving.request);
  if (leaving.reply != 0) table_.erase(record, Direction::reply, leaving.reply);
  local_ports_.give(leaving.port);
  if (c.is_signpost()) [[unlikely]]
    return table_.release(record);
  if (snapshot_->has_persistence()) leave_template(record);
  --counters_.server(c.server)[c.has(kCountedActive) ? kActive : kInactive];
  if (overloaded_[c.server] != 0) [[unlikely]]
    relieve(c.server);
  counters_.add(why);
  counters_.add(Extra::connections, -1);
  table_.release(record);
}

// LVS: a server that has reached its upper threshold rests until its connections are fewer than
// the lower one, or than three quarters of the upper if there is no lower.
void Worker::relieve(uint32_t slot) {
  const Server* server = snapshot_->server_of_slot(slot);
  const uint64_t connections = connections_of(slot);
  const bool rests = server != nullptr && server->upper != 0 &&
                     (server->lower != 0 ? connections >= server->lower
                                         : connections * 4 >= uint64_t{server->upper} * 3);
  if (!rests) overloaded_[slot] = 0;
}

namespace {

constexpr uint32_t kMostSeen = 65536;  // records a page looks at
// Of a cursor: IPv4's connections are done, or all that is IPv4's, or all but calls.
constexpr uint32_t kInTemplates = 1u << 31, kInSix = 1u << 30, kInCalls = 1u << 29;

}  // namespace

uint32_t Worker::list(uint32_t cursor, uint32_t limit, std::vector<uint8_t>& out) const {
  const uint32_t behind_six = snapshot_->has_engines() ? kInCalls : 0;
  if (cursor & kInSix) {
    const uint32_t next = six_->list(cursor & ~kInSix, limit, out);
    return next == 0 ? behind_six : next | kInSix;
  }
  if (cursor & kInCalls) return list_calls(cursor & ~kInCalls, limit, out);
  const bool templates = (cursor & kInTemplates) != 0;
  const uint32_t end = templates ? templates_.places() : table_.high_water();
  uint32_t at = cursor & ~kInTemplates, found = 0;
  for (uint32_t seen = 0; at < end && found < limit && seen < kMostSeen; ++at, ++seen) {
    found += templates ? list_template(templates_[at], out) : list_connection(at, out);
  }
  if (at < end) return at | (cursor & kInTemplates);
  if (!templates && snapshot_->has_persistence()) return kInTemplates;
  return six_->has_listing() ? kInSix : behind_six;
}

uint32_t Worker::list_calls(uint32_t at, uint32_t limit, std::vector<uint8_t>& out) const {
  for (uint32_t seen = 0, found = 0; at < calls_.places() && found < limit && seen < kMostSeen;
       ++at, ++seen) {
    found += list_call(at, out);
  }
  return at < calls_.places() ? at | kInCalls : 0;
}

unsigned Worker::list_connection(uint32_t record, std::vector<uint8_t>& out) const {
  if (!table_.is_live(record) || table_[record].is_signpost()) return 0;
  const Record& c = table_[record];
  const WideAddress* tunnel_end =
      is_stand_in(c.raddr) ? snapshot_->tunnel_end_of_slot(c.server) : nullptr;
  ListRecord::of(c, idle_ms(c), timeout_of(c.state), tunnel_end).add_to(out);
  return 1;
}

// As LVS lists it: a connection in state NONE from the network's port 0.
unsigned Worker::list_template(const TemplateOf<V4>& one, std::vector<uint8_t>& out) const {
  const Service* service = snapshot_->service_of_slot(one.service);
  const Server* server = snapshot_->server_of_slot(one.server);
  if (!one.is_live(now_ms_) || service == nullptr || server == nullptr) return 0;
  if (service->persistence_ms == 0 || service->engine != wire::kNoEngine ||
      one.part != service->client_part)
    return 0;
  // In place of an address a mark, as in LVS.
  const be32 virtual_end = service->mark != 0 ? to_be(service->mark) : service->address;
  const WideAddress* tunnel_end = snapshot_->tunnel_end_of_slot(one.server);
  const ListRecord listed =
      tunnel_end != nullptr
          ? ListRecord::of(one, *service, virtual_end, *server, *tunnel_end, now_ms_)
          : ListRecord::of(one, *service, virtual_end, *server, server->address, now_ms_);
  listed.add_to(out);
  return 1;
}

// Of either family.
unsigned Worker::list_call(uint32_t place, std::vector<uint8_t>& out) const {
  const TemplateOf<V6>& one = calls_[place];
  sync::Call told;
  if (!one.is_live(now_ms_) || !describe_call(place, told)) return 0;
  const Service& service = *snapshot_->service_of_slot(one.service);
  // Told as a stand-in.
  const WideAddress* tunnel_end = told.six ? nullptr : snapshot_->tunnel_end_of_slot(one.server);
  ListRecord::of(one, told.network, told.six, service, told.virtual_end,
                 *snapshot_->server_of_slot(one.server),
                 tunnel_end != nullptr ? *tunnel_end : told.server, now_ms_)
      .add_to(out, service.engine, calls_.call(place).text());
  return 1;
}

}  // namespace sluice
