// Stage 6: ICMP errors about tunnels between families. Such an error becomes, before anybody has
// looked for its connection, what it would be if the tunnel were of the inner packet's family, and
// goes on in that family's half, which knows what to do with it and whose it is.
#include "../net/across.h"
#include "../worker.h"
#include "../worker6.h"

namespace sluice {

using namespace net;

// `outer`: the quoted packet of ours; `inner`: the client's in it. False: not about a service of
// ours, and left as it was.
bool Worker::give_error_to_six(Packet& packet, const Ipv4& outer, const uint8_t* inner) {
  const uint8_t* const end = packet.l4 + packet.l4_bytes;
  if (static_cast<size_t>(end - inner) < sizeof(Ipv6) + 8) return false;
  const auto request = load<Ipv6>(inner);
  const auto kind = in_icmp6({packet.icmp()->type, packet.icmp()->code});
  if (request.version() != 6 || !kind || !fib_->is_own(outer.source)) return false;
  const WideAddress vip = request.destination;
  if ((snapshot_->six().address_flags(vip) & Snapshot::kOwned) == 0) return false;
  if (fold(sum_bytes(packet.l4, packet.l4_bytes)) != 0xffff) return false;
  const auto overhead = static_cast<uint32_t>(inner - reinterpret_cast<const uint8_t*>(&outer));
  const uint32_t mtu = from_be(packet.icmp()->rest) & 0xffff;
  const Ethernet ethernet{packet.ethernet()->destination, packet.ethernet()->source, kEtherIpv6};

  constexpr auto kBefore = sizeof(Ethernet) + sizeof(Ipv6) + sizeof(Icmp) + sizeof(Ipv6);
  const auto before = static_cast<size_t>(inner - rte_pktmbuf_mtod(packet.mbuf, uint8_t*));
  const bool room =
      before >= kBefore
          ? rte_pktmbuf_adj(packet.mbuf, static_cast<uint16_t>(before - kBefore)) != nullptr
          : rte_pktmbuf_prepend(packet.mbuf, static_cast<uint16_t>(kBefore - before)) != nullptr;
  if (!room) return false;
  auto* frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  const auto quoted = static_cast<uint16_t>(end - inner);
  const auto l4_bytes = static_cast<uint16_t>(sizeof(Icmp) + sizeof(Ipv6) + quoted);
  store(frame, ethernet);
  auto* ip = reinterpret_cast<Ipv6*>(frame + sizeof(Ethernet));
  *ip = {first_word(0), to_be(l4_bytes), kIcmp6, kErrorHops, vip, vip};
  auto* icmp = reinterpret_cast<Icmp*>(ip + 1);
  *icmp = {kind->type, kind->code, 0, 0};
  // Less the outer header that the other half will take off it.
  if (kind->type == kTooBig6) icmp->rest = to_be(mtu + uint32_t{sizeof(Ipv6)} - overhead);
  *reinterpret_cast<Ipv6*>(icmp + 1) = {first_word(0), to_be(quoted), kIpv6InIp,
                                        kErrorHops,    vip,           vip};
  icmp->checksum = l4_checksum(vip, vip, kIcmp6, icmp, l4_bytes);
  packet.concern = Concern::ended;
  six_->take(packet.mbuf, packet.port, false);
  six_waits_ = true;
  return true;
}

// What Worker6 has made of an ICMPv6 error: a frame whose connection is looked for here.
void Worker::take_error(rte_mbuf* mbuf, uint16_t port) {
  Packet packet{};
  packet.bucket = Table::empty_bucket();
  packet.mbuf = mbuf;
  packet.port = port;
  packet.source = mbuf->hash.fdir.hi;
  packet.candidate = kNone;
  packet.concern = Concern::other;
  packet.ip = reinterpret_cast<Ipv4*>(rte_pktmbuf_mtod(mbuf, Ethernet*) + 1);
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip + 1);
  packet.l4_bytes = static_cast<uint16_t>(packet.total_length() - sizeof(Ipv4));
  parse_quote(packet);
  if (packet.concern != Concern::icmp_error) return drop(packet, End::icmp_without_connection);
  packet.hash = table_.hash(packet.key);
  if (options_.workers > 1) {
    const uint16_t owner = owner_of(packet);
    if (owner != options_.index) return give_to(owner, packet);
  }
  related_error(packet);
}

}  // namespace sluice
