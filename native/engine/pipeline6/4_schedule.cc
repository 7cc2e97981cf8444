// Stage 4: what each packet is about, and for the first packet of a connection the choice of its
// real server. As in pipeline/4_schedule.cc; schedulers see addresses folded to 32 bits.
#include "../mode/mode6.h"
#include "../persistence.h"
#include "../table/eviction.h"
#include "../worker6.h"

namespace sluice {

using namespace net;

namespace {

bool is_init(const Packet6& packet) {
  uint8_t chunk = 0;
  return find_sctp_chunk(packet.l4, packet.l4_bytes, chunk) && chunk == kSctpInit;
}

}  // namespace

void Worker6::process(Packet6& packet) {
  switch (packet.concern) {
    case Concern::ended:
      return;
    case Concern::other:
      return owned_or_punt(packet);
    case Concern::icmp_error:
      return related_error(packet);
    case Concern::flow:
      break;
  }
  Direction direction{};
  const uint32_t record = find_live(packet, direction);
  if (record == kNone) return first_packet(packet);
  if (is_unusual(table_[record])) [[unlikely]] {
    if (table_[record].is_signpost()) {
      if (!follow_signpost(packet, record)) first_packet(packet);
      return;
    }
    if (is_proxied(table_[record])) {
      return direction == Direction::request ? forward_proxied(packet, record)
                                             : forward_reply<Spliced::yes>(packet, record);
    }
  }
  if (direction == Direction::reply) return forward_reply(packet, record);
  if (!begins_anew(packet, table_[record])) return forward_request(packet, record);
  destroy(record, Extra::connections_expired);
  first_packet(packet);
}

uint32_t Worker6::find_live(const Packet6& packet, Direction& direction) {
  Found found;
  if (packet.candidate != kNone && table_.confirm(packet.candidate, packet.key)) {
    found = {packet.candidate >> 1, static_cast<Direction>(packet.candidate & 1)};
  } else {
    found = table_.find(packet.key, packet.hash);
    if (!found) return kNone;
  }
  if (is_idle(table_[found.record])) {
    destroy(found.record, Extra::connections_expired);
    return kNone;
  }
  direction = found.direction;
  return found.record;
}

// As Worker::begins_anew.
bool Worker6::begins_anew(const Packet6& packet, const Record& c) {
  if (packet.protocol == kSctp) return c.state == State::sctp_closed && is_init(packet);
  return packet.protocol == kTcp && (packet.tcp()->flags & (kSyn | kRst)) == kSyn &&
         (c.state == State::time_wait || c.state == State::close);
}

void Worker6::first_packet(Packet6& packet) {
  const TupleOf<V6>& tuple = packet.key.tuple;
  const Service6* service = worker_.snapshot_->service_for(tuple, packet.protocol, packet.port);
  if (service == nullptr) return owned_or_punt(packet);
  const Service& common = *service->common;
  if (common.has(wire::kStandby)) return drop(packet, End::standby);
  if (common.mark != 0 &&
      (fib().is_own(tuple.destination) ||
       (six().address_flags(tuple.destination) & Snapshot::kLocalAddress) != 0)) {
    return owned_or_punt(packet);
  }
  if (!common.admits(tuple.source)) return drop(packet, End::denied);
  // A link-local client can't be answered by routing (RFC 4007 section 9), nor one without address.
  if (owns(tuple.source) || fib().is_own(tuple.source) || is_link_local(tuple.source) ||
      is_unspecified(tuple.source)) {
    return drop(packet, End::martian);
  }
  if (packet.protocol == kTcp) {
    if (common.mark != 0 && !(packet.tcp()->flags & kSyn)) return owned_or_punt(packet);
    if (packet.tcp()->flags & kRst) return drop(packet, End::reset_without_connection);
    if (common.syn_proxy) return admit(packet, *service);
    if (!(packet.tcp()->flags & kSyn)) return answer_reset(packet);
  }
  if (packet.protocol == kSctp && !is_init(packet)) return owned_or_punt(packet);
  Calls::Key id;
  const Calls::Key* call = nullptr;
  if (common.engine != wire::kNoEngine) {
    if (!find_call(packet, common, id)) return drop(packet, End::no_call_id);
    call = &id;
  }
  const uint32_t chosen = choose(tuple, common, call);
  if (chosen == kNone) {
    return answer_icmp(packet, kUnreachable6, 4, 0, tuple.destination,
                       End::answered_port_unreachable);
  }
  if (common.has(wire::kOnePacket) && packet.protocol == kUdp &&
      common.servers[chosen].mode != Mode::fullnat) {
    if (common.persistence_ms != 0) {
      keep_server(tuple.source, common, common.servers[chosen], kNone, call);
    }
    return forward_once(packet, *service, chosen);
  }
  End failure{};
  const uint32_t record = connect(packet, *service, chosen, failure);
  if (record == kNone) return drop(packet, failure);
  if (common.persistence_ms != 0) {
    keep_server(tuple.source, common, common.servers[chosen], record, call);
  }
  forward_on(packet, table_[record]);
}

// Index of the server that a first packet goes to; kNone: none takes it.
uint32_t Worker6::choose(const TupleOf<V6>& tuple, const Service& service, const Calls::Key* call) {
  if (service.persistence_ms != 0) {
    const uint32_t kept =
        call != nullptr
            ? persistence::server_of(calls(), snapshot(), service, *call, now_ms())
            : persistence::server_of(templates_, snapshot(), service, tuple.source, now_ms());
    if (kept != kNone) return kept;
  }
  const TupleOf<V4> request{folded(tuple.source), folded(tuple.destination), tuple.source_port,
                            tuple.destination_port};
  return schedule({service, worker_.schedulers_[service.slot], counters(),
                   worker_.overloaded_.data(), request, worker_.scheduler_own_});
}

bool Worker6::find_call(const Packet6& packet, const Service& service, Calls::Key& call) const {
  return persistence::find_call(worker_.calls_, service, packet.key.tuple.source, packet.protocol,
                                packet.l4, packet.l4_bytes, call);
}

// As Worker::keep_server.
void Worker6::keep_server(const WideAddress& client, const Service& service, const Server& server,
                          uint32_t record, const Calls::Key* call) {
  const bool controls = record != kNone;
  if (call == nullptr) {
    return persistence::keep(templates_, client, service, server, now_ms(), controls);
  }
  const Calls::Held held = persistence::keep(calls(), *call, service, server, now_ms(), controls);
  if (controls) held_[record] = held;
}

// As Worker::leave_template.
void Worker6::leave_template(uint32_t record) {
  const Record& c = table_[record];
  const Service* service = snapshot().service_of_slot(c.service);
  if (service == nullptr || service->persistence_ms == 0) return;
  const uint32_t idle = idle_ms(c), timeout = timeout_of(c.state);
  const uint64_t ended_ms = now_ms() - (idle > timeout ? idle - timeout : 0);
  if (service->engine != wire::kNoEngine) {
    return calls().let_go(held_[record], c.service, c.server, ended_ms);
  }
  persistence::leave(templates_, *service, c, ended_ms);
}

// Makes the connection. kNone and the reason if it can't be made.
uint32_t Worker6::connect(const Packet6& packet, const Service6& service, uint32_t chosen,
                          End& failure) {
  const Service& common = *service.common;
  const Server& server = common.servers[chosen];
  uint32_t record = table_.allocate();
  if (record == kNone && evict()) record = table_.allocate();
  if (record == kNone) {
    worker_.note(Note::table_full, common.slot);
    failure = End::table_full;
    return kNone;
  }
  const TupleOf<V6>& tuple = packet.key.tuple;
  Record& c = table_[record];
  c = Record{};
  c.caddr = tuple.source;
  c.vaddr = tuple.destination;
  c.cport = tuple.source_port;
  c.vport = tuple.destination_port;
  c.raddr = service.servers[chosen];
  c.server = server.slot;
  c.service = static_cast<uint16_t>(common.slot);
  c.settled = worker_.epoch_.settled(Way::unsettled);
  c.last_seen_ms = static_cast<uint32_t>(worker_.now_ms_);
  c.flags = static_cast<uint8_t>(server.mode);
  if (packet.protocol == kUdp) {
    c.flags |= kUdpConnection;
    c.state = State::udp;
    c.born_ms = c.last_seen_ms;
  } else if (packet.protocol == kSctp) {
    c.state = State::sctp_init1;
  } else {
    const bool sees_replies = server.mode == Mode::nat || server.mode == Mode::fullnat;
    c.state = next_state(State::none, sees_replies ? Sight::request : Sight::request_only,
                         packet.tcp()->flags);
    if (is_active(c.state)) c.flags |= kCountedActive;
  }
  // DR and TUN leave the packet's port alone, whatever the server's says (as LVS).
  if (server.mode == Mode::dr || server.mode == Mode::tun) {
    c.rport = tuple.destination_port;
  } else if (!take_local_end(c, service, chosen, failure)) {
    table_.release(record);
    return kNone;
  }
  table_.insert(record, Direction::request, packet.hash);
  if (c.has(kHasReplyTuple)) {
    table_.insert(record, Direction::reply, table_.hash(c, Direction::reply));
  }
  wheel_.add(record, worker_.now_ms_ + timeout_of(c.state));
  expendables_.add(record);
  uint64_t* counted = counters().server(c.server);
  ++counted[kConns];
  ++counters().service(c.service)[kConns];
  ++counted[c.has(kCountedActive) ? kActive : kInactive];
  if (server.upper != 0 && worker_.connections_of(server.slot) >= server.upper) {
    worker_.rest(server);
  }
  counters().add(Extra::connections_created);
  counters().add(Extra::connections);
  tell_soon(record);
  return record;
}

// Gives a NAT or FullNAT connection the tuple that replies come back with.
bool Worker6::take_local_end(Record& c, const Service6& service, uint32_t chosen, End& failure) {
  const Service& common = *service.common;
  c.rport = common.port_at(common.servers[chosen], c.vport);
  c.flags |= kHasReplyTuple;
  if (common.servers[chosen].mode == Mode::nat) {
    c.laddr = c.caddr;
    c.lport = c.cport;
    mode::keep_delta(c);
    if (!table_.find({c.reply(), c.protocol()}, table_.hash(c, Direction::reply))) return true;
    worker_.note(Note::tuple_conflict, common.slot);
    failure = End::tuple_conflict;
    return false;
  }
  uint32_t& cursor = worker_.local_cursor_[common.slot];
  for (size_t tried = 0; tried < service.locals.size() && c.lport == 0; ++tried) {
    if (cursor >= service.locals.size()) cursor = 0;
    c.laddr = service.locals[cursor++];
    c.lport = local_ports_.take(port_set(c));
  }
  if (c.lport == 0 && evict_for_port(c, service)) c.lport = local_ports_.take(port_set(c));
  if (c.lport == 0) {
    worker_.note(Note::local_ports_exhausted, common.slot);
    failure = End::local_ports_exhausted;
    return false;
  }
  c.flags |= kOwnsLocalPort;
  mode::keep_delta(c);
  return true;
}

// Sets are told apart by a hash of both addresses: two that have the same would share their ports,
// and nothing else.
LocalPorts::Set Worker6::port_set(const Record& c) const {
  auto half = [](const WideAddress& a, unsigned i) { return load<uint64_t>(a.data() + 8 * i); };
  const uint64_t both = mum(half(c.laddr, 0) ^ half(c.raddr, 1), ~half(c.laddr, 1)) ^
                        mum(half(c.raddr, 0) ^ half(c.laddr, 1), ~half(c.raddr, 1));
  return {static_cast<be32>(both >> 32), static_cast<be32>(both), c.rport, c.protocol()};
}

// As Worker::forward_once.
void Worker6::forward_once(Packet6& packet, const Service6& service, uint32_t chosen) {
  const Server& server = service.common->servers[chosen];
  Record c{};
  const TupleOf<V6>& tuple = packet.key.tuple;
  c.caddr = tuple.source;
  c.cport = tuple.source_port;
  c.vaddr = tuple.destination;
  c.vport = tuple.destination_port;
  c.raddr = service.servers[chosen];
  c.rport = server.mode == Mode::nat ? service.common->port_at(server, tuple.destination_port)
                                     : tuple.destination_port;
  c.server = server.slot;
  c.service = static_cast<uint16_t>(service.common->slot);
  c.flags = static_cast<uint8_t>(static_cast<uint8_t>(server.mode) | kUdpConnection);
  c.state = State::udp;
  c.settled = worker_.epoch_.settled(Way::unsettled);
  if (server.mode == Mode::nat) {
    c.laddr = c.caddr;
    c.lport = c.cport;
    mode::keep_delta(c);
  }
  ++counters().server(c.server)[kConns];
  ++counters().service(c.service)[kConns];
  forward_on(packet, c);
}

void Worker6::give_way(uint32_t record) {
  const Record& c = table_[record];
  if (is_idle(c)) return destroy(record, Extra::connections_expired);
  worker_.note(Note::making_room, c.service);
  destroy(record, evicted_as(c.state));
}

// Frees a record. False when none in reach may go.
bool Worker6::evict() {
  constexpr unsigned kMostWords = 512;  // of 64 records each, without a candidate
  Victim victim(table_, worker_.now_ms_);
  unsigned words = kMostWords;
  for (;;) {
    const uint32_t record = expendables_.next(words);
    if (record == kNone) break;
    if (worth_of(table_[record]) == Worth::assured) expendables_.remove(record);
    if (!victim.offer(record)) break;
  }
  if (victim.chosen() == kNone) return false;
  give_way(victim.chosen());
  return true;
}

// Frees a local port that `c` can have, of any of the service's addresses. Writes laddr.
bool Worker6::evict_for_port(Record& c, const Service6& service) {
  constexpr uint32_t kPorts = 65536 - PortShare::kFirst;
  Victim victim(table_, worker_.now_ms_);
  for (bool more = true; more;) {
    const uint32_t at = port_hand_++;
    c.laddr = service.locals[at / kPorts % service.locals.size()];
    c.lport = to_be(static_cast<uint16_t>(PortShare::kFirst + at % kPorts));
    const Found found = table_.find({c.reply(), c.protocol()}, table_.hash(c, Direction::reply));
    more = found ? victim.offer(found.record) : victim.pass();
  }
  c.lport = 0;
  if (victim.chosen() == kNone) return false;
  c.laddr = table_[victim.chosen()].laddr;
  give_way(victim.chosen());
  return true;
}

}  // namespace sluice
