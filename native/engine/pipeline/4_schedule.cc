// Stage 4: what each packet is about, and for the first packet of a connection the choice of its
// real server.
#include "../mode/enat.h"
#include "../mode/fullnat.h"
#include "../mode/nat.h"
#include "../persistence.h"
#include "../table/stand_in.h"
#include "../worker.h"

namespace sluice {

using namespace net;

namespace {

// The key of a reply tuple that has just been written, read in the pieces it was written in: a
// wider one would wait until all stores before it have reached the cache.
FlowKey<V4> fresh_reply_of(const Connection<V4>& c) {
  const uint64_t ports = uint64_t{c.protocol()} << 32 | load<uint32_t>(&c.rport);
  FlowKey<V4> key;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&key),
                   _mm_set_epi64x(static_cast<int64_t>(ports), load<int64_t>(&c.raddr)));
  return key;
}

SLUICE_ASIDE bool is_init(const Packet& packet) {
  uint8_t chunk = 0;
  return find_sctp_chunk(packet.l4, packet.l4_bytes, chunk) && chunk == kSctpInit;
}

}  // namespace

void Worker::process(const Group& burst) {
  for (Group rest = burst; rest.n != 0;) {
    uint16_t done = forward_settled(rest);
    if (done == 0) {
      process(*rest.packets, burst);
      done = 1;
    }
    rest.packets += done;
    rest.mbufs += done;
    rest.n = static_cast<uint16_t>(rest.n - done);
  }
}

void Worker::process(Packet& packet, const Group& burst) {
  if (packet.is_plain()) {
    unfold(packet, burst);
    if (is_martian(packet.ip->source)) return drop(packet, End::martian);
  }
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
  if (packet.candidate == kNone && table_.is_absent(packet.hash)) return first_packet(packet);
  Direction direction{};
  const uint32_t record = find_live(packet, direction);
  if (record == kNone) return first_packet(packet);
  if (table_[record].is_signpost()) [[unlikely]] {
    if (!follow_signpost(packet, record)) first_packet(packet);
    return;
  }
  if (direction == Direction::request) {
    if (is_proxied(table_[record])) [[unlikely]]
      return forward_proxied(packet, record);
    if (!begins_anew(packet, table_[record])) return forward_request(packet, record);
    destroy(record, Extra::connections_expired);
    return first_packet(packet);
  }
  forward_reply(packet, record);
}

// A client that uses a port again has a new connection, which may go elsewhere: the old one is
// over, and its server may be by now (as LVS with conn_reuse_mode 1, its default).
bool Worker::begins_anew(const Packet& packet, const Record& c) {
  if (packet.key.protocol == kSctp) return c.state == State::sctp_closed && is_init(packet);
  return packet.key.protocol == kTcp && (packet.tcp()->flags & (kSyn | kRst)) == kSyn &&
         (c.state == State::time_wait || c.state == State::close);
}

// Without a connection only a SYN is scheduled, also one with ACK, FIN or data, as in LVS. RST is
// dropped, anything else reset as by any host. Of SCTP only an INIT is, and the rest told that
// nobody here speaks it.
void Worker::first_packet(Packet& packet) {
  // Where NICs are trusted to bring packets to their owners nobody has asked yet.
  if (options_.steering != nullptr) {
    const uint16_t owner = owner_of(packet);
    if (owner != options_.index) return give_to(owner, packet);
  }
  const TupleOf<V4>& tuple = packet.key.tuple;
  const Service* service = snapshot_->service_for(tuple, packet.key.protocol, packet.port);
  if (service == nullptr) return owned_or_punt(packet);
  if (service->has(wire::kStandby | kFiltered) && refuse(packet, *service)) [[unlikely]]
    return;
  if (service->mark != 0 && leaves_to_director(tuple.destination)) return owned_or_punt(packet);
  if (snapshot_->owns(tuple.source) || fib_->is_own(tuple.source)) {
    return drop(packet, End::martian);
  }
  if (packet.key.protocol == kTcp) {
    // What goes on to an address that only a mark has brought here is the kernel's.
    if (service->mark != 0 && !(packet.tcp()->flags & kSyn)) return owned_or_punt(packet);
    if (packet.tcp()->flags & kRst) return drop(packet, End::reset_without_connection);
    if (service->syn_proxy) [[unlikely]]
      return admit(packet, *service);
    if (!(packet.tcp()->flags & kSyn)) return answer_reset(packet);
  } else if (packet.key.protocol != kUdp) {
    if (!is_init(packet)) return owned_or_punt(packet);
  }
  Calls::Key id;
  const Calls::Key* call = nullptr;
  if (service->engine != wire::kNoEngine) {
    if (!find_call(packet, *service, id)) return drop(packet, End::no_call_id);
    call = &id;
  }
  const uint32_t chosen = choose(tuple, *service, call);
  if (chosen == kNone) {
    return answer_icmp(packet, kUnreachable, 3, 0, tuple.destination,
                       End::answered_port_unreachable);
  }
  const Server& server = service->servers[chosen];
  const bool both_ends = server.mode == Mode::fullnat || server.mode == Mode::enat;
  if (service->has(wire::kOnePacket) && packet.key.protocol == kUdp && !both_ends) {
    if (service->persistence_ms != 0) keep_server(tuple.source, *service, server, kNone, call);
    return forward_once(packet, *service, server);
  }
  End failure{};
  const uint32_t record = connect(packet, *service, server, failure);
  if (record == kNone) return drop(packet, failure);
  if (service->persistence_ms != 0) keep_server(tuple.source, *service, server, record, call);
  forward_on(packet, table_[record]);
}

// Rules for whole networks leave the director its own addresses.
bool Worker::leaves_to_director(be32 destination) const {
  return fib_->is_own(destination) ||
         (snapshot_->address_flags(destination) & Snapshot::kLocalAddress) != 0;
}

// A first packet that is not for its service now, or not from this client.
bool Worker::refuse(Packet& packet, const Service& service) {
  const TupleOf<V4>& tuple = packet.key.tuple;
  if (service.has(wire::kStandby)) {
    drop(packet, End::standby);
    return true;
  }
  if (service.mark != 0 && leaves_to_director(tuple.destination)) return false;
  if (service.admits(tuple.source)) return false;
  drop(packet, End::denied);
  return true;
}

bool Worker::find_call(const Packet& packet, const Service& service, Calls::Key& call) const {
  return persistence::find_call(calls_, service, packet.key.tuple.source, packet.key.protocol,
                                packet.l4, packet.l4_bytes, call);
}

uint32_t Worker::schedule_persistent(const ScheduleContext& context, const Calls::Key* call) {
  const Service& service = context.service;
  const uint32_t kept =
      call != nullptr
          ? persistence::server_of(calls_, *snapshot_, service, *call, now_ms_)
          : persistence::server_of(templates_, *snapshot_, service, context.client(), now_ms_);
  return kept != kNone ? kept : schedule(context);
}

// Index of the server that a new connection goes to; kNone: none takes it. Inlined into the way of
// first packets, though the SYN proxy asks as well.
[[gnu::always_inline]] inline uint32_t Worker::choose(const TupleOf<V4>& tuple,
                                                      const Service& service,
                                                      const Calls::Key* call) {
  const ScheduleContext context{
      service, schedulers_[service.slot], counters_, overloaded_.data(), tuple, scheduler_own_};
  return service.persistence_ms == 0 ? schedule_at_once(context)
                                     : schedule_persistent(context, call);
}

// `record`: the connection that was made, kNone if none was. `call`: nullptr where there is no
// engine.
void Worker::keep_server(be32 client, const Service& service, const Server& server, uint32_t record,
                         const Calls::Key* call) {
  const bool controls = record != kNone;
  if (call == nullptr) {
    return persistence::keep(templates_, client, service, server, now_ms_, controls);
  }
  const Calls::Held held = persistence::keep(calls_, *call, service, server, now_ms_, controls);
  if (controls) held_[record] = held;
}

// It has ended when its time was over, whenever the wheel comes by.
void Worker::leave_template(uint32_t record) {
  const Record& c = table_[record];
  const Service* service = snapshot_->service_of_slot(c.service);
  if (service == nullptr || service->persistence_ms == 0) return;
  const uint32_t idle = idle_ms(c), timeout = timeout_of(c.state);
  const uint64_t ended_ms = now_ms_ - (idle > timeout ? idle - timeout : 0);
  if (service->engine != wire::kNoEngine) {
    return calls_.let_go(held_[record], c.service, c.server, ended_ms);
  }
  persistence::leave(templates_, *service, c, ended_ms);
}

// Makes the connection: record, tuples, local port, timer, counts. kNone and the reason if it
// can't be made.
//
// What is read again in a wider piece than it was written in would wait for the cache: tuples are
// written as they are read.
inline uint32_t Worker::connect(const Packet& packet, const Service& service, const Server& server,
                                End& failure) {
  uint32_t record = table_.allocate();
  if (record == kNone) [[unlikely]] {
    if (evict()) record = table_.allocate();
    if (record == kNone) {
      note(Note::table_full, service.slot);
      failure = End::table_full;
      return kNone;
    }
  }
  const TupleOf<V4>& tuple = packet.key.tuple;
  Record& c = table_[record];
  c = Record{};
  store(&c.caddr, tuple);
  // DR and TUN leave the packet's port alone, whatever the server's says (as LVS).
  const bool keeps_port = server.mode == Mode::dr || server.mode == Mode::tun;
  c.server = server.slot;
  c.service = static_cast<uint16_t>(service.slot);
  c.settled = epoch_.settled(Way::unsettled);
  c.last_seen_ms = static_cast<uint32_t>(now_ms_);
  c.hop[static_cast<unsigned>(Direction::request)] = fib_->host(server.address);
  auto flags = static_cast<uint8_t>(server.mode);
  if (packet.key.protocol == kUdp) {
    flags |= kUdpConnection;
    c.state = State::udp;
    c.born_ms = c.last_seen_ms;
  } else if (packet.key.protocol == kSctp) [[unlikely]] {
    c.state = State::sctp_init1;
  } else {
    const Sight sight = server.mode == Mode::nat || server.mode == Mode::fullnat
                            ? Sight::request
                            : Sight::request_only;
    c.state = next_state(State::none, sight, packet.tcp()->flags);
    if (is_active(c.state)) flags |= kCountedActive;
  }
  c.flags = flags;
  if (keeps_port) {
    c.raddr = server.address;
    c.rport = tuple.destination_port;
  } else if (!take_local_end(c, service, server, failure)) {
    table_.release(record);
    return kNone;
  }
  table_.insert(record, Direction::request, packet.hash);
  if (!keeps_port) table_.insert_soon(record, Direction::reply, table_.hash(fresh_reply_of(c)));
  wheel_.add(record, now_ms_ + timeout_of(c.state));
  expendables_.add(record);
  uint64_t* counted = counters_.server(c.server);
  ++counted[kConns];
  ++counters_.service(c.service)[kConns];
  ++counted[(flags & kCountedActive) != 0 ? kActive : kInactive];
  if (server.upper != 0 && connections_of(server.slot) >= server.upper) {
    rest(server);
  }
  counters_.add(Extra::connections_created);
  counters_.add(Extra::connections);
  tell_soon(record);
  return record;
}

// Gives a NAT, FullNAT or ENAT connection the tuple that replies come back with.
inline bool Worker::take_local_end(Record& c, const Service& service, const Server& server,
                                   End& failure) {
  const be16 port = service.port_at(server, c.vport);
  if (server.mode == Mode::nat) {
    set_reply(c, server.address, port, c.caddr, c.cport);
    mode::nat::prepare(c);
    const FlowKey<V4> key{c.reply(), c.protocol()};
    if (!table_.find(key, table_.hash(key))) return true;
    note(Note::tuple_conflict, service.slot);
    failure = End::tuple_conflict;
    return false;
  }
  // ENAT without local addresses speaks from the VIP itself.
  const std::span<const be32> locals =
      service.locals.empty() ? std::span<const be32>(&c.vaddr, 1) : service.locals;
  uint32_t& cursor = local_cursor_[service.slot];
  for (size_t tried = 0; tried < locals.size(); ++tried) {
    if (cursor >= locals.size()) cursor = 0;
    if (take_port(c, server.address, port, locals[cursor++])) return true;
  }
  set_reply(c, server.address, port, 0, 0);
  if (evict_for_port(c, locals) && take_port(c, server.address, port, c.laddr)) return true;
  note(Note::local_ports_exhausted, service.slot);
  failure = End::local_ports_exhausted;
  return false;
}

inline bool Worker::take_port(Record& c, be32 server, be16 server_port, be32 local) {
  const be16 port = local_ports_.take({local, server, server_port, c.protocol()});
  if (port == 0) return false;
  set_reply(c, server, server_port, local, port);
  c.flags |= kOwnsLocalPort;
  mode::fullnat::prepare(c);
  return true;
}

// In the pieces that translate() reads.
inline void Worker::set_reply(Record& c, be32 server, be16 server_port, be32 local, be16 port) {
  c.flags |= kHasReplyTuple;
  store(&c.raddr, uint64_t{local} << 32 | server);
  store(&c.rport, uint32_t{port} << 16 | server_port);
}

// One-packet scheduling (ipvsadm -o): forwarded like a connection's packet, but none is kept.
void Worker::forward_once(Packet& packet, const Service& service, const Server& server) {
  Record c{};
  const TupleOf<V4>& tuple = packet.key.tuple;
  c.caddr = tuple.source;
  c.cport = tuple.source_port;
  c.vaddr = tuple.destination;
  c.vport = tuple.destination_port;
  c.raddr = server.address;
  c.rport = server.mode == Mode::nat ? service.port_at(server, tuple.destination_port)
                                     : tuple.destination_port;
  c.server = server.slot;
  c.service = static_cast<uint16_t>(service.slot);
  c.flags = static_cast<uint8_t>(static_cast<uint8_t>(server.mode) | kUdpConnection);
  c.state = State::udp;
  c.settled = epoch_.settled(Way::unsettled);
  if (server.mode == Mode::nat) mode::nat::prepare(c);
  ++counters_.server(c.server)[kConns];
  ++counters_.service(c.service)[kConns];
  count(c, Direction::request, packet.total_length());
  if (packet.ip->ttl <= 1) {
    return answer_icmp(packet, kTimeExceeded, 0, 0, c.vaddr, End::answered_time_exceeded);
  }
  if (is_stand_in(c.raddr)) return emit_in_ipv6(packet, c, End::forwarded_tun);
  End failure{};
  const NextHop* hop = next_hop(c, Direction::request, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  emit_request(packet, c, *hop, kRequestEnds[static_cast<unsigned>(server.mode)]);
}

}  // namespace sluice
