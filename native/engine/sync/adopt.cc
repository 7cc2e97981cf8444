// What a peer has told becomes connections. See worker.cc.
//
// Where both directors claim a tuple, the connection that saw a packet last is the true one.
#include <algorithm>

#include "../mode/mode.h"
#include "../mode/mode6.h"
#include "../table/worth.h"
#include "../worker6.h"

namespace sluice {

using sync::Tale;

namespace {

constexpr unsigned kAdoptions = 32;  // a turn: some 10 us when every record misses the cache
// An inherited connection lives at least so long: packets of it have passed between the time that
// was told and the switch.
constexpr uint32_t kInheritedMs = 30'000;

bool has_local_port(Mode mode) {
  return mode == Mode::fullnat || mode == Mode::enat;
}

template <class Family>
uint8_t notes_of_adopted(const sync::RecordOf<Family>& told) {
  if ((told.flags & sync::kInherited) == 0) return sync::kTold | sync::kTheirs;
  uint8_t notes = 0;
  if (told.flags & sync::kPeerKnows) notes |= sync::kTold;
  if (told.flags & sync::kPeerHas) notes |= sync::kTheirs;
  return notes;
}

// Tuples are set.
void keep_deltas(Connection<V4>& c) {
  mode::keep_deltas(c);
}
void keep_deltas(Connection<V6>& c) {
  mode::keep_delta(c);
}

}  // namespace

template <class Half, class Family>
bool SyncHalf<Half, Family>::adopt_told() {
  for (unsigned i = 0; i < kAdoptions; ++i) {
    const Told* told = feed().in.peek();
    if (told == nullptr) return true;
    adopt(*told);
    feed().in.drop();
  }
  return feed().in.peek() == nullptr;
}

template <class Half, class Family>
void SyncHalf<Half, Family>::adopt(const Told& told) {
  if (told.flags & sync::kInherited) return inherit(told);
  // Slots were found in a snapshot that may have been replaced since.
  if (!is_of_service(told) || (told.tale != Tale::signpost && !is_of_server(told))) {
    return sync::tally(feed().figures.refused_stale);
  }
  if (told.tale == Tale::persistence) return adopt_template(told);
  const FlowKey<Family> key{told.request, told.protocol};
  const Found found = table().find(key, table().hash(key));
  if (!found) {
    if (told.tale == Tale::end) return;
    if (told.tale == Tale::signpost) return make_signpost(told);
    if (make_room_for(told, kNone)) make_adopted(told);
    return;
  }
  const uint32_t record = found.record;
  const Flow& c = table()[record];
  // A reply's tuple that looks like a client's: whoever has it keeps it.
  if (found.direction == Direction::reply) return sync::tally(feed().figures.refused_conflict);
  const bool ours = !c.is_signpost() && (feed().notes(record) & sync::kTheirs) == 0;
  if (ours && self().idle_ms(c) <= told.idle_ms) return sync::tally(feed().figures.refused_newer);
  if (told.tale == Tale::end) {
    if (!ours) end_adopted(record, feed().figures.ended);
    return;
  }
  const bool same_kind = c.is_signpost() == (told.tale == Tale::signpost);
  const bool same = same_kind && c.server == told.server &&
                    (c.is_signpost() ||
                     (c.mode() == told.mode && c.raddr == told.reply.source &&
                      c.rport == told.reply.source_port &&
                      (!has_local_port(c.mode()) || (c.laddr == told.reply.destination &&
                                                     c.lport == told.reply.destination_port))));
  if (same) return update_adopted(record, told);
  if (told.tale == Tale::live && !make_room_for(told, record)) return;
  end_adopted(record, feed().figures.replaced);
  if (told.tale == Tale::signpost) return make_signpost(told);
  make_adopted(told);
}

template <class Half, class Family>
bool SyncHalf<Half, Family>::is_of_service(const Told& told) const {
  const Service* service = snapshot().service_of_slot(told.service);
  if constexpr (std::is_same_v<Family, V6>) {
    const Service6* six = snapshot().six().service_of_slot(told.service);
    return six != nullptr &&
           six->takes(told.request.destination, told.request.destination_port, told.protocol);
  } else {
    return service != nullptr &&
           service->takes(told.request.destination, told.request.destination_port, told.protocol);
  }
}

// It was found by its address, of a snapshot ago at the most: of IPv6 the folded one tells whether
// the slot is another server's by now.
template <class Half, class Family>
bool SyncHalf<Half, Family>::is_of_server(const Told& told) const {
  const Server* server = snapshot().server_of_slot(told.server);
  if constexpr (std::is_same_v<Family, V6>) {
    return server != nullptr && server->address == net::folded(told.reply.source);
  } else {
    return server != nullptr && server->address == told.reply.source;
  }
}

template <class Half, class Family>
void SyncHalf<Half, Family>::end_adopted(uint32_t record, std::atomic<uint64_t>& figure) {
  feed().notes(record) &= sync::kBequeathed;  // who has ended it need not be told
  sync::tally(figure);
  const bool signpost = table()[record].is_signpost();
  self().destroy(record, Extra::connections_ended_by_peer);
  if (signpost) counters().add(Extra::connections_ended_by_peer, -1);
}

// Whoever else has the tuple of its replies gives way, or it isn't adopted.
template <class Half, class Family>
bool SyncHalf<Half, Family>::make_room_for(const Told& told, uint32_t except) {
  if (told.mode == Mode::dr || told.mode == Mode::tun) return true;
  TupleOf<Family> reply = told.reply;
  if (told.mode == Mode::nat) {
    reply.destination = told.request.source;
    reply.destination_port = told.request.source_port;
  }
  const FlowKey<Family> key{reply, told.protocol};
  const Found found = table().find(key, table().hash(key));
  if (!found || found.record == except) return true;
  const bool ours = (feed().notes(found.record) & sync::kTheirs) == 0;
  if (ours && self().idle_ms(table()[found.record]) <= told.idle_ms) {
    sync::tally(feed().figures.refused_conflict);
    return false;
  }
  end_adopted(found.record, feed().figures.replaced);
  return true;
}

// Until two more sweeps have told of it, at the least, a connection that lives over there doesn't
// end here.
template <class Half, class Family>
uint32_t SyncHalf<Half, Family>::adopted_last_seen(const Told& told) const {
  const uint32_t timeout = self().timeout_of(told.state);
  const bool inherited = (told.flags & sync::kInherited) != 0;
  const uint32_t least =
      inherited ? kInheritedMs : 2 * sync::sweep_ms(feed().options(), snapshot().timeouts());
  const uint32_t grace = std::min(timeout, least);
  return static_cast<uint32_t>(now_ms()) - std::min(told.idle_ms, timeout - grace);
}

template <class Half, class Family>
void SyncHalf<Half, Family>::take_over_figures(Flow& c, const Told& told) const {
  c.last_seen_ms = adopted_last_seen(told);
  if (told.state == State::udp) {
    c.born_ms = c.last_seen_ms - told.age_ms;
  } else {
    c.server_isn1 = told.server_isn1;
  }
  if (told.flags & sync::kIsnKnown) c.flags |= kServerIsnKnown;
  c.answered = (told.flags & sync::kAnswered) != 0 ? 1 : 0;
  c.packets = told.packets;
}

template <class Half, class Family>
void SyncHalf<Half, Family>::update_adopted(uint32_t record, const Told& told) {
  Flow& c = table()[record];
  if (!c.is_signpost()) {
    uint8_t& notes = feed().notes(record);
    notes = static_cast<uint8_t>((notes & sync::kBequeathed) | sync::kTold | sync::kTheirs);
  }
  take_over_figures(c, told);
  if (is_proxied(c)) self().adopt_splice(record, told, 0);
  // The next packet here has to come by note_use().
  c.hop[0] = c.hop[1] = Fib::kNoHop;
  c.settled = 0;
  if (c.state != told.state) {
    if (c.is_signpost()) {
      c.state = told.state;
      self().wheel_.remove(record);
      self().wheel_.add(record, now_ms() + self().timeout_of(c.state));
    } else {
      self().change_state(record, told.state);
    }
  }
  sync::tally(feed().figures.updated);
}

// A record with what every kind of it has; kNone: there is no room, which is tallied.
template <class Half, class Family>
uint32_t SyncHalf<Half, Family>::begin_adopted(const Told& told) {
  uint32_t record = table().allocate();
  if (record == kNone && self().evict()) record = table().allocate();
  if (record == kNone) {
    sync::tally(feed().figures.refused_full);
    return kNone;
  }
  Flow& c = table()[record];
  c = Flow{};
  c.caddr = told.request.source;
  c.cport = told.request.source_port;
  c.vaddr = told.request.destination;
  c.vport = told.request.destination_port;
  c.server = told.server;
  c.service = static_cast<uint16_t>(told.service);
  if (told.protocol == kUdp) c.flags |= kUdpConnection;
  c.state = told.state;
  return record;
}

template <class Half, class Family>
void SyncHalf<Half, Family>::make_adopted(const Told& told) {
  const uint32_t record = begin_adopted(told);
  if (record == kNone) return;
  Flow& c = table()[record];
  c.raddr = told.reply.source;
  c.rport = told.reply.source_port;
  c.flags |= static_cast<uint8_t>(told.mode);
  c.hop[0] = c.hop[1] = Fib::kNoHop;
  take_over_figures(c, told);
  if (has_local_port(told.mode)) {
    c.laddr = told.reply.destination;
    c.lport = told.reply.destination_port;
    if (self().local_ports_.reserve(self().port_set(c), c.lport)) c.flags |= kOwnsLocalPort;
  } else if (told.mode == Mode::nat) {
    c.laddr = c.caddr;
    c.lport = c.cport;
  }
  if (told.mode != Mode::dr && told.mode != Mode::tun) {
    keep_deltas(c);
    c.flags |= kHasReplyTuple;
  }
  table().insert(record, Direction::request, table().hash({c.request(), c.protocol()}));
  if (c.has(kHasReplyTuple)) {
    table().insert(record, Direction::reply, table().hash({c.reply(), c.protocol()}));
  }
  const uint32_t timeout = self().timeout_of(c.state);
  uint64_t due = now_ms() + timeout - std::min(self().idle_ms(c), timeout);
  if (is_proxied(c)) due = self().adopt_splice(record, told, due);
  self().wheel_.add(record, due);
  if (worth_of(c) != Worth::assured) self().expendables_.add(record);
  feed().notes(record) = notes_of_adopted(told);
  // As LVS: a connection of the other director's is none that was scheduled here.
  if (is_active(c.state)) c.flags |= kCountedActive;
  ++counters().server(c.server)[is_active(c.state) ? kActive : kInactive];
  counters().add(Extra::connections_adopted);
  counters().add(Extra::connections);
  sync::tally(feed().figures.adopted);
  const Service* service = snapshot().service_of_slot(told.service);
  const Server* server = snapshot().server_of_slot(told.server);
  if (service != nullptr && server != nullptr && service->persistence_ms != 0) {
    if (service->engine == wire::kNoEngine) {
      self().keep_server(c.caddr, *service, *server, record, nullptr);
    } else {
      self().held_[record] = {};  // a template comes by itself, if the call has one
    }
  }
}

// Slots are good. Its network may be another one by this director's configuration.
template <class Half, class Family>
void SyncHalf<Half, Family>::adopt_template(const Told& told) {
  const Service& service = *snapshot().service_of_slot(told.service);
  if (service.persistence_ms == 0 || service.client_part != part_of(told)) {
    return sync::tally(feed().figures.refused_stale);
  }
  const uint32_t most = std::max<uint32_t>(service.persistence_ms, Templates::kAfterwardsMs);
  const bool adopted = templates().adopt(told.request.source, service.client_part, told.service,
                                         told.server, now_ms(), std::min(told.idle_ms, most));
  sync::tally(adopted ? feed().figures.templates_adopted : feed().figures.refused_newer);
}

// The connection's replies come to another worker, which has it: its local port is of that worker's
// share. What comes here finds its way by this.
template <class Half, class Family>
void SyncHalf<Half, Family>::make_signpost(const Told& told) {
  const uint32_t record = begin_adopted(told);
  if (record == kNone) return;
  Flow& c = table()[record];
  c.flags |= kModeMask;
  c.last_seen_ms = adopted_last_seen(told);
  table().insert(record, Direction::request, table().hash({c.request(), c.protocol()}));
  self().wheel_.add(record, now_ms() + self().timeout_of(c.state));
  sync::tally(feed().figures.signposts);
}

// A packet that has gone by a signpost and comes back has found no connection at its end.
template <class Half, class Family>
uint32_t SyncHalf<Half, Family>::follow(rte_mbuf* mbuf, uint32_t record) {
  Flow& c = table()[record];
  if (went_by_signpost(mbuf)) {
    self().destroy(record, Extra::connections_ended_by_peer);
    counters().add(Extra::connections_ended_by_peer, -1);
    return kNone;
  }
  c.last_seen_ms = static_cast<uint32_t>(now_ms());
  set_went_by_signpost(mbuf);
  return c.server;
}

bool Worker::follow_signpost(Packet& packet, uint32_t record) {
  const uint32_t worker = follow(packet.mbuf, record);
  if (worker == kNone) return false;
  give_to(static_cast<uint16_t>(worker), packet);
  return true;
}

bool Worker6::follow_signpost(Packet6& packet, uint32_t record) {
  const uint32_t worker = follow(packet.mbuf, record);
  if (worker == kNone) return false;
  give_to(static_cast<uint16_t>(worker), packet);
  return true;
}

#define SLUICE_INSTANTIATE(Half, Family)                                                        \
  template bool SyncHalf<Half, Family>::adopt_told();                                           \
  template bool SyncHalf<Half, Family>::is_of_service(const sync::RecordOf<Family>&) const;     \
  template bool SyncHalf<Half, Family>::is_of_server(const sync::RecordOf<Family>&) const;      \
  template bool SyncHalf<Half, Family>::make_room_for(const sync::RecordOf<Family>&, uint32_t); \
  template void SyncHalf<Half, Family>::make_adopted(const sync::RecordOf<Family>&);            \
  template void SyncHalf<Half, Family>::end_adopted(uint32_t, std::atomic<uint64_t>&);          \
  template void SyncHalf<Half, Family>::take_over_figures(Connection<Family>&,                  \
                                                          const sync::RecordOf<Family>&) const; \
  template uint32_t SyncHalf<Half, Family>::follow(rte_mbuf*, uint32_t);
SLUICE_INSTANTIATE(Worker, V4)
SLUICE_INSTANTIATE(Worker6, V6)
#undef SLUICE_INSTANTIATE

}  // namespace sluice
