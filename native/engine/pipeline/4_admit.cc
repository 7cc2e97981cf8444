// Part of stage 4: first packets for a service with a SYN proxy, of either family. A SYN costs
// nothing but the answer (7_cookie.cc); who returns its cookie gets a connection, and its segment
// goes on to the real server as the SYN that it stands for. How the two are brought together is in
// 5_splice.cc.
#include "../net/lone_head.h"
#include "../worker6.h"

namespace sluice {

using namespace net;

namespace {

// Of a first SYN; the next ones wait twice as long each (RFC 6298 section 5.5).
constexpr uint32_t kFirstRetryMs = 1'000;

const Service& common_of(const Service& service) {
  return service;
}
const Service& common_of(const Service6& service) {
  return *service.common;
}

}  // namespace

template <class Half, class Family>
void ProxyHalf<Half, Family>::admit(Frame& packet, const Served& served) {
  const Service& service = common_of(served);
  const TupleOf<Family>& tuple = packet.key.tuple;
  const uint8_t flags = packet.tcp()->flags;
  if (flags & kSyn) {
    if (flags & kAck) return self().answer_reset(packet);
    // Without a server that could take it, the client is told at once.
    if (service.max_weight == 0 && service.persistence_ms == 0) {
      constexpr uint8_t kType = kSix ? uint8_t{kUnreachable6} : uint8_t{kUnreachable};
      return self().answer_icmp(packet, kType, kSix ? 4 : 3, 0, tuple.destination,
                                End::answered_port_unreachable);
    }
    return answer_by_cookie(packet, service);
  }
  Admission admission;
  if (!has_cookie(packet, admission)) return self().answer_reset(packet, End::cookie_refused);
  if (!Half::l4_checksum_is_right(packet)) return self().drop(packet, End::bad_l4_checksum);
  const uint32_t chosen = self().choose(tuple, service, nullptr);
  if (chosen == kNone) return self().answer_reset(packet);
  const Server& server = service.servers[chosen];
  if (!become_syn(packet, admission)) return self().drop(packet, End::no_headroom);
  End failure{};
  uint32_t record;
  if constexpr (kSix) {
    record = self().connect(packet, served, chosen, failure);
  } else {
    record = self().connect(packet, served, server, failure);
  }
  if (record == kNone) return self().drop(packet, failure);
  if (service.persistence_ms != 0) {
    self().keep_server(tuple.source, service, server, record, nullptr);
  }
  Flow& c = connection(record);
  c.packets = kProxied;
  c.server_isn1 = admission.client_isn;
  splices_at(record) = {admission.cookie, admission.window, admission.offer.scale, 1};
  self().wheel_.remove(record);
  self().wheel_.add(record, now_ms() + kFirstRetryMs);
  self().forward_on(packet, c);
}

// Does the segment acknowledge a cookie of ours? One that probes our window of 0 may do so with the
// sequence number before its own first one (RFC 9293 section 3.8.6.1).
template <class Half, class Family>
bool ProxyHalf<Half, Family>::has_cookie(const Frame& packet, Admission& admission) const {
  const Tcp& tcp = *packet.tcp();
  if ((tcp.flags & (kSyn | kRst | kAck)) != kAck) return false;
  const uint32_t cookie = from_be(tcp.acknowledgement) - 1;
  for (const uint32_t before : {1u, 0u}) {
    const uint32_t isn = from_be(tcp.sequence) - before;
    const auto offer = self().cookies_.read(packet.key.tuple, isn, cookie, now_ms());
    if (!offer) continue;
    admission = {cookie, isn, from_be(tcp.window), *offer};
    return true;
  }
  return false;
}

// The SYN that the client had sent, in place of what has come. Its window isn't scaled (RFC 7323
// section 2.2). Data, which our window of 0 had not asked for, is left to be sent again.
template <class Half, class Family>
bool ProxyHalf<Half, Family>::become_syn(Frame& packet, const Admission& admission) {
  const Tcp came = *packet.tcp();
  auto& ip = *packet.ip;
  if (!resize(packet, sizeof ip + kMostSegment)) return false;
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip + 1);
  Tcp syn = syn_of(admission.offer, admission.client_isn, admission.window);
  syn.source = came.source;
  syn.destination = came.destination;
  packet.l4_bytes = write_segment(packet.tcp(), syn, admission.offer,
                                  pseudo_sum(ip.source, ip.destination, kTcp, 0));
  make_bare(ip);
  set_total_length(ip, static_cast<uint16_t>(sizeof ip + packet.l4_bytes));
  packet.fragment_bytes = 0;
  return resize(packet, packet.total_length());
}

// `window`: as the client's header had it.
template <class Half, class Family>
Tcp ProxyHalf<Half, Family>::syn_of(const SynOffer& offer, uint32_t client_isn, uint16_t window) {
  const unsigned scale = offer.scale == SynOffer::kNoScale ? 0 : offer.scale;
  Tcp syn{};
  syn.sequence = to_be(client_isn);
  syn.flags = kSyn;
  syn.window = to_be(static_cast<uint16_t>(std::min<uint32_t>(uint32_t{window} << scale, 65535)));
  return syn;
}

// Cuts the frame's end off, or appends to it. False when the mbuf has no room.
template <class Half, class Family>
bool ProxyHalf<Half, Family>::resize(const Frame& packet, uint16_t ip_bytes) {
  const uint16_t now = rte_pktmbuf_data_len(packet.mbuf);
  const auto wanted = static_cast<uint16_t>(sizeof(Ethernet) + ip_bytes);
  if (wanted > now) {
    return rte_pktmbuf_append(packet.mbuf, static_cast<uint16_t>(wanted - now)) != nullptr;
  }
  rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(now - wanted));
  return true;
}

// What else is there of it is used by these alone, and by 5_splice.cc and 7_cookie.cc.
#define SLUICE_INSTANTIATE(Half, Family, Frame, Served)                              \
  template void ProxyHalf<Half, Family>::admit(Frame&, const Served&);               \
  template bool ProxyHalf<Half, Family>::has_cookie(const Frame&, Admission&) const; \
  template Tcp ProxyHalf<Half, Family>::syn_of(const SynOffer&, uint32_t, uint16_t); \
  template bool ProxyHalf<Half, Family>::resize(const Frame&, uint16_t);
SLUICE_INSTANTIATE(Worker, V4, Packet, Service)
SLUICE_INSTANTIATE(Worker6, V6, Packet6, Service6)
#undef SLUICE_INSTANTIATE

}  // namespace sluice
