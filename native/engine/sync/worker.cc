// The worker's part of connection synchronisation, between bursts and in bounded steps: what a peer
// has told becomes connections, what a peer is to know goes into the ring. See feed.h.
//
// Who carries a connection's traffic tells of it. An adopted one is the peer's until a packet of it
// comes here, which finds no next hop cached and so comes by note_use(): from then on it is told
// from here. Nothing else has to be done when a virtual address moves.
//
// Where both directors claim a tuple, the connection that saw a packet last is the true one.
#include "../worker.h"

#include <algorithm>

#include "../mode/fullnat.h"
#include "../mode/nat.h"
#include "../table/worth.h"

namespace sluice {

using sync::Tale;

namespace {

// Of each kind a turn: some 10 us at the most when every record misses the cache.
constexpr unsigned kAdoptions = 32;
constexpr unsigned kTellings = 64;
constexpr unsigned kSwept = 256;
constexpr uint32_t kAhead = 8;  // records asked for before they are read: 8 × 30 ns a record
// An inherited connection lives at least so long: packets of it have passed between the time that
// was told and the switch.
constexpr uint32_t kInheritedMs = 30'000;

uint8_t flags_of(const Connection<V4>& c) {
  uint8_t flags = 0;
  if (c.has(kServerIsnKnown)) flags |= sync::kIsnKnown;
  if (c.answered != 0) flags |= sync::kAnswered;
  return flags;
}

bool has_local_port(Mode mode) {
  return mode == Mode::fullnat || mode == Mode::enat;
}

uint8_t notes_of_adopted(const sync::Record& told) {
  if ((told.flags & sync::kInherited) == 0) return sync::kTold | sync::kTheirs;
  uint8_t notes = 0;
  if (told.flags & sync::kPeerKnows) notes |= sync::kTold;
  if (told.flags & sync::kPeerHas) notes |= sync::kTheirs;
  return notes;
}

// Often enough that what lives is told again before the shortest of its timeouts.
uint32_t sweep_ms(const sync::FeedOptions& options, const uint32_t* timeouts) {
  const uint32_t shortest = std::min(timeouts[static_cast<unsigned>(State::established)],
                                     timeouts[static_cast<unsigned>(State::udp)]);
  return std::max(1u, std::min(options.refresh_ms, shortest / 3));
}

}  // namespace

// True when there is nothing left that can be done now.
bool Worker::synchronise() {
  const bool adopted = adopt_told();
  const bool told = tell_due();
  const bool swept = tell_swept();
  const bool left = feed_.estate == nullptr || bequeath();
  return adopted && told && swept && left;
}

// --- telling

void Worker::note_change(uint32_t record) {
  uint8_t& notes = feed_.notes(record);
  notes &= static_cast<uint8_t>(~sync::kClean);
  if (!feed_.options().tells || (notes & (sync::kQueued | sync::kTheirs)) != 0) return;
  const State state = table_[record].state;
  // Handshakes that come to nothing are nobody's business.
  if (!(notes & sync::kTold) && state != State::established && state != State::udp) return;
  if (feed_.soon.add(record, now_ms_)) {
    notes |= sync::kQueued;
  } else {
    tell_peer(record, Tale::live);
  }
}

// A packet of the connection is being forwarded, for the first time since it was adopted or since
// next hops changed.
void Worker::note_use(const Record& c) {
  const Record* first = &table_[0];
  if (std::less<>{}(&c, first) || !std::less<>{}(&c, first + table_.high_water())) return;
  const auto record = static_cast<uint32_t>(&c - first);
  uint8_t& notes = feed_.notes(record);
  if ((notes & sync::kTheirs) == 0) return;
  notes &= static_cast<uint8_t>(~sync::kTheirs);
  note_change(record);
}

// Timeouts need not be told: the peer's record has the same one, from the same packet on.
void Worker::note_end(uint32_t record, Extra why) {
  uint8_t& notes = feed_.notes(record);
  const bool tell = (notes & (sync::kTold | sync::kTheirs)) == sync::kTold &&
                    why != Extra::connections_expired && feed_.options().tells;
  if (tell) tell_peer(record, Tale::end);
  if (notes & sync::kBequeathed) bequeath_end(record);
  notes = 0;
}

sync::Record Worker::as_told(uint32_t record) const {
  const Record& c = table_[record];
  sync::Record told{};
  told.request = c.request();
  told.reply = c.reply();
  told.service = c.service;
  told.server = c.server;
  if (c.state == State::udp) {
    told.age_ms = c.last_seen_ms - c.born_ms;
  } else {
    told.server_isn1 = c.server_isn1;
  }
  told.idle_ms = idle_ms(c);
  told.protocol = c.protocol();
  told.mode = c.mode();
  told.state = c.state;
  told.flags = flags_of(c);
  told.packets = c.packets;
  return told;
}

void Worker::tell_peer(uint32_t record, Tale tale) {
  sync::Record told = as_told(record);
  told.told_ms = static_cast<uint32_t>(now_ms_);
  told.tale = tale;
  if (!feed_.out.push(told)) return sync::tally(feed_.figures.overflowed);
  feed_.notes(record) |= sync::kTold;
  sync::tally(feed_.figures.told);
}

// What was noted `after_ms` ago, as it is now. UDP has to have sent a second packet by then, or by
// the time that worth.h calls lasting; TCP to be still established, unless the peer knows it.
bool Worker::tell_due() {
  const auto ask_for = [this](uint32_t record) {
    if (record == kNone) return;
    table_.prefetch_record(record);
    feed_.prefetch_notes(record);
  };
  for (sync::Queue* queue : {&feed_.soon, &feed_.later}) {
    const bool first_time = queue == &feed_.soon;
    const uint32_t wait = first_time ? feed_.options().after_ms : kLastingMs;
    for (unsigned i = 0;; ++i) {
      if (i == kTellings) return false;
      const uint32_t record = queue->take(now_ms_, wait);
      if (record == kNone) break;
      ask_for(queue->coming(kAhead));
      uint8_t& notes = feed_.notes(record);
      if ((notes & sync::kQueued) == 0) continue;  // ended meanwhile
      notes &= static_cast<uint8_t>(~sync::kQueued);
      if (notes & sync::kTheirs || !feed_.options().tells) continue;
      const Record& c = table_[record];
      if ((notes & sync::kTold) == 0) {
        if (c.state == State::udp && c.last_seen_ms == c.born_ms) {
          if (first_time && feed_.later.add(record, now_ms_)) notes |= sync::kQueued;
          continue;
        }
        if (c.state != State::udp && c.state != State::established) continue;
      }
      tell_peer(record, Tale::live);
    }
  }
  return true;
}

bool Worker::tell_swept() {
  const sync::FeedOptions& options = feed_.options();
  if (!options.tells) return true;
  sync::Feed::Sweep& sweep = feed_.sweep;
  const uint32_t wanted = feed_.sweeps_wanted.load(std::memory_order_acquire);
  if (wanted != sweep.number) sweep = {0, true, now_ms_, wanted};
  const uint32_t end = table_.high_water();
  const uint32_t period = sweep_ms(options, snapshot_->timeouts());
  const uint64_t passed = now_ms_ - sweep.started_ms;
  uint32_t target = end;
  if (!sweep.everything && passed < period) {
    target = static_cast<uint32_t>(uint64_t{end} * passed / period);
  }
  // Changes come first: a sweep leaves them room, and can wait.
  const uint32_t reserve = sync::Feed::kRing / (sweep.everything ? 2 : 4);
  const uint32_t room = feed_.out.room_now();
  const uint32_t budget = std::min(kSwept, room > reserve ? room - reserve : 0);
  uint32_t seen = 0;
  for (; sweep.at < target && seen < budget; ++sweep.at, ++seen) {
    if (sweep.at + kAhead < end) table_.prefetch_record(sweep.at + kAhead);
    const Record& c = table_[sweep.at];
    const uint8_t notes = feed_.notes(sweep.at);
    if (c.state == State::none || c.is_signpost() || notes & sync::kTheirs || is_idle(c)) continue;
    // Its packets go to the other director, which knows better.
    const Service* service = snapshot_->service_of_slot(c.service);
    if (service == nullptr || service->has(wire::kStandby)) continue;
    if (notes & sync::kTold) {
      // What has been silent for two sweeps was told so.
      if (!sweep.everything && idle_ms(c) > 2 * period) continue;
    } else if (c.state == State::udp ? c.last_seen_ms - c.born_ms < options.after_ms
                                     : c.state != State::established) {
      continue;
    } else if (notes & sync::kQueued) {
      continue;
    }
    tell_peer(sweep.at, Tale::live);
    sync::tally(feed_.figures.swept);
  }
  if (sweep.at < target) return seen < kSwept;
  if (sweep.everything) {
    sync::Record mark{};
    mark.tale = Tale::mark;
    mark.told_ms = sweep.number;
    if (!feed_.out.push(mark)) return true;
    sweep.everything = false;
  }
  if (passed >= period) sweep = {0, false, now_ms_, sweep.number};
  return true;
}

// --- adopting

bool Worker::adopt_told() {
  for (unsigned i = 0; i < kAdoptions; ++i) {
    const sync::Record* told = feed_.in.peek();
    if (told == nullptr) return true;
    adopt(*told);
    feed_.in.drop();
  }
  return feed_.in.peek() == nullptr;
}

void Worker::adopt(const sync::Record& told) {
  if (told.flags & sync::kInherited) return inherit(told);
  // Slots were found in a snapshot that may have been replaced since.
  const Service* service = snapshot_->service_of_slot(told.service);
  const bool right_service = service != nullptr && service->address == told.request.destination &&
                             service->port == told.request.destination_port &&
                             service->protocol == told.protocol;
  const Server* server =
      told.tale == Tale::signpost ? nullptr : snapshot_->server_of_slot(told.server);
  const bool right_server =
      told.tale == Tale::signpost || (server != nullptr && server->address == told.reply.source);
  if (!right_service || !right_server) return sync::tally(feed_.figures.refused_stale);

  const FlowKey<V4> key{told.request, told.protocol};
  const Found found = table_.find(key, table_.hash(key));
  if (!found) {
    if (told.tale == Tale::end) return;
    if (told.tale == Tale::signpost) return make_signpost(told);
    if (make_room_for(told, kNone)) make_adopted(told);
    return;
  }
  const uint32_t record = found.record;
  const Record& c = table_[record];
  // A reply's tuple that looks like a client's: whoever has it keeps it.
  if (found.direction == Direction::reply) return sync::tally(feed_.figures.refused_conflict);
  const bool ours = !c.is_signpost() && (feed_.notes(record) & sync::kTheirs) == 0;
  if (ours && idle_ms(c) <= told.idle_ms) return sync::tally(feed_.figures.refused_newer);
  if (told.tale == Tale::end) {
    if (!ours) end_adopted(record, feed_.figures.ended);
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
  end_adopted(record, feed_.figures.replaced);
  if (told.tale == Tale::signpost) return make_signpost(told);
  make_adopted(told);
}

void Worker::end_adopted(uint32_t record, std::atomic<uint64_t>& figure) {
  feed_.notes(record) &= sync::kBequeathed;  // who has ended it need not be told
  sync::tally(figure);
  const bool signpost = table_[record].is_signpost();
  destroy(record, Extra::connections_ended_by_peer);
  if (signpost) counters_.add(Extra::connections_ended_by_peer, -1);
}

// Whoever else has the tuple of its replies gives way, or it isn't adopted.
bool Worker::make_room_for(const sync::Record& told, uint32_t except) {
  if (told.mode == Mode::dr || told.mode == Mode::tun) return true;
  TupleOf<V4> reply = told.reply;
  if (told.mode == Mode::nat) {
    reply.destination = told.request.source;
    reply.destination_port = told.request.source_port;
  }
  const FlowKey<V4> key{reply, told.protocol};
  const Found found = table_.find(key, table_.hash(key));
  if (!found || found.record == except) return true;
  const bool ours = (feed_.notes(found.record) & sync::kTheirs) == 0;
  if (ours && idle_ms(table_[found.record]) <= told.idle_ms) {
    sync::tally(feed_.figures.refused_conflict);
    return false;
  }
  end_adopted(found.record, feed_.figures.replaced);
  return true;
}

// Until two more sweeps have told of it, at the least, a connection that lives over there doesn't
// end here.
uint32_t Worker::adopted_last_seen(const sync::Record& told) const {
  const uint32_t timeout = timeout_of(told.state);
  const bool inherited = (told.flags & sync::kInherited) != 0;
  const uint32_t least =
      inherited ? kInheritedMs : 2 * sweep_ms(feed_.options(), snapshot_->timeouts());
  const uint32_t grace = std::min(timeout, least);
  return static_cast<uint32_t>(now_ms_) - std::min(told.idle_ms, timeout - grace);
}

void Worker::take_over_figures(Record& c, const sync::Record& told) const {
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

void Worker::update_adopted(uint32_t record, const sync::Record& told) {
  Record& c = table_[record];
  if (!c.is_signpost()) {
    uint8_t& notes = feed_.notes(record);
    notes = static_cast<uint8_t>((notes & sync::kBequeathed) | sync::kTold | sync::kTheirs);
  }
  take_over_figures(c, told);
  // The next packet here has to come by note_use().
  c.hop[0] = c.hop[1] = Fib::kNoHop;
  c.settled = 0;
  if (c.state != told.state) {
    if (c.is_signpost()) {
      c.state = told.state;
      wheel_.remove(record);
      wheel_.add(record, now_ms_ + timeout_of(c.state));
    } else {
      change_state(record, told.state);
    }
  }
  sync::tally(feed_.figures.updated);
}

void Worker::make_adopted(const sync::Record& told) {
  uint32_t record = table_.allocate();
  if (record == kNone && evict()) record = table_.allocate();
  if (record == kNone) return sync::tally(feed_.figures.refused_full);
  Record& c = table_[record];
  c = Record{};
  c.caddr = told.request.source;
  c.cport = told.request.source_port;
  c.vaddr = told.request.destination;
  c.vport = told.request.destination_port;
  c.raddr = told.reply.source;
  c.rport = told.reply.source_port;
  c.server = told.server;
  c.service = static_cast<uint16_t>(told.service);
  c.flags = static_cast<uint8_t>(told.mode);
  if (told.protocol == kUdp) c.flags |= kUdpConnection;
  c.state = told.state;
  c.hop[0] = c.hop[1] = Fib::kNoHop;
  take_over_figures(c, told);
  if (has_local_port(told.mode)) {
    c.laddr = told.reply.destination;
    c.lport = told.reply.destination_port;
    mode::fullnat::prepare(c);
    c.flags |= kHasReplyTuple;
    if (local_ports_.reserve({c.laddr, c.raddr, c.rport, c.protocol()}, c.lport)) {
      c.flags |= kOwnsLocalPort;
    }
  } else if (told.mode == Mode::nat) {
    mode::nat::prepare(c);
    c.flags |= kHasReplyTuple;
  }
  table_.insert(record, Direction::request, table_.hash({c.request(), c.protocol()}));
  if (c.has(kHasReplyTuple)) {
    table_.insert(record, Direction::reply, table_.hash({c.reply(), c.protocol()}));
  }
  wheel_.add(record, now_ms_ + timeout_of(c.state) - std::min(idle_ms(c), timeout_of(c.state)));
  if (worth_of(c) != Worth::assured) expendables_.add(record);
  feed_.notes(record) = notes_of_adopted(told);
  // As LVS: a connection of the other director's is none that was scheduled here.
  if (is_active(c.state)) c.flags |= kCountedActive;
  ++counters_.server(c.server)[is_active(c.state) ? kActive : kInactive];
  counters_.add(Extra::connections_adopted);
  counters_.add(Extra::connections);
  sync::tally(feed_.figures.adopted);
  // Templates themselves are not told: the client goes on where it has connections.
  const Service* service = snapshot_->service_of_slot(told.service);
  const Server* server = snapshot_->server_of_slot(told.server);
  if (service != nullptr && server != nullptr && service->persistence_ms != 0) {
    keep_server(c.caddr, *service, *server, true);
  }
}

// The connection's replies come to another worker, which has it: its local port is of that worker's
// share. What comes here finds its way by this.
void Worker::make_signpost(const sync::Record& told) {
  uint32_t record = table_.allocate();
  if (record == kNone && evict()) record = table_.allocate();
  if (record == kNone) return sync::tally(feed_.figures.refused_full);
  Record& c = table_[record];
  c = Record{};
  c.caddr = told.request.source;
  c.cport = told.request.source_port;
  c.vaddr = told.request.destination;
  c.vport = told.request.destination_port;
  c.server = told.server;
  c.service = static_cast<uint16_t>(told.service);
  c.flags = kModeMask;
  if (told.protocol == kUdp) c.flags |= kUdpConnection;
  c.state = told.state;
  c.last_seen_ms = adopted_last_seen(told);
  table_.insert(record, Direction::request, table_.hash({c.request(), c.protocol()}));
  wheel_.add(record, now_ms_ + timeout_of(c.state));
  sync::tally(feed_.figures.signposts);
}

// A packet that has gone by a signpost and comes back has found no connection at its end.
bool Worker::follow_signpost(Packet& packet, uint32_t record) {
  Record& c = table_[record];
  if (went_by_signpost(packet.mbuf)) {
    destroy(record, Extra::connections_ended_by_peer);
    counters_.add(Extra::connections_ended_by_peer, -1);
    return false;
  }
  c.last_seen_ms = static_cast<uint32_t>(now_ms_);
  set_went_by_signpost(packet.mbuf);
  give_to(static_cast<uint16_t>(c.server), packet);
  return true;
}

}  // namespace sluice
