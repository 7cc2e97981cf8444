// Stage 5 for nearly every packet: plain, of a settled connection (table/settled.h). What the full
// way in 5_forward.cc would find out is known; what may still differ from packet to packet is
// looked at here, and a packet with anything unusual about it is left to the full way.
//
// Packets that go the same way follow one another in a run, which shares what is the same for
// them: mode, protocol and direction as template parameters, the port, the clock, the counters.
#include "../mode/dr.h"
#include "../mode/fullnat.h"
#include "../mode/tunnel.h"
#include "../worker.h"

namespace sluice {

using namespace net;

namespace {

constexpr End end_of(Mode mode, Direction direction) {
  if (direction == Direction::request) return kRequestEnds[static_cast<unsigned>(mode)];
  return mode == Mode::nat ? End::forwarded_nat_reply : End::forwarded_fullnat_reply;
}

// Does this segment leave an established connection as it is, and carry nothing to take out or to
// put in?
template <Mode mode, Direction direction>
bool is_ordinary(const Tcp& tcp, const Connection<V4>& c) {
  if ((tcp.flags & (kFin | kSyn | kRst | kAck)) != kAck) return false;
  if constexpr (mode != Mode::fullnat || direction != Direction::request) return true;
  return from_be(tcp.acknowledgement) != c.server_isn1 && !may_carry_client_option(tcp);
}

}  // namespace

// How many of the packets, from the first, have been forwarded.
inline uint16_t Worker::forward_settled(const Group& group) {
  switch (epoch_.way(group.packets->record->settled)) {
    case Way::unsettled:
      return 0;
    case Way::nat_udp:
      return forward_settled<Mode::nat, kUdp>(group);
    case Way::nat_tcp:
      return forward_settled<Mode::nat, kTcp>(group);
    case Way::dr_udp:
      return forward_run<Mode::dr, kUdp, Direction::request>(group.packets, group.mbufs, group.n);
    case Way::dr_tcp:
      return forward_run<Mode::dr, kTcp, Direction::request>(group.packets, group.mbufs, group.n);
    case Way::tun_udp:
      return forward_run<Mode::tun, kUdp, Direction::request>(group.packets, group.mbufs, group.n);
    case Way::tun_tcp:
      return forward_run<Mode::tun, kTcp, Direction::request>(group.packets, group.mbufs, group.n);
    case Way::fullnat_udp:
      return forward_settled<Mode::fullnat, kUdp>(group);
    case Way::fullnat_tcp:
      return forward_settled<Mode::fullnat, kTcp>(group);
  }
  return 0;
}

template <Mode mode, uint8_t protocol>
inline uint16_t Worker::forward_settled(const Group& group) {
  if (group.packets->candidate & static_cast<uint32_t>(Direction::reply)) {
    return forward_run<mode, protocol, Direction::reply>(group.packets, group.mbufs, group.n);
  }
  return forward_run<mode, protocol, Direction::request>(group.packets, group.mbufs, group.n);
}

template <Mode mode, uint8_t protocol, Direction direction>
uint16_t Worker::forward_run(const Packet* packets, rte_mbuf* const* mbufs, uint16_t n) {
  constexpr bool request = direction == Direction::request;
  constexpr auto towards = static_cast<unsigned>(direction);
  constexpr uint32_t kOverhead = mode == Mode::tun ? mode::tunnel::kIpipBytes : 0;
  constexpr End end = end_of(mode, direction);
  const uint32_t settled = epoch_.settled(way_of(mode, protocol));
  const auto now = static_cast<uint32_t>(now_ms_);
  const uint32_t timeout = timeout_of(protocol == kTcp ? State::established : State::udp);
  const NextHop* const hops = fib_->next_hops();
  const uint16_t port = hops[packets->record->hop[towards]].port;
  uint64_t* const services = counters_.service(0);
  uint64_t* const servers = counters_.server(0);
  Out& out = to_port_[port];
  uint32_t bytes = 0;
  const Packet* packet = packets;
  for (const Packet* const last = packets + n; packet != last; ++packet) {
    __builtin_prefetch(packet[kRecordsAhead].record, 1);
    Record& c = *packet->record;
    if (c.settled != settled) break;
    if (!is_tuple(request ? &c.caddr : &c.raddr, packet->key.tuple)) break;
    if (now - c.last_seen_ms >= timeout) break;
    const NextHop& hop = hops[c.hop[towards]];
    rte_mbuf* const mbuf = packet->mbuf;
    const uint32_t frame = rte_pktmbuf_data_len(mbuf);  // not padded: a plain packet
    if (hop.port != port || frame + kOverhead > hop.most) break;
    Ipv4* const ip = packet->ip;
    uint8_t* const l4 = reinterpret_cast<uint8_t*>(ip + 1);
    if constexpr (protocol == kTcp) {
      if (!is_ordinary<mode, direction>(*reinterpret_cast<const Tcp*>(l4), c)) break;
    } else if constexpr (mode == Mode::nat || mode == Mode::fullnat) {
      if (reinterpret_cast<const Udp*>(l4)->checksum == 0) break;
    }
    uint8_t* ethernet = reinterpret_cast<uint8_t*>(ip) - sizeof(Ethernet);
    if constexpr (mode == Mode::tun) {
      ethernet = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(mbuf, kOverhead));
      if (ethernet == nullptr) break;
      mode::tunnel::request(ip, hop.own, c.raddr, tunnel_id(*ip));
    } else if constexpr (mode == Mode::dr) {
      mode::dr::request(ip);
    } else {
      mode::translate<protocol, direction>(ip, l4, c);
    }
    std::memcpy(ethernet, &hop.header, sizeof hop.header);
    c.last_seen_ms = now;
    bytes += frame;
    const uint32_t ip_bytes = frame - static_cast<uint32_t>(sizeof(Ethernet));
    uint64_t* const service = services + c.service * kServiceWords;
    ++service[request ? kInPackets : kOutPackets];
    service[request ? kInBytes : kOutBytes] += ip_bytes;
    uint64_t* const server = servers + c.server * kServerWords;
    ++server[request ? kInPackets : kOutPackets];
    server[request ? kInBytes : kOutBytes] += ip_bytes;
  }
  const auto forwarded = static_cast<uint16_t>(packet - packets);
  if (verdicts_ != nullptr) [[unlikely]]
    tell_run(packets, forwarded, end, port);
  // All of a group, as that is a handful of instructions; what lies behind the run is not counted.
  for (unsigned i = 0; i < kGroup; ++i) out.ends[out.n + i] = end;
  std::memcpy(out.mbufs + out.n, mbufs, kGroup * sizeof *mbufs);
  out.n = static_cast<uint16_t>(out.n + forwarded);
  out.bytes += bytes + forwarded * kOverhead;
  counters_.end(end, forwarded);
  if (out.n >= kBurst) flush_port(port);
  return forwarded;
}

void Worker::tell_run(const Packet* packets, uint16_t n, End end, uint16_t port) {
  for (uint16_t i = 0; i < n; ++i) {
    Packet packet = packets[i];
    packet.source = packet.mbuf->hash.fdir.hi;
    add_verdict(packet, end, packet.record, port);
  }
}

}  // namespace sluice
