// Stage 5: TUN to an IPv6 server, IPv4 inside IPv6 (RFC 2473). A record has no room for such an
// address and has a stand-in, which keeps its connection on the full way; the address is the
// snapshot's.
#include "../mode/mode6.h"
#include "../worker6.h"

namespace sluice {

using namespace net;

void Worker::emit_in_ipv6(Packet& packet, Record& c, End end) {
  // So does the first packet of a connection that was adopted.
  if (feed_.on()) note_use(c);
  End failure{};
  const NextHop6* hop = next_hop_v6(c, failure);
  if (hop == nullptr) return drop(packet, failure, &c);
  renew_wrap(c);
  const Wrap wrap = mode::tunnel::wrap_of(c);
  const auto overhead = static_cast<uint16_t>(sizeof(Ipv6) + mode::tunnel::shim_bytes(wrap));
  const uint32_t mtu = hop->mtu - overhead;
  if (!fits(packet, mtu)) {
    if (end == End::forwarded_icmp_error) return drop(packet, End::icmp_too_big, &c);
    decrement_ttl(*packet.ip);  // as Linux quotes it
    return answer_icmp(packet, kUnreachable, 4, to_be(mtu), c.vaddr, End::answered_too_big);
  }
  const WideAddress& server = *snapshot_->tunnel_end_of_slot(c.server);
  const auto wrap_up = [&](rte_mbuf* mbuf) {
    auto* inner = rte_pktmbuf_mtod(mbuf, Ipv4*);
    const uint32_t bytes = rte_pktmbuf_data_len(mbuf);
    if (rte_pktmbuf_prepend(mbuf, overhead) == nullptr) return false;
    mode::tunnel6::request(inner, bytes, hop->own, server, wrap, mode::tunnel::ports_of(c));
    return true;
  };
  // Each piece goes into a packet of its own: nothing is put together but by who is asked.
  if (packet.total_length() > mtu || packet.fragment_bytes != 0) {
    Pieces pieces;
    const unsigned n = cut(packet, mtu, pieces);
    for (unsigned i = 0; i < n; ++i) wrap_up(pieces[i]);  // fresh mbufs have the room
    return send_pieces(packet, n, pieces, hop->header, hop->port, end, &c);
  }
  rte_pktmbuf_adj(packet.mbuf, sizeof(Ethernet));
  if (!wrap_up(packet.mbuf) || rte_pktmbuf_prepend(packet.mbuf, sizeof(Ethernet)) == nullptr) {
    return drop(packet, End::no_headroom, &c);
  }
  store(rte_pktmbuf_mtod(packet.mbuf, Ethernet*), Ethernet(hop->header));
  tell(packet, end, &c, hop->port);
  push(to_port_[hop->port], packet.mbuf, end);
  if (to_port_[hop->port].n >= kBurst) flush_port(hop->port);
}

// Looked up anew for each packet: the record's places are for IPv4's next hops.
const NextHop6* Worker::next_hop_v6(const Record& c, End& failure) {
  const WideAddress* server = snapshot_->tunnel_end_of_slot(c.server);
  failure = End::server_removed;
  if (server == nullptr) return nullptr;
  const Fib6& fib = fib_->six();
  const Fib6::Answer answer = fib.lookup(*server);
  // A tunnel needs an address of ours to come from.
  if (answer.next_hop != kNone && !is_unspecified(fib[answer.next_hop].own)) {
    return &fib[answer.next_hop];
  }
  const bool unresolved = answer.next_hop == kNone && answer.has_route;
  failure = unresolved ? End::no_neighbour : End::no_route;
  note(unresolved ? Note::no_neighbour : Note::no_route, c.service);
  if (unresolved) six_->ask_for(answer.port, answer.unresolved);
  return nullptr;
}

}  // namespace sluice
