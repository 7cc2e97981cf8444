// Stage 5 for connections of the SYN proxy (mode/splice.h), of either family, which never settle:
// they go the full way with their numbers shifted, once the real server has answered the SYN that
// the director sent it. Until then the client waits with a window of 0, and whatever it sends all
// the same is sent again.
#include "../mode/mode6.h"
#include "../net/lone_head.h"
#include "../worker6.h"

namespace sluice {

using namespace net;
using mode::splice::Splice;

namespace {

constexpr unsigned kMostSyns = 4;  // 0, 1, 3 and 7 s after the client's answer
constexpr uint32_t kRetryMs = 1'000;
constexpr uint8_t kOwnTtl = 64;

// Of the client's SYN, while the server has not answered.
template <class Family>
uint32_t client_isn(const Connection<Family>& c) {
  return c.server_isn1;
}

void translate_request(Packet& packet, const Connection<V4>& c) {
  mode::translate<kTcp>(packet.ip, packet.l4, c, Direction::request);
}
void translate_request(Packet6& packet, const Connection<V6>& c) {
  mode::translate<Direction::request>(packet.ip, packet.l4, kTcp, c);
}

uint8_t* quoted_l4_of(const Packet& packet) {
  return reinterpret_cast<uint8_t*>(packet.quoted) + packet.quoted->header_bytes();
}
uint8_t* quoted_l4_of(const Packet6& packet) {
  return packet.quoted_l4;
}

}  // namespace

template <class Half, class Family>
Splice& ProxyHalf<Half, Family>::splices_at(uint32_t record) {
  auto& splices = self().splices_;
  if (splices == nullptr) {
    splices = std::make_unique<Splices>(worker().options_.limits.max_connections);
  }
  return (*splices)[record];
}

// From the client. What may be a new connection of it is asked for a cookie first: no SYN, which
// anybody can send, ends one that is there.
template <class Half, class Family>
void ProxyHalf<Half, Family>::forward_proxied(Frame& packet, uint32_t record) {
  Flow& c = connection(record);
  const uint8_t flags = packet.tcp()->flags;
  const Service* service = snapshot().service_of_slot(c.service);
  if (service != nullptr && service->has(wire::kStandby))
    return self().drop(packet, End::standby, &c);
  const bool proxies = service != nullptr && service->syn_proxy;
  if (c.state != State::established) {
    if (proxies && (flags & (kSyn | kAck | kRst)) == kSyn) {
      return answer_by_cookie(packet, *service);
    }
    Admission admission;
    const bool anew =
        proxies ? has_cookie(packet, admission) && admission.cookie != splices_at(record).cookie
                : self().begins_anew(packet, c);
    if (anew) {
      self().destroy(record, Extra::connections_expired);
      return self().first_packet(packet);
    }
  }
  if (!is_waiting(c)) {
    if constexpr (kSix) {
      return self().template forward_request<Spliced::yes>(packet, record);
    } else {
      return self().forward_request(packet, record);
    }
  }
  if (flags & kRst) return give_up(packet, record);
  // The server has refused it, and the client has not heard of that.
  if (c.state != State::syn_recv) return self().answer_reset(packet);
  self().drop(packet, End::awaits_server, &c);
}

// The client doesn't want it any more (RFC 9293 section 3.10.7.4).
template <class Half, class Family>
void ProxyHalf<Half, Family>::give_up(Frame& packet, uint32_t record) {
  Flow& c = connection(record);
  Tcp* tcp = packet.tcp();
  if (from_be(tcp->sequence) != client_isn(c) + 1)
    return self().drop(packet, End::awaits_server, &c);
  mode::splice::change_header(tcp, [tcp] {
    tcp->flags = kRst;
    tcp->acknowledgement = 0;
  });
  self().change_state(record, State::close);
  self().forward_request(packet, record);
}

// From the server. True when the packet goes on to the client.
template <class Half, class Family>
bool ProxyHalf<Half, Family>::meet_server(Frame& packet, uint32_t record) {
  Flow& c = connection(record);
  const uint8_t flags = packet.tcp()->flags;
  if (is_waiting(c)) return meet_first_answer(packet, record);
  const bool again = (flags & (kSyn | kAck | kRst)) == (kSyn | kAck) &&
                     from_be(packet.tcp()->sequence) + 1 == c.server_isn1;
  if (again) return splice_together(packet, record);
  self().update_state(record, Sight::reply, flags);
  return true;
}

// RFC 9293 section 3.10.7.3: the director is in SYN-SENT on the client's behalf.
template <class Half, class Family>
bool ProxyHalf<Half, Family>::meet_first_answer(Frame& packet, uint32_t record) {
  Flow& c = connection(record);
  Tcp* tcp = packet.tcp();
  const uint8_t flags = tcp->flags;
  const bool acknowledges =
      (flags & kAck) != 0 && from_be(tcp->acknowledgement) == client_isn(c) + 1;
  // Of an older connection with the same ends, perhaps.
  if (!acknowledges && (flags & (kAck | kRst)) == kAck) return self().answer_reset(packet), false;
  if (!acknowledges || c.state != State::syn_recv || (flags & (kSyn | kRst)) == 0) {
    return self().drop(packet, End::awaits_server, &c), false;
  }
  if (!Half::l4_checksum_is_right(packet))
    return self().drop(packet, End::bad_l4_checksum, &c), false;
  if ((flags & kRst) == 0) return splice_together(packet, record);
  self().note_first_answer(record, flags);
  self().update_state(record, Sight::reply, flags);
  // As a host that had accepted it would say it: the client has no other number of ours.
  mode::splice::change_header(tcp, [&] { tcp->sequence = to_be(splices_at(record).cookie + 1); });
  return true;
}

// The server's SYN-ACK, the first or a repeated one: it gets the client's ACK, and the client a
// window to send into. `packet` becomes a segment of the server's that opens it.
template <class Half, class Family>
bool ProxyHalf<Half, Family>::splice_together(Frame& packet, uint32_t record) {
  Flow& c = connection(record);
  Splice& splice = splices_at(record);
  Tcp* tcp = packet.tcp();
  const SynOffer offer = syn_offer_of(tcp);
  const uint32_t isn1 = from_be(tcp->sequence) + 1;
  const uint16_t window = from_be(tcp->window);
  End failure{};
  const Hop* hop = self().next_hop(c, Direction::request, failure);
  if (hop == nullptr) return self().drop(packet, failure, &c), false;
  rte_mbuf* mbuf = fresh_mbuf();
  if (mbuf == nullptr) {
    worker().note(Note::mbufs_exhausted, c.service);
    return self().drop(packet, End::mbufs_exhausted, &c), false;
  }
  if (is_waiting(c)) {
    self().note_first_answer(record, tcp->flags);
    splice.server_scale = offer.scale;
    c.server_isn1 = isn1;
    c.flags |= kServerIsnKnown;
    self().update_state(record, Sight::request, kAck);
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
  const auto head = packet.l4 - reinterpret_cast<uint8_t*>(packet.ip);
  set_total_length(*packet.ip, static_cast<uint16_t>(head + packet.l4_bytes));
  packet.fragment_bytes = 0;
  resize(packet, packet.total_length());
  return true;
}

// Of a request that is about to be rewritten, and of a reply.
template <class Half, class Family>
void ProxyHalf<Half, Family>::shift_request(const Frame& packet, const Flow& c) {
  if (is_waiting(c)) return;
  const Splice& splice = splices_at(number_of(c));
  mode::splice::request(packet.tcp(), splice, mode::splice::lead(splice, c.server_isn1));
}

template <class Half, class Family>
void ProxyHalf<Half, Family>::shift_reply(const Frame& packet, const Flow& c) {
  if (is_waiting(c)) return;
  const Splice& splice = splices_at(number_of(c));
  mode::splice::reply(packet.tcp(), splice, mode::splice::lead(splice, c.server_isn1));
}

// An ICMP error's quote, to be understood by who has sent what it quotes.
template <class Half, class Family>
void ProxyHalf<Half, Family>::shift_quote(const Frame& packet, const Flow& c, bool to_server) {
  if (is_waiting(c)) return;
  const Splice& splice = splices_at(number_of(c));
  uint8_t* l4 = quoted_l4_of(packet);
  mode::splice::quote(l4, static_cast<size_t>(packet.l4 + packet.l4_bytes - l4), to_server,
                      mode::splice::lead(splice, c.server_isn1));
}

// The wheel comes by a connection whose server has not answered. False: it is over.
template <class Half, class Family>
bool ProxyHalf<Half, Family>::ask_again(uint32_t record) {
  Flow& c = connection(record);
  Splice& splice = splices_at(record);
  uint8_t& sent = splice.server_scale;
  End failure{};
  if (sent >= kMostSyns || snapshot().server_of_slot(c.server) == nullptr) {
    const Hop* hop = self().next_hop(c, Direction::reply, failure);
    if (hop != nullptr) speak_for_server(c, *hop);
    counters().add(Extra::proxy_given_up);
    return false;
  }
  if ((c.packets & kFailureCounted) == 0) {
    c.packets |= kFailureCounted;
    ++counters().handshakes(c.server)[kUnanswered];
  }
  const Hop* hop = self().next_hop(c, Direction::request, failure);
  rte_mbuf* mbuf = hop == nullptr ? nullptr : fresh_mbuf();
  if (mbuf != nullptr) {
    const SynOffer offer = SynCookies<Family>::offer_of(splice.cookie);
    speak_for_client(c, *hop, mbuf, syn_of(offer, client_isn(c), splice.window), offer, 0);
    counters().add(Extra::proxy_syns_repeated);
  }
  self().wheel_.add(record, now_ms() + (kRetryMs << sent));
  ++sent;
  return true;
}

template <class Half, class Family>
void ProxyHalf<Half, Family>::describe_splice(uint32_t record, Told& told) const {
  const Splice& splice = (*self().splices_)[record];
  told.cookie = splice.cookie;
  told.window = splice.window;
  told.client_scale = splice.client_scale;
  told.server_scale = splice.server_scale;
}

template <class Half, class Family>
uint64_t ProxyHalf<Half, Family>::adopt_splice(uint32_t record, const Told& told, uint64_t due) {
  splices_at(record) = {told.cookie, told.window, told.client_scale, told.server_scale};
  return is_waiting(connection(record)) ? std::min(due, now_ms() + kRetryMs) : due;
}

template <class Half, class Family>
rte_mbuf* ProxyHalf<Half, Family>::fresh_mbuf() {
  rte_mempool* mbufs = worker().options_.mbufs;
  return mbufs == nullptr ? nullptr : rte_pktmbuf_alloc(mbufs);
}

// A segment of the client's that it has not sent, to the server. `fields`: all but ports and
// checksum, in the server's numbers. `source`: of the packet that it is sent for; 0: of none.
template <class Half, class Family>
void ProxyHalf<Half, Family>::speak_for_client(Flow& c, const Hop& hop, rte_mbuf* mbuf,
                                               const Tcp& fields, const SynOffer& offer,
                                               uint32_t source) {
  Frame packet{};
  packet.source = source;
  lay_out(packet, mbuf, c.request(), fields, offer);
  if (c.mode() == Mode::fullnat && !self().tell_client(packet, c, hop)) {
    return rte_pktmbuf_free(mbuf);
  }
  translate_request(packet, c);
  send_extra(packet, hop);
}

// What ends the client's waiting for a server that doesn't answer.
template <class Half, class Family>
void ProxyHalf<Half, Family>::speak_for_server(const Flow& c, const Hop& hop) {
  rte_mbuf* mbuf = fresh_mbuf();
  if (mbuf == nullptr) return;
  Tcp reset{};
  reset.sequence = to_be(splices_at(number_of(c)).cookie + 1);
  reset.acknowledgement = to_be(client_isn(c) + 1);
  reset.flags = kRst | kAck;
  Frame packet{};
  lay_out(packet, mbuf, {c.vaddr, c.caddr, c.vport, c.cport}, reset, kNoOptions);
  send_extra(packet, hop);
}

// A packet in an empty mbuf, Ethernet's header apart.
template <class Half, class Family>
void ProxyHalf<Half, Family>::lay_out(Frame& packet, rte_mbuf* mbuf, const TupleOf<Family>& ends,
                                      const Tcp& fields, const SynOffer& offer) {
  // The least that mbufs have room for is the MTU's.
  auto* ethernet = reinterpret_cast<Ethernet*>(
      rte_pktmbuf_append(mbuf, sizeof(Ethernet) + Family::kHeader + kMostSegment));
  packet.mbuf = mbuf;
  packet.ip = reinterpret_cast<decltype(packet.ip)>(ethernet + 1);
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip + 1);
  packet.key = FlowKey<Family>(ends, kTcp);
  be16 id = 0;
  if constexpr (kSix) {
    packet.protocol = kTcp;
  } else {
    id = worker().fresh_ip_id();
  }
  Tcp tcp = fields;
  tcp.source = ends.source_port;
  tcp.destination = ends.destination_port;
  packet.l4_bytes =
      write_segment(packet.tcp(), tcp, offer, pseudo_sum(ends.source, ends.destination, kTcp, 0));
  const auto bytes = static_cast<uint16_t>(Family::kHeader + packet.l4_bytes);
  *packet.ip = lone_head(0, id, kOwnTtl, ends.source, ends.destination, bytes);
  resize(packet, bytes);
}

// Beside the packets that were received: it is nobody's end.
template <class Half, class Family>
void ProxyHalf<Half, Family>::send_extra(const Frame& packet, const Hop& hop) {
  std::memcpy(packet.ethernet(), &hop.header, sizeof hop.header);
  packet.mbuf->hash.fdir.hi = packet.source;
  auto& out = worker().to_port_[hop.port];
  if (out.n == 2 * kBurst) worker().flush_port(hop.port);
  out.mbufs[out.n] = packet.mbuf;
  out.ends[out.n++] = End::fragment;
  out.bytes += rte_pktmbuf_pkt_len(packet.mbuf);
}

#define SLUICE_INSTANTIATE(Half, Family, Frame)                                                    \
  template Splice& ProxyHalf<Half, Family>::splices_at(uint32_t);                                  \
  template void ProxyHalf<Half, Family>::forward_proxied(Frame&, uint32_t);                        \
  template bool ProxyHalf<Half, Family>::meet_server(Frame&, uint32_t);                            \
  template void ProxyHalf<Half, Family>::shift_request(const Frame&, const Connection<Family>&);   \
  template void ProxyHalf<Half, Family>::shift_reply(const Frame&, const Connection<Family>&);     \
  template void ProxyHalf<Half, Family>::shift_quote(const Frame&, const Connection<Family>&,      \
                                                     bool);                                        \
  template bool ProxyHalf<Half, Family>::ask_again(uint32_t);                                      \
  template void ProxyHalf<Half, Family>::describe_splice(uint32_t, sync::RecordOf<Family>&) const; \
  template uint64_t ProxyHalf<Half, Family>::adopt_splice(uint32_t, const sync::RecordOf<Family>&, \
                                                          uint64_t);
SLUICE_INSTANTIATE(Worker, V4, Packet)
SLUICE_INSTANTIATE(Worker6, V6, Packet6)
#undef SLUICE_INSTANTIATE

}  // namespace sluice
