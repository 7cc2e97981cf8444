// Part of stage 7: a SYN's answer where a service has a SYN proxy (RFC 4987 section 3.6).
#include "../net/lone_head.h"
#include "../worker6.h"

namespace sluice {

using namespace net;

// The window stays closed until there is a server to send to, so that nothing has to be kept for
// it. Timestamps are not offered: nobody here could go on with the server's.
template <class Half, class Family>
void ProxyHalf<Half, Family>::answer_by_cookie(Frame& packet, const Service& service) {
  constexpr uint8_t kTtl = 64;
  if (!Half::l4_checksum_is_right(packet)) return self().drop(packet, End::bad_l4_checksum);
  const Mac from = packet.ethernet()->source;
  const auto in = *packet.ip;
  const Tcp syn = *packet.tcp();
  const SynOffer offer = syn_offer_of(packet.tcp());
  if (!resize(packet, sizeof in + kMostSegment)) return self().drop(packet, End::no_headroom);
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip + 1);
  const bool scales = offer.scale != SynOffer::kNoScale;
  const SynOffer ours{proxy_mss(service),
                      scales ? mode::splice::kPromisedScale : SynOffer::kNoScale, offer.sack};
  Tcp tcp{};
  tcp.source = syn.destination;
  tcp.destination = syn.source;
  tcp.sequence =
      to_be(self().cookies_.make(packet.key.tuple, from_be(syn.sequence), offer, now_ms()));
  tcp.acknowledgement = to_be(from_be(syn.sequence) + 1);
  tcp.flags = kSyn | kAck;
  const uint16_t bytes =
      write_segment(packet.tcp(), tcp, ours, pseudo_sum(in.destination, in.source, kTcp, 0));
  const auto total = static_cast<uint16_t>(sizeof in + bytes);
  const auto tos = static_cast<uint8_t>(class_of(in) & 0xfc);
  *packet.ip = lone_head(tos, 0, kTtl, in.destination, in.source, total);
  resize(packet, total);
  self().reflect(packet, from, End::answered_by_cookie);
}

// What fits the narrowest port, with room for the option that tells servers of their clients.
template <class Half, class Family>
uint16_t ProxyHalf<Half, Family>::proxy_mss(const Service& service) {
  const Worker& common = worker();
  uint16_t mtu = UINT16_MAX;
  for (uint16_t port = 0; port < common.options_.ports; ++port) {
    mtu = std::min(mtu, common.fib_->port(port).mtu);
  }
  const bool tells = service.has(wire::kClientAddress) && !service.locals.empty();
  const unsigned toa = !tells ? 0 : kSix ? kToa6Bytes : kToaBytes;
  return static_cast<uint16_t>(mtu - Family::kHeader - sizeof(Tcp) - toa);
}

template void ProxyHalf<Worker, V4>::answer_by_cookie(Packet&, const Service&);
template void ProxyHalf<Worker6, V6>::answer_by_cookie(Packet6&, const Service&);

}  // namespace sluice
