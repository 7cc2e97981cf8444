// Stage 6: ICMPv6 errors about tunnels that carry IPv4, as pipeline/6_across.cc has it.
#include "../net/across.h"
#include "../worker6.h"

namespace sluice {

using namespace net;

bool Worker6::give_error_to_four(Packet6& packet, const Ipv6& outer, const uint8_t* inner) {
  const uint8_t* const end = packet.l4 + packet.l4_bytes;
  if (static_cast<size_t>(end - inner) < sizeof(Ipv4) + 8) return false;
  const auto request = load<Ipv4>(inner);
  const auto kind = in_icmp4({packet.icmp()->type, packet.icmp()->code});
  if ((request.version_ihl >> 4) != 4 || !kind || !fib().is_own(outer.source)) return false;
  const be32 vip = request.destination;
  if (!snapshot().owns(vip)) return false;
  if (!l4_sums_up(*packet.ip, kIcmp6, packet.l4, packet.l4_bytes)) return false;
  const auto overhead = static_cast<uint32_t>(inner - reinterpret_cast<const uint8_t*>(&outer));
  const uint32_t mtu = from_be(packet.icmp()->rest);
  const Ethernet ethernet{packet.ethernet()->destination, packet.ethernet()->source, kEtherIpv4};

  // An IPv6 header and another quoted one took more room than these.
  constexpr auto kBefore = sizeof(Ethernet) + sizeof(Ipv4) + sizeof(Icmp) + sizeof(Ipv4);
  const auto before = static_cast<size_t>(inner - rte_pktmbuf_mtod(packet.mbuf, uint8_t*));
  rte_pktmbuf_adj(packet.mbuf, static_cast<uint16_t>(before - kBefore));
  auto* frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  const auto quoted = static_cast<uint16_t>(end - inner + sizeof(Ipv4));
  const auto l4_bytes = static_cast<uint16_t>(sizeof(Icmp) + quoted);
  store(frame, ethernet);
  auto* ip = reinterpret_cast<Ipv4*>(frame + sizeof(Ethernet));
  *ip = {
      0x45, 0,  to_be(static_cast<uint16_t>(sizeof(Ipv4) + l4_bytes)), 0, 0, kErrorHops, kIcmp, 0,
      vip,  vip};
  set_ip_checksum(*ip);
  auto* icmp = reinterpret_cast<Icmp*>(ip + 1);
  *icmp = {kind->type, kind->code, 0, 0};
  // Less the outer header that the other half will take off it.
  if (kind->code == 4) {
    const uint32_t told = mtu + uint32_t{sizeof(Ipv4)} - overhead;
    icmp->rest = to_be(told < UINT16_MAX ? told : uint32_t{UINT16_MAX});
  }
  *reinterpret_cast<Ipv4*>(icmp + 1) = {0x45,  0, to_be(quoted), 0,  0, kErrorHops,
                                        kIpip, 0, vip,           vip};
  icmp->checksum = checksum_of(icmp, l4_bytes);
  packet.concern = Concern::ended;
  worker_.take_error(packet.mbuf, packet.port);
  return true;
}

}  // namespace sluice
