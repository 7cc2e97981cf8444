#include "worker6.h"

#include "list_record.h"
#include "table/worth.h"

namespace sluice {
namespace {

// Apart from the key of IPv4's table.
HashKey key_of(uint64_t seed) {
  uint64_t state = seed ^ 0x36767069;  // "ipv6"
  const uint64_t a = mix64(state), b = mix64(state), c = mix64(state);
  return {a, b, c, mix64(state)};
}

}  // namespace

Worker6::Worker6(Worker& worker)
    : worker_(worker),
      table_(worker.options_.limits.max_connections, key_of(worker.options_.seed)),
      wheel_(table_),
      // NICs' hashes of IPv6 are not calculated: a local port's worker is told by its remainder.
      local_ports_(PortShare(nullptr, worker.options_.index, worker.options_.workers),
                   worker.options_.limits.max_connections, worker.options_.seed ^ ~uint64_t{0}),
      expendables_(worker.options_.limits.max_connections),
      templates_(worker.options_.limits.max_connections, worker.options_.seed),
      cookies_(worker.options_.cookie_seed, worker.options_.cookie_base_ms),
      feed_(worker.options_.limits.max_connections),
      held_(worker.options_.limits.max_connections) {
  const int half = worker.options_.port_half;
  if (half >= 0) local_ports_.slice(static_cast<unsigned>(half));
}

void Worker6::start(uint64_t now_ms) {
  wheel_.start(now_ms);
}

void Worker6::run() {
  const uint16_t n = std::exchange(waiting_, uint16_t{0});
  for (uint16_t i = 0; i < n; ++i) parse(burst_[i]);
  // All of a burst's records at once, two lines each, are more than a core keeps outstanding.
  constexpr uint16_t kAhead = 8;
  for (uint16_t i = 0; i < n + kAhead; ++i) {
    if (i < n) look_ahead(burst_[i]);
    if (i >= kAhead) process(burst_[i - kAhead]);
  }
}

// The packet's bucket is there by now; its tags name the record, which is asked for in turn.
void Worker6::look_ahead(Packet6& packet) const {
  if (packet.concern != Concern::flow && packet.concern != Concern::icmp_error) return;
  const uint32_t* const candidate = Table6::candidate(table_.home_bucket(packet.hash), packet.hash);
  packet.candidate = candidate == nullptr ? kNone : *candidate;
  if (candidate != nullptr) table_.prefetch_record(*candidate >> 1);
}

bool Worker6::housekeep(unsigned budget) {
  if (relink_cursor_ != kNone) relink(budget);
  const bool done = wheel_.advance(worker_.now_ms_, budget, [&](uint32_t record) {
    const Record& c = table_[record];
    const bool asks = is_waiting(c) && c.state == State::syn_recv;
    if (is_idle(c) || (asks && !ask_again(record))) {
      return bury(record, Extra::connections_expired);
    }
    if (asks) return;
    if (worth_of(c) == Worth::assured) expendables_.remove(record);
    wheel_.add(record, worker_.now_ms_ + timeout_of(c.state) - idle_ms(c));
  });
  return done && relink_cursor_ == kNone;
}

void Worker6::relink(unsigned budget) {
  const uint32_t end = table_.high_water();
  for (; relink_cursor_ < end; ++relink_cursor_) {
    if (budget-- == 0) return;
    if (!table_.is_live(relink_cursor_)) continue;
    const Record& c = table_[relink_cursor_];
    const uint32_t idle = idle_ms(c), timeout = timeout_of(c.state);
    wheel_.remove(relink_cursor_);
    wheel_.add(relink_cursor_, worker_.now_ms_ + (timeout > idle ? timeout - idle : 0));
  }
  relink_cursor_ = kNone;
}

void Worker6::destroy(uint32_t record, Extra why) {
  wheel_.remove(record);
  bury(record, why);
}

void Worker6::bury(uint32_t record, Extra why) {
  const Record& c = table_[record];
  if (feed_.on()) note_end(record, why);
  if (!c.is_signpost() && why == Extra::connections_expired && (c.packets & kFailureCounted) == 0 &&
      is_unanswered(c)) {
    ++counters().handshakes(c.server)[kUnanswered];
  }
  table_.erase(record, Direction::request, table_.hash(c, Direction::request));
  if (c.has(kHasReplyTuple)) {
    table_.erase(record, Direction::reply, table_.hash(c, Direction::reply));
  }
  if (c.has(kOwnsLocalPort)) local_ports_.give(local_ports_.find(port_set(c), c.lport));
  if (c.is_signpost()) return table_.release(record);
  if (six().has_persistence()) leave_template(record);
  --counters().server(c.server)[c.has(kCountedActive) ? kActive : kInactive];
  if (worker_.overloaded_[c.server] != 0) worker_.relieve(c.server);
  counters().add(why);
  counters().add(Extra::connections, -1);
  table_.release(record);
}

namespace {

constexpr uint32_t kInTemplates = 1u << 31;  // of a cursor: connections are done

}  // namespace

uint32_t Worker6::list(uint32_t cursor, uint32_t limit, std::vector<uint8_t>& out) const {
  constexpr uint32_t kMostSeen = 65536;
  const bool templates = (cursor & kInTemplates) != 0;
  const uint32_t end = templates ? templates_.places() : table_.high_water();
  uint32_t at = cursor & ~kInTemplates;
  for (uint32_t seen = 0, found = 0; at < end && found < limit && seen < kMostSeen; ++at, ++seen) {
    found += templates ? list_template(templates_[at], out) : list_connection(at, out);
  }
  if (at < end) return at | (cursor & kInTemplates);
  return !templates && six().has_persistence() ? kInTemplates : 0;
}

unsigned Worker6::list_connection(uint32_t record, std::vector<uint8_t>& out) const {
  if (!table_.is_live(record) || table_[record].is_signpost()) return 0;
  const Record& c = table_[record];
  ListRecord::of(c, idle_ms(c), timeout_of(c.state)).add_to(out);
  return 1;
}

// As Worker::list_template.
unsigned Worker6::list_template(const TemplateOf<V6>& one, std::vector<uint8_t>& out) const {
  const Service6* service = six().service_of_slot(one.service);
  const Server* server = snapshot().server_of_slot(one.server);
  if (!one.is_live(now_ms()) || service == nullptr || server == nullptr) return 0;
  const Service& common = *service->common;
  if (common.persistence_ms == 0 || common.engine != wire::kNoEngine ||
      one.part != common.client_part)
    return 0;
  const WideAddress* address = service->address_of(*server);
  if (address == nullptr) return 0;
  ListRecord::of(one, common, service->virtual_end(), *server, *address, now_ms()).add_to(out);
  return 1;
}

}  // namespace sluice
