// Stage 5: packets of a connection, in the five modes and both directions.
#include "../mode/dr.h"
#include "../mode/enat.h"
#include "../mode/fullnat.h"
#include "../mode/nat.h"
#include "../mode/tunnel.h"
#include "../table/stand_in.h"
#include "../worker.h"

namespace sluice {

using namespace net;

namespace {

constexpr uint8_t kDefaultToaKind = 254;
constexpr uint8_t kUdpOptionPackets = 3;
bool tells_client(Mode mode) {
  return mode == Mode::fullnat || mode == Mode::enat;
}
uint16_t l4_bytes_of(const Packet& packet) {
  return packet.ip->protocol == kUdp ? from_be(packet.udp()->length) : packet.l4_bytes;
}

// UDP: the first packets carry the client's address; ENAT's agent may have lost its state, and
// never tells, so its packets repeat it.
bool udp_option_due(const Connection<V4>& c) {
  return c.packets < kUdpOptionPackets || (c.mode() == Mode::enat && mode::enat::repeats(c));
}

}  // namespace

void Worker::forward_request(Packet& packet, uint32_t record) {
  if (server_gone(packet, record)) return;
  Record& c = table_[record];
  if (packet.key.protocol == kTcp) {
    const Tcp& tcp = *packet.tcp();
    const bool sees_replies = c.mode() == Mode::nat || c.mode() == Mode::fullnat;
    if (tcp.flags & kSyn) [[unlikely]]
      note_repeated_syn(record);
    update_state(record, sees_replies ? Sight::request : Sight::request_only, tcp.flags);
    // ENAT's replies don't pass here: the client's first ACK tells the server's sequence.
    if (c.mode() == Mode::enat) {
      if (tcp.flags & kSyn) {
        c.flags &= static_cast<uint8_t>(~kServerIsnKnown);
        c.settled = Epoch::unsettled(c.settled);
      } else if ((tcp.flags & kAck) && !c.has(kServerIsnKnown)) {
        c.server_isn1 = from_be(tcp.acknowledgement);
        c.flags |= kServerIsnKnown;
      }
    }
  } else if (packet.key.protocol == kSctp) {
    const bool sees_replies = c.mode() == Mode::nat || c.mode() == Mode::fullnat;
    update_sctp_state(packet, record, sees_replies ? Sight::request : Sight::request_only);
  }
  c.last_seen_ms = static_cast<uint32_t>(now_ms_);
  forward_on(packet, c);
}

// What follows once the state is known, for a first packet as well.
void Worker::forward_on(Packet& packet, Record& c) {
  count(c, Direction::request, packet.total_length());  // as LVS: before anything can go wrong
  if (packet.ip->ttl <= 1) {
    return answer_icmp(packet, kTimeExceeded, 0, 0, c.vaddr, End::answered_time_exceeded);
  }
  if (is_stand_in(c.raddr)) [[unlikely]]
    return emit_in_ipv6(packet, c, End::forwarded_tun);
  End failure{};
  const NextHop* hop = next_hop(c, Direction::request, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  settle(c);
  emit_request(packet, c, *hop, kRequestEnds[static_cast<unsigned>(c.mode())]);
}

// The mode's rewrite, and out.
void Worker::emit_request(Packet& packet, Record& c, const NextHop& hop, End end) {
  renew_wrap(c);
  const unsigned overhead = overhead_of(c);
  if (!fits(packet, hop.mtu - overhead)) {
    // Linux has lowered the TTL by then, and quotes it so.
    decrement_ttl(*packet.ip);
    return answer_icmp(packet, kUnreachable, 4, to_be(hop.mtu - overhead), c.vaddr,
                       End::answered_too_big);
  }
  if (is_proxied(c)) [[unlikely]]
    shift_request(packet, c);
  switch (c.mode()) {
    case Mode::nat:
      mode::nat::request(packet.ip, packet.l4, l4_bytes_of(packet), c);
      break;
    case Mode::dr:
      mode::dr::request(packet.ip);
      break;
    case Mode::tun:
      if (!wrap_up(packet, c, hop)) return drop(packet, End::no_headroom, &c);
      break;
    case Mode::fullnat:
    case Mode::enat:
      if (!tell_client(packet, c, hop)) return drop(packet, End::no_headroom, &c);
      mode::fullnat::request(packet.ip, packet.l4, l4_bytes_of(packet), c);
      break;
  }
  send_to(packet, hop, end, &c);
}

// TUN's wrap is its server's, and a change of it holds from the next publication on, as with LVS;
// when the server is gone it stays what it was.
inline void Worker::renew_wrap(Record& c) const {
  if (c.mode() != Mode::tun) return;
  const Server* server = snapshot_->server_of_slot(c.server);
  if (server != nullptr) mode::tunnel::keep(c, server->wrap, server->tunnel_port);
}

// What the mode adds to a packet.
inline unsigned Worker::overhead_of(const Record& c) {
  return c.mode() == Mode::tun ? mode::tunnel::overhead_bytes(mode::tunnel::wrap_of(c)) : 0;
}

// False when the mbuf has no room in front.
inline bool Worker::wrap_up(Packet& packet, const Record& c, const NextHop& hop) {
  const Wrap wrap = mode::tunnel::wrap_of(c);
  const unsigned bytes = mode::tunnel::overhead_bytes(wrap);
  if (rte_pktmbuf_prepend(packet.mbuf, static_cast<uint16_t>(bytes)) == nullptr) return false;
  mode::tunnel::request(wrap, packet.ip, packet.total_length(), hop.own, c.raddr,
                        tunnel_id(*packet.ip), mode::tunnel::ports_of(c));
  packet.ip = reinterpret_cast<Ipv4*>(reinterpret_cast<uint8_t*>(packet.ip) - bytes);
  return true;
}

// FullNAT and ENAT: nobody but the director tells the real server who the client is. SCTP has no
// option that could. False when the mbuf has no room in front.
inline bool Worker::tell_client(Packet& packet, Record& c, const NextHop& hop) {
  if (packet.key.protocol == kUdp) {
    const bool due = udp_option_due(c);
    mode::enat::count_packet(c);
    if (packet.ip->header_bytes() != sizeof(Ipv4)) [[unlikely]]
      return replace_client_option(packet, c, hop, due);
    return !due || tell_by_ip_option(packet, c, hop);
  }
  if (packet.key.protocol == kSctp) return true;
  const Tcp& tcp = *packet.tcp();
  const bool due = mode::fullnat::tcp_option_due(tcp, c);
  if (!due && !may_carry_client_option(tcp)) [[likely]]
    return true;
  return replace_client_option(packet, c, hop, due);
}

// UDP without IP options, which nothing has to be taken out of.
inline bool Worker::tell_by_ip_option(Packet& packet, const Record& c, const NextHop& hop) {
  const Service* service = snapshot_->service_of_slot(c.service);
  if (service == nullptr || !service->has(wire::kClientAddress)) return true;
  const unsigned bytes = c.mode() == Mode::enat ? kEnatUdpBytes : kUoaBytes;
  if (packet.total_length() + bytes > hop.mtu) {
    counters_.add(Extra::client_option_mtu);
    return true;
  }
  if (!make_room(packet, bytes, sizeof(Ipv4))) return false;
  mode::fullnat::insert_ip_option(packet.ip, bytes,
                                  {service->toa_kind, c.caddr, c.cport, c.vaddr, c.vport});
  counters_.add(Extra::client_option_added);
  return true;
}

bool Worker::replace_client_option(Packet& packet, Record& c, const NextHop& hop, bool due) {
  const Service* service = snapshot_->service_of_slot(c.service);
  const bool tcp = packet.key.protocol == kTcp;
  const bool enat = c.mode() == Mode::enat;
  if (tcp) {
    blot_tcp_options(packet.tcp(), service != nullptr ? service->toa_kind : kDefaultToaKind);
  } else {
    blot_ip_options(packet.ip);
  }
  if (service == nullptr || !service->has(wire::kClientAddress)) return true;
  if (tcp && (packet.tcp()->flags & kSyn)) lower_mss(packet.tcp(), enat ? kEnatBytes : kToaBytes);
  if (!due) return true;
  const unsigned bytes = tcp ? (enat ? kEnatBytes : kToaBytes) : (enat ? kEnatUdpBytes : kUoaBytes);
  const unsigned header = tcp ? packet.tcp()->header_bytes() : packet.ip->header_bytes();
  if (header + bytes > kMaxTcpHeader) {  // 60 bytes is the limit of an IPv4 header as well
    counters_.add(Extra::client_option_no_room);
    return true;
  }
  if (packet.total_length() + bytes > hop.mtu) {
    counters_.add(Extra::client_option_mtu);
    return true;
  }
  const ClientOption option{service->toa_kind, c.caddr, c.cport, c.vaddr, c.vport};
  if (!make_room(packet, bytes, tcp ? packet.ip->header_bytes() + sizeof(Tcp) : sizeof(Ipv4))) {
    return false;
  }
  if (tcp) {
    packet.l4 -= bytes;
    mode::fullnat::insert_tcp_option(packet.ip, packet.tcp(), bytes, enat, option);
    packet.l4_bytes = static_cast<uint16_t>(packet.l4_bytes + bytes);
  } else {
    mode::fullnat::insert_ip_option(packet.ip, bytes, option);
  }
  counters_.add(Extra::client_option_added);
  return true;
}

void Worker::forward_reply(Packet& packet, uint32_t record) {
  Record& c = table_[record];
  const Service* service = snapshot_->service_of_slot(c.service);
  if (service != nullptr && service->has(wire::kStandby | kFiltered)) [[unlikely]] {
    if (service->has(wire::kStandby)) return drop(packet, End::standby, &c);
    if (is_denied(packet, record, *service)) return;
  }
  if (packet.key.protocol == kTcp) {
    const Tcp& tcp = *packet.tcp();
    if (c.packets & kProxied) [[unlikely]] {
      if (!meet_server(packet, record)) return;
    } else {
      if (tcp.flags & (kSyn | kRst)) [[unlikely]]
        note_first_answer(record, tcp.flags);
      update_state(record, Sight::reply, tcp.flags);
      if ((tcp.flags & (kSyn | kAck)) == (kSyn | kAck)) {
        c.server_isn1 = from_be(tcp.sequence) + 1;
        c.flags |= kServerIsnKnown;
      }
    }
  } else if (packet.key.protocol == kSctp) {
    update_sctp_state(packet, record, Sight::reply);
  }
  c.last_seen_ms = static_cast<uint32_t>(now_ms_);
  // Routers speak from an address of their own; a LIP is the one FullNAT's server knows.
  const be32 own = fib_->own_address(packet.port);
  const be32 source = c.mode() == Mode::nat && own != 0 ? own : packet.ip->destination;
  if (packet.ip->ttl <= 1) {
    return answer_icmp(packet, kTimeExceeded, 0, 0, source, End::answered_time_exceeded);
  }
  End failure{};
  const NextHop* hop = next_hop(c, Direction::reply, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  settle(c);
  if (!fits(packet, hop->mtu)) {
    return answer_icmp(packet, kUnreachable, 4, to_be(hop->mtu), source, End::answered_too_big);
  }
  count(c, Direction::reply, packet.total_length());
  if (is_proxied(c)) [[unlikely]]
    shift_reply(packet, c);
  const uint16_t bytes = l4_bytes_of(packet);
  if (c.mode() == Mode::nat) {
    mode::nat::reply(packet.ip, packet.l4, bytes, c);
    return send_to(packet, *hop, End::forwarded_nat_reply, &c);
  }
  // What the client sends grows by the option until the server has answered.
  const bool syn = packet.key.protocol == kTcp && (packet.tcp()->flags & kSyn);
  if (syn && service != nullptr && service->has(wire::kClientAddress)) {
    lower_mss(packet.tcp(), c.mode() == Mode::enat ? kEnatBytes : kToaBytes);
  }
  // An ENAT server without its agent answers like a FullNAT one: it is served as such.
  mode::fullnat::reply(packet.ip, packet.l4, bytes, c);
  send_to(packet, *hop, End::forwarded_fullnat_reply, &c);
}

// False: larger than there is room for, and not to be fragmented; the sender is to be told (RFC
// 1191). What came in fragments leaves in fragments, whatever its DF said.
bool Worker::fits(const Packet& packet, uint32_t mtu) const {
  return packet.total_length() <= mtu || !packet.ip->dont_fragment() || packet.fragment_bytes != 0;
}

// A connection whose real server is not configured any more is dropped silently, or ended and its
// packet treated as a first one (LVS: expire_nodest_conn). With that setting a server that health
// checks call down counts as gone, too.
inline bool Worker::server_gone(Packet& packet, uint32_t record) {
  if (snapshot_->serves_everybody(table_[record].server)) [[likely]]
    return false;
  return without_server(packet, record);
}

bool Worker::without_server(Packet& packet, uint32_t record) {
  const Record& c = table_[record];
  const bool configured = snapshot_->server_of_slot(c.server) != nullptr;
  const Service* service = snapshot_->service_of_slot(c.service);
  if (service != nullptr && service->has(wire::kStandby)) {
    drop(packet, End::standby, &c);
    return true;
  }
  if (service != nullptr && service->has(kFiltered) && is_denied(packet, record, *service)) {
    return true;
  }
  if (snapshot_->serves(c.server)) return false;
  if (service != nullptr && service->has(wire::kResetOnServerRemoved)) {
    destroy(record, Extra::connections_expired);
    first_packet(packet);
    return true;
  }
  if (configured) return false;
  drop(packet, End::server_removed, &c);
  return true;
}

// A publication may have put a connection's client on a list of its service. That is looked at
// when the first packet of either direction comes after it, and ends the connection.
bool Worker::is_denied(Packet& packet, uint32_t record, const Service& service) {
  Record& c = table_[record];
  if (epoch_.is_current(c.settled)) return false;
  if (!service.admits(c.caddr)) {
    drop(packet, End::denied, &c);
    destroy(record, Extra::connections_denied);
    return true;
  }
  if (!epoch_.hops_hold(c.settled)) c.hop[0] = c.hop[1] = Fib::kNoHop;
  c.settled = epoch_.settled(Way::unsettled);
  return false;
}

// A connection that has passed the checks above need not pass them again until something changes:
// a publication ends it for all at once, a change of TCP's state for one. Its packets go by
// 5_settled.cc, which relies on every condition here. SCTP's always take the full way.
void Worker::settle(Record& c) {
  if (!snapshot_->serves(c.server) || is_martian(c.raddr)) return;
  const uint8_t protocol = c.protocol();
  if (protocol != kUdp) {
    if (c.state != State::established) return;  // which is TCP's alone
    if (c.packets & kProxied) return;
    if (c.mode() == Mode::enat && !c.has(kServerIsnKnown)) return;
  } else if (tells_client(c.mode()) && c.packets < kUdpOptionPackets) {
    return;
  }
  renew_wrap(c);
  c.settled = epoch_.settled(way_of(c.mode(), mode::tunnel::wrap_of(c), protocol));
}

inline const NextHop* Worker::next_hop(Record& c, Direction towards, End& failure) {
  const uint16_t cached = c.hop[static_cast<unsigned>(towards)];
  if (epoch_.hops_hold(c.settled) && cached != Fib::kNoHop) [[likely]]
    return &(*fib_)[cached];
  return find_next_hop(c, towards, failure);
}

const NextHop* Worker::find_next_hop(Record& c, Direction towards, End& failure) {
  if (!epoch_.hops_hold(c.settled)) {
    c.hop[0] = c.hop[1] = Fib::kNoHop;
    c.settled = epoch_.settled(Way::unsettled);
  }
  // So does the first packet of a connection that was adopted.
  if (feed_.on()) [[unlikely]]
    note_use(c);
  // A flow's first reply finds no next hop cached and so comes by here, but no later one does.
  if (towards == Direction::reply) c.answered = 1;
  const Fib::Answer answer = fib_->lookup(towards == Direction::request ? c.raddr : c.caddr);
  if (answer.next_hop <= UINT16_MAX) {
    c.hop[static_cast<unsigned>(towards)] = static_cast<uint16_t>(answer.next_hop);
    return &(*fib_)[answer.next_hop];
  }
  failure = answer.has_route ? End::no_neighbour : End::no_route;
  note(answer.has_route ? Note::no_neighbour : Note::no_route, c.service);
  if (answer.unresolved != 0) ask_for(answer.port, answer.unresolved);
  return nullptr;
}

// Opens `bytes` behind the Ethernet header and the first `head` bytes of the IP packet; the
// packet's pointers move to the new place of what they point at.
inline bool Worker::make_room(Packet& packet, unsigned bytes, unsigned head) {
  uint8_t* start = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(packet.mbuf, bytes));
  if (start == nullptr) return false;
  // The usual heads are moved by a few instructions of known length.
  if (head == sizeof(Ipv4)) {
    mode::fullnat::open_gap(start, sizeof(Ethernet) + sizeof(Ipv4), bytes);
  } else if (head == sizeof(Ipv4) + sizeof(Tcp)) {
    mode::fullnat::open_gap(start, sizeof(Ethernet) + sizeof(Ipv4) + sizeof(Tcp), bytes);
  } else {
    mode::fullnat::open_gap(start, sizeof(Ethernet) + head, bytes);
  }
  packet.ip = reinterpret_cast<Ipv4*>(reinterpret_cast<uint8_t*>(packet.ip) - bytes);
  return true;
}

inline void Worker::update_state(uint32_t record, Sight sight, uint8_t flags) {
  const State state = next_state(table_[record].state, sight, flags);
  if (state != table_[record].state) [[unlikely]]
    change_state(record, state);
}

void Worker::update_sctp_state(const Packet& packet, uint32_t record, Sight sight) {
  uint8_t chunk = 0;
  if (!find_sctp_chunk(packet.l4, packet.l4_bytes, chunk)) return;
  const State state = next_sctp_state(table_[record].state, sight, chunk);
  if (state != table_[record].state) change_state(record, state);
}

void Worker::change_state(uint32_t record, State state) {
  Record& c = table_[record];
  // The wheel finds out about a later deadline by itself; an earlier one moves the record.
  const bool sooner = timeout_of(state) < timeout_of(c.state);
  c.state = state;
  c.settled = Epoch::unsettled(c.settled);
  tell_soon(record);
  if (is_established(state)) {
    expendables_.remove(record);
  } else {
    expendables_.add(record);
  }
  if (sooner) {
    wheel_.remove(record);
    wheel_.add(record, now_ms_ + timeout_of(state));
  }
  const bool active = is_active(state);
  if (active == c.has(kCountedActive)) return;
  uint64_t* counted = counters_.server(c.server);
  --counted[active ? kInactive : kActive];
  ++counted[active ? kActive : kInactive];
  c.flags ^= kCountedActive;
}

void Worker::count(const Record& c, Direction direction, uint16_t bytes) {
  const bool request = direction == Direction::request;
  const TrafficWord packets_word = request ? kInPackets : kOutPackets;
  const TrafficWord bytes_word = request ? kInBytes : kOutBytes;
  uint64_t* service = counters_.service(c.service);
  uint64_t* server = counters_.server(c.server);
  ++service[packets_word];
  service[bytes_word] += bytes;
  ++server[packets_word];
  server[bytes_word] += bytes;
}

}  // namespace sluice
