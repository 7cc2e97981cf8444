// Stage 5: packets of a connection, in both directions. Every IPv6 packet goes this way; see
// pipeline/5_forward.cc for what IPv4 does alike.
#include "../mode/fullnat.h"
#include "../mode/mode6.h"
#include "../worker6.h"

namespace sluice {

using namespace net;

namespace {

constexpr uint32_t kRepeatedMs = 500;  // as in 5_handshake.cc

bool sees_replies(const Connection<V6>& c) {
  return c.mode() == Mode::nat || c.mode() == Mode::fullnat;
}

// Puts `overhead` bytes before an IPv6 packet, which begins where the mbuf does, and has them
// filled in. False: there is no room.
template <class Fill>
bool wrap_up(rte_mbuf* mbuf, uint32_t overhead, const Fill& fill) {
  auto* inner = rte_pktmbuf_mtod(mbuf, Ipv6*);
  const auto bytes = static_cast<uint16_t>(rte_pktmbuf_data_len(mbuf));
  if (rte_pktmbuf_prepend(mbuf, static_cast<uint16_t>(overhead)) == nullptr) return false;
  fill(inner, bytes);
  return true;
}

// RFC 8200 section 5: a link takes 1280 bytes, whatever a tunnel leaves of it; what is told to
// senders is never less.
uint32_t mtu_for_senders(uint32_t mtu) {
  return mtu < kLeastMtu6 ? uint32_t{kLeastMtu6} : mtu;
}

// Inlined though there are two callers by now, those of connections whose numbers are shifted as
// well.
template <Direction direction>
[[gnu::always_inline]] inline void translate(Packet6& packet, const Connection<V6>& c) {
  if (packet.protocol == kSctp) {
    mode::translate_sctp<direction>(packet.ip, packet.l4, packet.l4_bytes, c);
  } else {
    mode::translate<direction>(packet.ip, packet.l4, packet.protocol, c);
  }
}

}  // namespace

template <Spliced spliced>
void Worker6::forward_request(Packet6& packet, uint32_t record) {
  if (!snapshot().serves_everybody(table_[record].server) && without_server(packet, record)) return;
  Record& c = table_[record];
  if (packet.protocol == kTcp) {
    const Tcp& tcp = *packet.tcp();
    if (tcp.flags & kSyn) note_repeated_syn(c);
    update_state(record, sees_replies(c) ? Sight::request : Sight::request_only, tcp.flags);
  } else if (packet.protocol == kSctp) {
    update_sctp_state(packet, record, sees_replies(c) ? Sight::request : Sight::request_only);
  }
  c.last_seen_ms = static_cast<uint32_t>(worker_.now_ms_);
  forward_on<spliced>(packet, c);
}

bool Worker6::is_unanswered(const Record& c) const {
  return c.state == State::syn_recv && !c.has(kServerIsnKnown) && sees_replies(c);
}

void Worker6::note_repeated_syn(Record& c) {
  if (idle_ms(c) < kRepeatedMs || (c.packets & kFailureCounted) || !is_unanswered(c)) return;
  c.packets |= kFailureCounted;
  ++counters().handshakes(c.server)[kUnanswered];
}

void Worker6::note_first_answer(uint32_t record, uint8_t flags) {
  const Record& c = table_[record];
  if (!is_unanswered(c)) return;
  ++counters().handshakes(c.server)[flags & kRst ? kRefused : kAnswered];
}

// What follows once the state is known, for a first packet as well.
template <Spliced spliced>
void Worker6::forward_on(Packet6& packet, Record& c) {
  count(c, Direction::request, packet.total_length());  // as LVS: before anything can go wrong
  if (packet.ip->hops <= 1) {
    return answer_icmp(packet, kTimeExceeded6, 0, 0, c.vaddr, End::answered_time_exceeded);
  }
  emit_request<spliced>(packet, c, kRequestEnds[static_cast<unsigned>(c.mode())]);
}

// The mode's rewrite, and out.
template <Spliced spliced>
void Worker6::emit_request(Packet6& packet, Record& c, End end) {
  if (is_v4(c.raddr)) return emit_in_ipv4(packet, c, end);
  End failure{};
  const NextHop6* hop = next_hop(c, Direction::request, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  const bool tunnel = c.mode() == Mode::tun;
  const Wrap wrap = tunnel ? renewed_wrap(c) : Wrap::ipip;
  const uint32_t overhead = sizeof(Ipv6) + mode::tunnel::shim_bytes(wrap);
  const uint32_t mtu = tunnel ? hop->mtu - overhead : hop->mtu;
  if (packet.total_length() > mtu && packet.fragment_bytes == 0) {
    if (packet.total_length() <= kLeastMtu6) return drop(packet, End::mtu_below_ipv6, &c);
    --packet.ip->hops;  // Linux has lowered them by then, and quotes it so
    return answer_icmp(packet, kTooBig6, 0, mtu_for_senders(mtu), c.vaddr, End::answered_too_big);
  }
  if constexpr (spliced == Spliced::yes) shift_request(packet, c);
  switch (c.mode()) {
    case Mode::fullnat:
      if (!tell_client(packet, c, *hop)) return drop(packet, End::no_headroom, &c);
      [[fallthrough]];
    case Mode::nat:
      if (packet.protocol == kUdp && packet.udp()->checksum == 0) {
        return drop(packet, End::udp_without_checksum, &c);
      }
      translate<Direction::request>(packet, c);
      break;
    case Mode::dr:
      --packet.ip->hops;
      break;
    case Mode::tun: {
      if (is_unspecified(hop->own)) return drop(packet, End::no_route, &c);
      const auto around = [&](rte_mbuf* mbuf) {
        return wrap_up(mbuf, overhead, [&](Ipv6* inner, uint16_t bytes) {
          mode::tunnel6::request(inner, bytes, hop->own, c.raddr, wrap, mode::tunnel::ports_of(c));
        });
      };
      return send_around(packet, hop->header, hop->port, mtu, end, c, around);
    }
    case Mode::enat:
      return drop(packet, End::server_removed, &c);  // no snapshot has one
  }
  send_to(packet, *hop, end, &c);
}

// A tunnel to an IPv4 server (RFC 4213).
void Worker6::emit_in_ipv4(Packet6& packet, Record& c, End end) {
  End failure{};
  const NextHop* hop = next_hop_v4(c, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  const Wrap wrap = renewed_wrap(c);
  const unsigned overhead = mode::tunnel::overhead_bytes(wrap);
  const uint32_t mtu = hop->mtu - overhead;
  if (packet.total_length() > mtu && packet.fragment_bytes == 0) {
    if (packet.total_length() <= kLeastMtu6) return drop(packet, End::mtu_below_ipv6, &c);
    --packet.ip->hops;  // Linux has lowered them by then, and quotes it so
    return answer_icmp(packet, kTooBig6, 0, mtu_for_senders(mtu), c.vaddr, End::answered_too_big);
  }
  const auto around = [&](rte_mbuf* mbuf) {
    return wrap_up(mbuf, overhead, [&](Ipv6* inner, uint16_t bytes) {
      mode::tunnel6::request(inner, bytes, hop->own, v4_of(c.raddr), worker_.fresh_ip_id(), wrap,
                             mode::tunnel::ports_of(c));
    });
  };
  send_around(packet, hop->header, hop->port, mtu, end, c, around);
}

// Out through a tunnel, whose headers `around` puts before the packet, or, where that came in
// fragments, before each of its pieces.
template <class Around>
void Worker6::send_around(Packet6& packet, const Ethernet& header, uint16_t port, uint32_t mtu,
                          End end, Record& c, const Around& around) {
  if (packet.fragment_bytes != 0) {
    Pieces pieces;
    const unsigned n = cut(packet, mtu, pieces);
    for (unsigned i = 0; i < n; ++i) around(pieces[i]);  // fresh mbufs have the room
    return send_pieces(packet, n, pieces, header, port, end, &c);
  }
  rte_pktmbuf_adj(packet.mbuf, sizeof(Ethernet));
  if (!around(packet.mbuf) || rte_pktmbuf_prepend(packet.mbuf, sizeof(Ethernet)) == nullptr) {
    return drop(packet, End::no_headroom, &c);
  }
  send(packet, header, port, end, &c);
}

// As Worker::renew_wrap.
Wrap Worker6::renewed_wrap(Record& c) const {
  const Server* server = snapshot().server_of_slot(c.server);
  if (server != nullptr) mode::tunnel::keep(c, server->wrap, server->tunnel_port);
  return mode::tunnel::wrap_of(c);
}

// FullNAT: the client's address as TOA in TCP. UDP over IPv6 and SCTP have no option to carry it.
// False when the mbuf has no room in front.
bool Worker6::tell_client(Packet6& packet, const Record& c, const NextHop6& hop) {
  if (packet.protocol != kTcp) return true;
  const Service* service = snapshot().service_of_slot(c.service);
  Tcp* tcp = packet.tcp();
  const bool due = (tcp->flags & kRst) == 0 &&
                   ((tcp->flags & kSyn) != 0 ||
                    (c.has(kServerIsnKnown) && from_be(tcp->acknowledgement) == c.server_isn1));
  if (!due && !may_carry_client_option(*tcp)) return true;
  constexpr uint8_t kDefaultToaKind = 254;
  blot_tcp_options(tcp, service != nullptr ? service->toa_kind : kDefaultToaKind);
  if (service == nullptr || !service->has(wire::kClientAddress)) return true;
  if (tcp->flags & kSyn) lower_mss(tcp, kToa6Bytes);
  if (!due) return true;
  if (tcp->header_bytes() + kToa6Bytes > kMaxTcpHeader) {
    counters().add(Extra::client_option_no_room);
    return true;
  }
  if (packet.total_length() + kToa6Bytes > hop.mtu) {
    counters().add(Extra::client_option_mtu);
    return true;
  }
  auto* start = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(packet.mbuf, kToa6Bytes));
  if (start == nullptr) return false;
  const auto head = static_cast<size_t>(packet.l4 - reinterpret_cast<uint8_t*>(packet.ip));
  mode::fullnat::open_gap(start, sizeof(Ethernet) + head + sizeof(Tcp), kToa6Bytes);
  packet.ip = reinterpret_cast<Ipv6*>(reinterpret_cast<uint8_t*>(packet.ip) - kToa6Bytes);
  packet.l4 -= kToa6Bytes;
  tcp = packet.tcp();
  write_toa6(packet.l4 + sizeof(Tcp), service->toa_kind, c.caddr, c.cport);
  Delta delta;
  const auto offset_word = load<uint16_t>(&tcp->offset);
  tcp->offset = static_cast<uint8_t>(tcp->offset + (kToa6Bytes / 4 << 4));
  delta.change16(offset_word, load<uint16_t>(&tcp->offset));
  delta.add(sum_bytes(packet.l4 + sizeof(Tcp), kToa6Bytes));
  delta.change16(to_be(packet.l4_bytes),
                 to_be(static_cast<uint16_t>(packet.l4_bytes + kToa6Bytes)));
  be16 checksum = tcp->checksum;
  delta.apply(checksum);
  tcp->checksum = checksum;
  packet.l4_bytes = static_cast<uint16_t>(packet.l4_bytes + kToa6Bytes);
  packet.ip->payload = to_be(static_cast<uint16_t>(from_be(packet.ip->payload) + kToa6Bytes));
  counters().add(Extra::client_option_added);
  return true;
}

template <Spliced spliced>
void Worker6::forward_reply(Packet6& packet, uint32_t record) {
  Record& c = table_[record];
  const Service* service = snapshot().service_of_slot(c.service);
  if (service != nullptr && service->has(wire::kStandby | kFiltered)) {
    if (service->has(wire::kStandby)) return drop(packet, End::standby, &c);
    if (is_denied(packet, record, *service)) return;
  }
  if (packet.protocol == kTcp) {
    const Tcp& tcp = *packet.tcp();
    if constexpr (spliced == Spliced::yes) {
      if (!meet_server(packet, record)) return;
    } else {
      if (tcp.flags & (kSyn | kRst)) [[unlikely]]
        note_first_answer(record, tcp.flags);
      update_state(record, Sight::reply, tcp.flags);
      if ((tcp.flags & (kSyn | kAck)) == (kSyn | kAck)) [[unlikely]] {
        c.server_isn1 = from_be(tcp.sequence) + 1;
        c.flags |= kServerIsnKnown;
      }
    }
  } else if (packet.protocol == kSctp) {
    update_sctp_state(packet, record, Sight::reply);
  }
  c.last_seen_ms = static_cast<uint32_t>(worker_.now_ms_);
  c.answered = 1;
  // Routers speak from an address of their own; a LIP is the one FullNAT's server knows.
  const WideAddress* own = fib().own_address(packet.port);
  const WideAddress source =
      c.mode() == Mode::nat && own != nullptr ? *own : packet.ip->destination;
  if (packet.ip->hops <= 1) {
    return answer_icmp(packet, kTimeExceeded6, 0, 0, source, End::answered_time_exceeded);
  }
  End failure{};
  const NextHop6* hop = next_hop(c, Direction::reply, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  if (packet.total_length() > hop->mtu && packet.fragment_bytes == 0) {
    if (packet.total_length() <= kLeastMtu6) return drop(packet, End::mtu_below_ipv6, &c);
    return answer_icmp(packet, kTooBig6, 0, mtu_for_senders(hop->mtu), source,
                       End::answered_too_big);
  }
  if (packet.protocol == kUdp && packet.udp()->checksum == 0) {
    return drop(packet, End::udp_without_checksum, &c);
  }
  count(c, Direction::reply, packet.total_length());
  if constexpr (spliced == Spliced::yes) shift_reply(packet, c);
  // What the client sends grows by the option until the server has answered.
  const bool syn = packet.protocol == kTcp && (packet.tcp()->flags & kSyn) != 0;
  if (syn && c.mode() == Mode::fullnat && service != nullptr &&
      service->has(wire::kClientAddress)) {
    lower_mss(packet.tcp(), kToa6Bytes);
  }
  translate<Direction::reply>(packet, c);
  send_to(packet, *hop,
          c.mode() == Mode::nat ? End::forwarded_nat_reply : End::forwarded_fullnat_reply, &c);
}

// For 5_splice.cc.
template void Worker6::forward_request<Spliced::yes>(Packet6&, uint32_t);

// As Worker::without_server.
bool Worker6::without_server(Packet6& packet, uint32_t record) {
  const Record& c = table_[record];
  const Service* service = snapshot().service_of_slot(c.service);
  if (service != nullptr && service->has(wire::kStandby)) {
    drop(packet, End::standby, &c);
    return true;
  }
  if (service != nullptr && service->has(kFiltered) && is_denied(packet, record, *service)) {
    return true;
  }
  if (snapshot().serves(c.server)) return false;
  if (service != nullptr && service->has(wire::kResetOnServerRemoved)) {
    destroy(record, Extra::connections_expired);
    first_packet(packet);
    return true;
  }
  if (snapshot().server_of_slot(c.server) != nullptr) return false;
  drop(packet, End::server_removed, &c);
  return true;
}

// As Worker::is_denied.
bool Worker6::is_denied(Packet6& packet, uint32_t record, const Service& service) {
  Record& c = table_[record];
  const Epoch& epoch = worker_.epoch_;
  if (epoch.is_current(c.settled)) return false;
  if (!service.admits(c.caddr)) {
    drop(packet, End::denied, &c);
    destroy(record, Extra::connections_denied);
    return true;
  }
  if (!epoch.hops_hold(c.settled)) c.hop[0] = c.hop[1] = Fib6::kNoHop;
  c.settled = epoch.settled(Way::unsettled);
  return false;
}

const NextHop6* Worker6::next_hop(Record& c, Direction towards, End& failure) {
  uint16_t& cached = c.hop[static_cast<unsigned>(towards)];
  if (!worker_.epoch_.hops_hold(c.settled)) {
    c.hop[0] = c.hop[1] = Fib6::kNoHop;
    c.settled = worker_.epoch_.settled(Way::unsettled);
  }
  if (cached != Fib6::kNoHop) return &fib()[cached];
  // So does the first packet of a connection that was adopted.
  if (feed_.on()) note_use(c);
  const Fib6::Answer answer = fib().lookup(towards == Direction::request ? c.raddr : c.caddr);
  if (answer.next_hop <= UINT16_MAX) {
    cached = static_cast<uint16_t>(answer.next_hop);
    return &fib()[cached];
  }
  failure = answer.has_route ? End::no_neighbour : End::no_route;
  worker_.note(answer.has_route ? Note::no_neighbour : Note::no_route, c.service);
  if (answer.has_route) ask_for(answer.port, answer.unresolved);
  return nullptr;
}

// Towards an IPv4 server: hop[0] is an index into IPv4's next hops then.
const NextHop* Worker6::next_hop_v4(Record& c, End& failure) {
  if (feed_.on()) note_use(c);
  const Fib::Answer answer = worker_.fib_->lookup(v4_of(c.raddr));
  if (answer.next_hop <= UINT16_MAX) return &(*worker_.fib_)[answer.next_hop];
  failure = answer.has_route ? End::no_neighbour : End::no_route;
  worker_.note(answer.has_route ? Note::no_neighbour : Note::no_route, c.service);
  if (answer.unresolved != 0) worker_.ask_for(answer.port, answer.unresolved);
  return nullptr;
}

void Worker6::update_state(uint32_t record, Sight sight, uint8_t flags) {
  const State state = next_state(table_[record].state, sight, flags);
  if (state != table_[record].state) change_state(record, state);
}

void Worker6::update_sctp_state(const Packet6& packet, uint32_t record, Sight sight) {
  uint8_t chunk = 0;
  if (!find_sctp_chunk(packet.l4, packet.l4_bytes, chunk)) return;
  const State state = next_sctp_state(table_[record].state, sight, chunk);
  if (state != table_[record].state) change_state(record, state);
}

void Worker6::change_state(uint32_t record, State state) {
  Record& c = table_[record];
  // The wheel finds out about a later deadline by itself; an earlier one moves the record.
  const bool sooner = timeout_of(state) < timeout_of(c.state);
  c.state = state;
  tell_soon(record);
  if (is_established(state)) {
    expendables_.remove(record);
  } else {
    expendables_.add(record);
  }
  if (sooner) {
    wheel_.remove(record);
    wheel_.add(record, worker_.now_ms_ + timeout_of(state));
  }
  const bool active = is_active(state);
  if (active == c.has(kCountedActive)) return;
  uint64_t* counted = counters().server(c.server);
  --counted[active ? kInactive : kActive];
  ++counted[active ? kActive : kInactive];
  c.flags ^= kCountedActive;
}

void Worker6::count(const Record& c, Direction direction, uint16_t bytes) {
  const bool request = direction == Direction::request;
  for (uint64_t* counted : {counters().service(c.service), counters().server(c.server)}) {
    ++counted[request ? kInPackets : kOutPackets];
    counted[request ? kInBytes : kOutBytes] += bytes;
  }
}

}  // namespace sluice
