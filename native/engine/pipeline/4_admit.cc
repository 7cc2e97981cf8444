// Part of stage 4: first packets for a service with a SYN proxy. A SYN costs nothing but the answer
// (7_answer.cc); who returns its cookie gets a connection, and its segment goes on to the real
// server as the SYN that it stands for. How the two are brought together is in 5_splice.cc.
#include "../persistence.h"
#include "../worker.h"

namespace sluice {

using namespace net;
using mode::splice::Splice;

namespace {

// Of a first SYN; the next ones wait twice as long each (RFC 6298 section 5.5).
constexpr uint32_t kFirstRetryMs = 1'000;

}  // namespace

void Worker::admit(Packet& packet, const Service& service) {
  const uint8_t flags = packet.tcp()->flags;
  if (flags & kSyn) {
    if (flags & kAck) return answer_reset(packet);
    // Without a server that could take it, the client is told at once.
    if (service.max_weight == 0 && service.persistence_ms == 0) {
      return answer_icmp(packet, kUnreachable, 3, 0, packet.key.tuple.destination,
                         End::answered_port_unreachable);
    }
    return answer_by_cookie(packet, service);
  }
  Admission admission;
  if (!has_cookie(packet, admission)) return answer_reset(packet, End::cookie_refused);
  if (!l4_checksum_is_right(packet)) return drop(packet, End::bad_l4_checksum);
  const ScheduleContext context{service,          schedulers_[service.slot],
                                counters_,        overloaded_.data(),
                                packet.key.tuple, scheduler_own_};
  const uint32_t chosen = service.persistence_ms == 0 ? schedule_at_once(context)
                                                      : schedule_persistent(context, nullptr);
  if (chosen == kNone) return answer_reset(packet);
  const Server& server = service.servers[chosen];
  if (!become_syn(packet, admission)) return drop(packet, End::no_headroom);
  End failure{};
  const uint32_t record = connect(packet, service, server, failure);
  if (record == kNone) return drop(packet, failure);
  if (service.persistence_ms != 0)
    keep_server(packet.key.tuple.source, service, server, record, nullptr);
  Record& c = table_[record];
  c.packets = kProxied;
  c.server_isn1 = admission.client_isn;
  splices_at(record) = {admission.cookie, admission.window, admission.offer.scale, 1};
  wheel_.remove(record);
  wheel_.add(record, now_ms_ + kFirstRetryMs);
  forward_on(packet, c);
}

// Does the segment acknowledge a cookie of ours? One that probes our window of 0 may do so with the
// sequence number before its own first one (RFC 9293 section 3.8.6.1).
bool Worker::has_cookie(const Packet& packet, Admission& admission) const {
  const Tcp& tcp = *packet.tcp();
  if ((tcp.flags & (kSyn | kRst | kAck)) != kAck) return false;
  const uint32_t cookie = from_be(tcp.acknowledgement) - 1;
  for (const uint32_t before : {1u, 0u}) {
    const uint32_t isn = from_be(tcp.sequence) - before;
    const auto offer = cookies_.read(packet.key.tuple, isn, cookie, now_ms_);
    if (!offer) continue;
    admission = {cookie, isn, from_be(tcp.window), *offer};
    return true;
  }
  return false;
}

// The SYN that the client had sent, in place of what has come. Its window isn't scaled (RFC 7323
// section 2.2). Data, which our window of 0 had not asked for, is left to be sent again.
bool Worker::become_syn(Packet& packet, const Admission& admission) {
  const Tcp came = *packet.tcp();
  Ipv4& ip = *packet.ip;
  if (!resize(packet, sizeof(Ipv4) + kMostSegment)) return false;
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip + 1);
  Tcp syn = syn_of(admission.offer, admission.client_isn, admission.window);
  syn.source = came.source;
  syn.destination = came.destination;
  packet.l4_bytes = write_segment(packet.tcp(), syn, admission.offer,
                                  pseudo_sum(ip.source, ip.destination, kTcp, 0));
  ip.version_ihl = 0x45;
  ip.fragment = kDontFragment;
  ip.total_length = to_be(static_cast<uint16_t>(sizeof(Ipv4) + packet.l4_bytes));
  set_ip_checksum(ip);
  packet.fragment_bytes = 0;
  return resize(packet, packet.total_length());
}

// `window`: as the client's header had it.
Tcp Worker::syn_of(const SynOffer& offer, uint32_t client_isn, uint16_t window) {
  const unsigned scale = offer.scale == SynOffer::kNoScale ? 0 : offer.scale;
  Tcp syn{};
  syn.sequence = to_be(client_isn);
  syn.flags = kSyn;
  syn.window = to_be(static_cast<uint16_t>(std::min<uint32_t>(uint32_t{window} << scale, 65535)));
  return syn;
}

// Cuts the frame's end off, or appends to it. False when the mbuf has no room.
bool Worker::resize(const Packet& packet, uint16_t ip_bytes) {
  const uint16_t now = rte_pktmbuf_data_len(packet.mbuf);
  const auto wanted = static_cast<uint16_t>(sizeof(Ethernet) + ip_bytes);
  if (wanted > now) {
    return rte_pktmbuf_append(packet.mbuf, static_cast<uint16_t>(wanted - now)) != nullptr;
  }
  rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(now - wanted));
  return true;
}

}  // namespace sluice
