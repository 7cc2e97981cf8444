// Stage 5 for connections of the SYN proxy (mode/splice.h), which never settle: they go the full
// way with their numbers shifted, once the real server has answered the SYN that the director sent
// it. Until then the client waits with a window of 0, and whatever it sends all the same is sent
// again.
#include "../worker.h"

namespace sluice {

using namespace net;
using mode::splice::Splice;

namespace {

constexpr unsigned kMostSyns = 4;  // 0, 1, 3 and 7 s after the client's answer
constexpr uint32_t kRetryMs = 1'000;
constexpr uint8_t kOwnTtl = 64;

// Of the client's SYN, while the server has not answered.
uint32_t client_isn(const Connection<V4>& c) {
  return c.server_isn1;
}

}  // namespace

Splice& Worker::splices_at(uint32_t record) {
  if (splices_ == nullptr) {
    splices_ = std::make_unique<TableMemory<Splice>>(options_.limits.max_connections);
  }
  return (*splices_)[record];
}

// From the client. What may be a new connection of it is asked for a cookie first: no SYN, which
// anybody can send, ends one that is there.
void Worker::forward_proxied(Packet& packet, uint32_t record) {
  Record& c = table_[record];
  const uint8_t flags = packet.tcp()->flags;
  const Service* service = snapshot_->service_of_slot(c.service);
  if (service != nullptr && service->has(wire::kStandby)) return drop(packet, End::standby, &c);
  const bool proxies = service != nullptr && service->syn_proxy;
  if (c.state != State::established) {
    if (proxies && (flags & (kSyn | kAck | kRst)) == kSyn) {
      return answer_by_cookie(packet, *service);
    }
    Admission admission;
    const bool anew =
        proxies ? has_cookie(packet, admission) && admission.cookie != splices_at(record).cookie
                : begins_anew(packet, c);
    if (anew) {
      destroy(record, Extra::connections_expired);
      return first_packet(packet);
    }
  }
  if (!is_waiting(c)) return forward_request(packet, record);
  if (flags & kRst) return give_up(packet, record);
  // The server has refused it, and the client has not heard of that.
  if (c.state != State::syn_recv) return answer_reset(packet);
  drop(packet, End::awaits_server, &c);
}

// The client doesn't want it any more (RFC 9293 section 3.10.7.4).
void Worker::give_up(Packet& packet, uint32_t record) {
  Record& c = table_[record];
  Tcp* tcp = packet.tcp();
  if (from_be(tcp->sequence) != client_isn(c) + 1) return drop(packet, End::awaits_server, &c);
  mode::splice::change_header(tcp, [tcp] {
    tcp->flags = kRst;
    tcp->acknowledgement = 0;
  });
  change_state(record, State::close);
  forward_request(packet, record);
}

// From the server. True when the packet goes on to the client.
bool Worker::meet_server(Packet& packet, uint32_t record) {
  Record& c = table_[record];
  const uint8_t flags = packet.tcp()->flags;
  if (is_waiting(c)) return meet_first_answer(packet, record);
  const bool again = (flags & (kSyn | kAck | kRst)) == (kSyn | kAck) &&
                     from_be(packet.tcp()->sequence) + 1 == c.server_isn1;
  if (again) return splice_together(packet, record);
  update_state(record, Sight::reply, flags);
  return true;
}

// RFC 9293 section 3.10.7.3: the director is in SYN-SENT on the client's behalf.
bool Worker::meet_first_answer(Packet& packet, uint32_t record) {
  Record& c = table_[record];
  Tcp* tcp = packet.tcp();
  const uint8_t flags = tcp->flags;
  const bool acknowledges =
      (flags & kAck) != 0 && from_be(tcp->acknowledgement) == client_isn(c) + 1;
  // Of an older connection with the same ends, perhaps.
  if (!acknowledges && (flags & (kAck | kRst)) == kAck) return answer_reset(packet), false;
  if (!acknowledges || c.state != State::syn_recv || (flags & (kSyn | kRst)) == 0) {
    return drop(packet, End::awaits_server, &c), false;
  }
  if (!l4_checksum_is_right(packet)) return drop(packet, End::bad_l4_checksum, &c), false;
  if ((flags & kRst) == 0) return splice_together(packet, record);
  note_first_answer(record, flags);
  update_state(record, Sight::reply, flags);
  // As a host that had accepted it would say it: the client has no other number of ours.
  mode::splice::change_header(tcp, [&] { tcp->sequence = to_be(splices_at(record).cookie + 1); });
  return true;
}

// The server's SYN-ACK, the first or a repeated one: it gets the client's ACK, and the client a
// window to send into. `packet` becomes a segment of the server's that opens it.
bool Worker::splice_together(Packet& packet, uint32_t record) {
  Record& c = table_[record];
  Splice& splice = splices_at(record);
  Tcp* tcp = packet.tcp();
  const SynOffer offer = syn_offer_of(tcp);
  const uint32_t isn1 = from_be(tcp->sequence) + 1;
  const uint16_t window = from_be(tcp->window);
  End failure{};
  const NextHop* hop = next_hop(c, Direction::request, failure);
  if (hop == nullptr) return drop(packet, failure, &c), false;
  rte_mbuf* mbuf = options_.mbufs == nullptr ? nullptr : rte_pktmbuf_alloc(options_.mbufs);
  if (mbuf == nullptr) {
    note(Note::mbufs_exhausted, c.service);
    return drop(packet, End::mbufs_exhausted, &c), false;
  }
  if (is_waiting(c)) {
    note_first_answer(record, tcp->flags);
    splice.server_scale = offer.scale;
    c.server_isn1 = isn1;
    c.flags |= kServerIsnKnown;
    update_state(record, Sight::request, kAck);
  }
  Tcp ack{};
  ack.sequence = tcp->acknowledgement;
  ack.acknowledgement = to_be(isn1);
  ack.flags = kAck;
  ack.window = to_be(mode::splice::window_for_server(splice.window, splice));
  speak_for_client(c, *hop, mbuf, ack, kNoOptions, packet.source);

  // A SYN's window isn't scaled; what goes on is a segment like any other.
  const unsigned scale = offer.scale == SynOffer::kNoScale ? 0 : offer.scale;
  Tcp opens = *tcp;
  opens.sequence = to_be(isn1);
  opens.flags = kAck;
  opens.urgent = 0;
  opens.window = to_be(static_cast<uint16_t>(window == 0 ? 0 : std::max(1, window >> scale)));
  packet.l4_bytes = write_segment(tcp, opens, kNoOptions,
                                  pseudo_sum(packet.ip->source, packet.ip->destination, kTcp, 0));
  packet.ip->total_length =
      to_be(static_cast<uint16_t>(packet.ip->header_bytes() + packet.l4_bytes));
  set_ip_checksum(*packet.ip);
  packet.fragment_bytes = 0;
  resize(packet, packet.total_length());
  return true;
}

// Of a request that is about to be rewritten, and of a reply.
void Worker::shift_request(const Packet& packet, const Record& c) {
  if (is_waiting(c)) return;
  const Splice& splice = splices_at(number_of(c));
  mode::splice::request(packet.tcp(), splice, mode::splice::lead(splice, c.server_isn1));
}

void Worker::shift_reply(const Packet& packet, const Record& c) {
  if (is_waiting(c)) return;
  const Splice& splice = splices_at(number_of(c));
  mode::splice::reply(packet.tcp(), splice, mode::splice::lead(splice, c.server_isn1));
}

// An ICMP error's quote, to be understood by who has sent what it quotes.
void Worker::shift_quote(const Packet& packet, const Record& c, bool to_server) {
  if (is_waiting(c)) return;
  const Splice& splice = splices_at(number_of(c));
  uint8_t* l4 = reinterpret_cast<uint8_t*>(packet.quoted) + packet.quoted->header_bytes();
  mode::splice::quote(l4, static_cast<size_t>(packet.l4 + packet.l4_bytes - l4), to_server,
                      mode::splice::lead(splice, c.server_isn1));
}

// The wheel comes by a connection whose server has not answered. False: it is over.
bool Worker::ask_again(uint32_t record) {
  Record& c = table_[record];
  Splice& splice = splices_at(record);
  uint8_t& sent = splice.server_scale;
  End failure{};
  if (sent >= kMostSyns || snapshot_->server_of_slot(c.server) == nullptr) {
    const NextHop* hop = next_hop(c, Direction::reply, failure);
    if (hop != nullptr) speak_for_server(c, *hop);
    counters_.add(Extra::proxy_given_up);
    return false;
  }
  if ((c.packets & kFailureCounted) == 0) {
    c.packets |= kFailureCounted;
    ++counters_.handshakes(c.server)[kUnanswered];
  }
  const NextHop* hop = next_hop(c, Direction::request, failure);
  rte_mbuf* mbuf =
      hop == nullptr || options_.mbufs == nullptr ? nullptr : rte_pktmbuf_alloc(options_.mbufs);
  if (mbuf != nullptr) {
    const SynOffer offer = SynCookies<V4>::offer_of(splice.cookie);
    speak_for_client(c, *hop, mbuf, syn_of(offer, client_isn(c), splice.window), offer, 0);
    counters_.add(Extra::proxy_syns_repeated);
  }
  wheel_.add(record, now_ms_ + (kRetryMs << sent));
  ++sent;
  return true;
}

void Worker::describe_splice(uint32_t record, sync::Record& told) const {
  const Splice& splice = (*splices_)[record];
  told.cookie = splice.cookie;
  told.window = splice.window;
  told.client_scale = splice.client_scale;
  told.server_scale = splice.server_scale;
}

uint64_t Worker::adopt_splice(uint32_t record, const sync::Record& told, uint64_t due) {
  splices_at(record) = {told.cookie, told.window, told.client_scale, told.server_scale};
  return is_waiting(table_[record]) ? std::min(due, now_ms_ + kRetryMs) : due;
}

// A segment of the client's that it has not sent, to the server. `fields`: all but ports and
// checksum, in the server's numbers. `source`: of the packet that it is sent for; 0: of none.
void Worker::speak_for_client(Record& c, const NextHop& hop, rte_mbuf* mbuf, const Tcp& fields,
                              const SynOffer& offer, uint32_t source) {
  Packet packet{};
  packet.key = FlowKey<V4>(c.request(), kTcp);
  packet.source = source;
  lay_out(packet, mbuf, packet.key.tuple, fields, offer);
  if (c.mode() == Mode::fullnat && !tell_client(packet, c, hop)) return rte_pktmbuf_free(mbuf);
  mode::translate<kTcp>(packet.ip, packet.l4, c, Direction::request);
  send_extra(packet, hop);
}

// What ends the client's waiting for a server that doesn't answer.
void Worker::speak_for_server(const Record& c, const NextHop& hop) {
  rte_mbuf* mbuf = options_.mbufs == nullptr ? nullptr : rte_pktmbuf_alloc(options_.mbufs);
  if (mbuf == nullptr) return;
  Tcp reset{};
  reset.sequence = to_be(splices_at(number_of(c)).cookie + 1);
  reset.acknowledgement = to_be(client_isn(c) + 1);
  reset.flags = kRst | kAck;
  Packet packet{};
  lay_out(packet, mbuf, {c.vaddr, c.caddr, c.vport, c.cport}, reset, kNoOptions);
  send_extra(packet, hop);
}

// A packet in an empty mbuf, Ethernet's header apart.
void Worker::lay_out(Packet& packet, rte_mbuf* mbuf, const TupleOf<V4>& ends, const Tcp& fields,
                     const SynOffer& offer) {
  // The least that mbufs have room for is the MTU's.
  auto* ethernet = reinterpret_cast<Ethernet*>(
      rte_pktmbuf_append(mbuf, sizeof(Ethernet) + sizeof(Ipv4) + kMostSegment));
  packet.mbuf = mbuf;
  packet.ip = reinterpret_cast<Ipv4*>(ethernet + 1);
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip + 1);
  Tcp tcp = fields;
  tcp.source = ends.source_port;
  tcp.destination = ends.destination_port;
  packet.l4_bytes =
      write_segment(packet.tcp(), tcp, offer, pseudo_sum(ends.source, ends.destination, kTcp, 0));
  const auto bytes = static_cast<uint16_t>(sizeof(Ipv4) + packet.l4_bytes);
  *packet.ip = {0x45, 0, to_be(bytes), fresh_ip_id(),   kDontFragment, kOwnTtl,
                kTcp, 0, ends.source,  ends.destination};
  set_ip_checksum(*packet.ip);
  resize(packet, bytes);
}

// Beside the packets that were received: it is nobody's end.
void Worker::send_extra(const Packet& packet, const NextHop& hop) {
  std::memcpy(packet.ethernet(), &hop.header, sizeof hop.header);
  packet.mbuf->hash.fdir.hi = packet.source;
  Out& out = to_port_[hop.port];
  if (out.n == 2 * kBurst) flush_port(hop.port);
  out.mbufs[out.n] = packet.mbuf;
  out.ends[out.n++] = End::fragment;
  out.bytes += rte_pktmbuf_pkt_len(packet.mbuf);
}

}  // namespace sluice
