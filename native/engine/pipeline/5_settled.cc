// Stage 5 for nearly every packet: plain, of a settled connection (table/settled.h). What the full
// way in 5_forward.cc would find out is known; what may still differ from packet to packet is
// looked at here, and a packet with anything unusual about it is left to the full way.
//
// Packets that go the same way follow one another in a run, which shares what is the same for
// them: mode, protocol and direction as template parameters, the port, the clock, the service.
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

// Forwards the packets, from the first, as long as each is of a connection that is settled in the
// same way and leaves by `port`. A function of its own, so that its registers are the loop's alone.
template <Mode mode, uint8_t protocol, Direction direction>
Worker::Forwarded Worker::forward_run(Worker& worker, const Group& packets, uint16_t port) {
  constexpr bool request = direction == Direction::request;
  constexpr auto towards = static_cast<unsigned>(direction);
  constexpr uint32_t kOverhead = mode == Mode::tun ? mode::tunnel::kIpipBytes : 0;
  const NextHop* const hops = worker.fib_->next_hops();
  uint64_t* const servers = worker.counters_.server(0);
  const auto now = static_cast<uint32_t>(worker.now_ms_);
  const uint32_t timeout = worker.timeout_of(protocol == kTcp ? State::established : State::udp);
  const Packet* packet = packets.packets;
  const uint32_t settled = packet->record->settled;
  const uint16_t service = packet->record->service;
  uint16_t other_services = 0;  // not 0 when there is another than the first one's
  uint32_t bytes = 0;
  for (const Packet* const last = packet + packets.n; packet != last; ++packet) {
    __builtin_prefetch(packet[kRecordsAhead].record, 1);
    Record& c = *packet->record;
    if (c.settled != settled) break;
    if (!is_tuple_of(request ? &c.caddr : &c.raddr, packet->key)) break;
    if (now - c.last_seen_ms >= timeout) break;
    const NextHop& hop = hops[c.hop[towards]];
    const uint32_t ip_bytes = packet->ip_bytes;
    if (hop.port != port || ip_bytes + kOverhead > hop.mtu) break;
    Ipv4* const ip = packet->ip;
    uint8_t* const l4 = reinterpret_cast<uint8_t*>(ip + 1);
    if constexpr (protocol == kTcp) {
      if (!is_ordinary<mode, direction>(*reinterpret_cast<const Tcp*>(l4), c)) break;
    } else if constexpr (mode == Mode::nat || mode == Mode::fullnat) {
      if (reinterpret_cast<const Udp*>(l4)->checksum == 0) break;
    }
    if constexpr (mode == Mode::tun) {
      rte_mbuf* const mbuf = packets.mbufs[packet - packets.packets];
      if (rte_pktmbuf_headroom(mbuf) < kOverhead) break;
      rte_pktmbuf_prepend(mbuf, kOverhead);
      mode::tunnel::request(ip, ip_bytes, hop.own, c.raddr, worker.tunnel_id(*ip));
    } else if constexpr (mode == Mode::dr) {
      mode::dr::request(ip);
    } else {
      mode::translate<protocol, direction>(ip, l4, c);
    }
    std::memcpy(reinterpret_cast<uint8_t*>(ip) - kOverhead - sizeof(Ethernet), &hop.header,
                sizeof hop.header);
    c.last_seen_ms = now;
    bytes += ip_bytes;
    other_services |= static_cast<uint16_t>(c.service ^ service);
    uint64_t* const server = servers + c.server * kServerWords;
    ++server[request ? kInPackets : kOutPackets];
    server[request ? kInBytes : kOutBytes] += ip_bytes;
  }
  const auto forwarded = static_cast<uint32_t>(packet - packets.packets);
  if (other_services == 0) [[likely]] {
    uint64_t* const counted = worker.counters_.service(service);
    counted[request ? kInPackets : kOutPackets] += forwarded;
    counted[request ? kInBytes : kOutBytes] += bytes;
  } else {
    worker.count_services<direction>(packets.packets, packet);
  }
  constexpr auto kAdded = static_cast<uint32_t>(sizeof(Ethernet)) + kOverhead;
  return {bytes + forwarded * kAdded, forwarded};
}

// The loop above would have to guess at every packet whether its service is the one before's.
template <Direction direction>
void Worker::count_services(const Packet* from, const Packet* to) {
  constexpr bool request = direction == Direction::request;
  for (const Packet* packet = from; packet != to; ++packet) {
    uint64_t* const counted = counters_.service(packet->record->service);
    ++counted[request ? kInPackets : kOutPackets];
    counted[request ? kInBytes : kOutBytes] += packet->ip_bytes;
  }
}

// By way and direction; DR and TUN see requests only.
template <Mode mode, uint8_t protocol, Direction direction>
constexpr Worker::RunKind Worker::kind_of() {
  return {&forward_run<mode, protocol, direction>, end_of(mode, direction)};
}

// How many of the packets, from the first, have been forwarded.
inline uint16_t Worker::forward_settled(const Group& group) {
  using enum Direction;
  static constexpr RunKind kKinds[kWays][2] = {
      {},
      {kind_of<Mode::nat, kUdp, request>(), kind_of<Mode::nat, kUdp, reply>()},
      {kind_of<Mode::nat, kTcp, request>(), kind_of<Mode::nat, kTcp, reply>()},
      {kind_of<Mode::dr, kUdp, request>()},
      {kind_of<Mode::dr, kTcp, request>()},
      {kind_of<Mode::tun, kUdp, request>()},
      {kind_of<Mode::tun, kTcp, request>()},
      {kind_of<Mode::fullnat, kUdp, request>(), kind_of<Mode::fullnat, kUdp, reply>()},
      {kind_of<Mode::fullnat, kTcp, request>(), kind_of<Mode::fullnat, kTcp, reply>()}};
  const Record& first = *group.packets->record;
  const auto way = static_cast<unsigned>(epoch_.way(first.settled));
  const unsigned towards = group.packets->candidate & 1;
  const RunKind& kind = kKinds[way][towards];
  if (kind.forward == nullptr) return 0;
  const uint16_t port = fib_->next_hops()[first.hop[towards]].port;
  const Forwarded done = kind.forward(*this, group, port);
  const auto forwarded = static_cast<uint16_t>(done.packets);
  if (forwarded == 0) return 0;
  if (verdicts_ != nullptr) [[unlikely]]
    tell_run(group, forwarded, kind.end, port);
  Out& out = to_port_[port];
  if (forwarded == 1) {
    out.ends[out.n] = kind.end;
    out.mbufs[out.n] = *group.mbufs;
  } else {
    // A burst's, as that is one instruction; what lies behind the run isn't counted.
    std::memset(out.ends + out.n, static_cast<int>(kind.end), kBurst);
    std::memcpy(out.mbufs + out.n, group.mbufs, forwarded * sizeof *group.mbufs);
  }
  out.n = static_cast<uint16_t>(out.n + forwarded);
  out.bytes += done.bytes;
  counters_.end(kind.end, forwarded);
  if (out.n >= kBurst) flush_port(port);
  return forwarded;
}

void Worker::tell_run(const Group& packets, uint16_t n, End end, uint16_t port) {
  for (uint16_t i = 0; i < n; ++i) {
    Packet packet = packets.packets[i];
    packet.source = packets.mbufs[i]->hash.fdir.hi;
    add_verdict(packet, end, packet.record, port);
  }
}

}  // namespace sluice
