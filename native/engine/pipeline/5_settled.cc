// Stage 5 for nearly every packet: plain, of a settled connection (table/settled.h). What the full
// way in 5_forward.cc would find out is known; what may still differ from packet to packet is
// looked at here, and a packet with anything unusual about it is left to the full way.
//
// Packets that go the same way follow one another in a run, which shares what is the same for
// them: mode, TUN's wrap, protocol and direction as template parameters, the clock, the service.
#include <algorithm>
#include <array>
#include <type_traits>

#include "../mode/dr.h"
#include "../mode/enat.h"
#include "../mode/tunnel.h"
#include "../worker.h"

namespace sluice {

using namespace net;

namespace {

// Does this segment leave an established connection as it is, and carry nothing to take out or to
// put in?
template <Mode mode>
bool is_ordinary(const Tcp& tcp, const Connection<V4>& c, Direction direction) {
  if ((tcp.flags & (kFin | kSyn | kRst | kAck)) != kAck) return false;
  if constexpr (mode != Mode::fullnat && mode != Mode::enat) return true;
  if (direction == Direction::reply) return true;
  return from_be(tcp.acknowledgement) != c.server_isn1 && !may_carry_client_option(tcp);
}

Direction direction_of(const Packet& packet) {
  return static_cast<Direction>(packet.candidate & 1);
}

}  // namespace

// Forwards the packets, from the first, as long as each is of a connection that is settled in the
// same way. A function of its own, so that its registers are the loop's alone.
template <Mode mode, Wrap wrap, uint8_t protocol, Worker::Takes takes>
Worker::Forwarded Worker::forward_run(Worker& worker, const Group& packets) {
  constexpr bool translates = mode != Mode::dr && mode != Mode::tun;
  constexpr uint32_t kOverhead = mode == Mode::tun ? mode::tunnel::overhead_bytes(wrap) : 0;
  const NextHop* const hops = worker.fib_->next_hops();
  uint64_t* const servers = worker.counters_.server(0);
  const auto now = static_cast<uint32_t>(worker.now_ms_);
  const uint32_t timeout = worker.timeout_of(protocol == kTcp ? State::established : State::udp);
  // When a connection was idle for that long it is over; for longer than half of the clock's
  // numbers, the full way finds out.
  const uint32_t over = now - std::min<uint32_t>(timeout, INT32_MAX);
  const Packet* packet = packets.packets;
  [[maybe_unused]] rte_mbuf* const* mbuf = packets.mbufs;
  const uint32_t settled = packet->record->settled;
  const uint16_t service = packet->record->service;
  uint32_t other_services = 0;  // not 0 when there is another than the first one's
  uint32_t ports = 0, bytes = 0, replies = 0, reply_bytes = 0;
  for (const Packet* const last = packet + packets.n; packet != last; ++packet) {
    __builtin_prefetch(packet[kRecordsAhead].record, 1);
    Record& c = *packet->record;
    if (c.settled != settled) break;
    const Direction direction =
        takes == Takes::both ? direction_of(*packet) : static_cast<Direction>(takes);
    const auto reply = static_cast<unsigned>(direction);
    if (!is_tuple_of(c.tuple(direction), packet->key)) break;
    if (static_cast<int32_t>(over - c.last_seen_ms) >= 0) break;
    const NextHop& hop = hops[c.hop[reply]];
    const uint32_t ip_bytes = packet->ip_bytes;
    if (ip_bytes + kOverhead > hop.mtu) break;
    Ipv4* const ip = packet->ip;
    uint8_t* const l4 = reinterpret_cast<uint8_t*>(ip + 1);
    if constexpr (protocol == kTcp) {
      if (!is_ordinary<mode>(*reinterpret_cast<const Tcp*>(l4), c, direction)) break;
    } else if constexpr (translates) {
      if (reinterpret_cast<const Udp*>(l4)->checksum == 0) break;
      if constexpr (mode == Mode::enat && takes == Takes::requests) {
        if (mode::enat::repeats(c)) break;
        mode::enat::count_packet(c);
      }
    }
    if constexpr (mode == Mode::tun) {
      if (rte_pktmbuf_headroom(*mbuf) < kOverhead) break;
      rte_pktmbuf_prepend(*mbuf++, kOverhead);
      mode::tunnel::request<wrap>(ip, ip_bytes, hop.own, c.raddr, worker.tunnel_id(*ip),
                                  mode::tunnel::ports_of(c));
    } else if constexpr (mode == Mode::dr) {
      mode::dr::request(ip);
    } else {
      mode::translate<protocol>(ip, l4, c, direction);
    }
    std::memcpy(reinterpret_cast<uint8_t*>(ip) - kOverhead - sizeof(Ethernet), &hop.header,
                sizeof hop.header);
    c.last_seen_ms = now;
    ports |= hop.ports;
    bytes += ip_bytes;
    if constexpr (takes == Takes::both) {
      replies += reply;
      reply_bytes += ip_bytes & (0 - reply);
    }
    other_services |= static_cast<uint32_t>(c.service ^ service);
    uint64_t* const server = servers + c.server * kServerWords;
    ++server[kInPackets + reply];
    server[kInBytes + reply] += ip_bytes;
  }
  const auto forwarded = static_cast<uint16_t>(packet - packets.packets);
  if constexpr (takes == Takes::replies) {
    replies = forwarded;
    reply_bytes = bytes;
  }
  if (other_services == 0) [[likely]] {
    uint64_t* const counted = worker.counters_.service(service);
    if constexpr (takes != Takes::replies) {
      counted[kInPackets] += forwarded - replies;
      counted[kInBytes] += bytes - reply_bytes;
    }
    if constexpr (takes != Takes::requests) {
      counted[kOutPackets] += replies;
      counted[kOutBytes] += reply_bytes;
    }
  } else {
    worker.count_services(packets, forwarded);
  }
  constexpr auto kAdded = static_cast<uint32_t>(sizeof(Ethernet)) + kOverhead;
  return {bytes + forwarded * kAdded, forwarded, static_cast<uint16_t>(replies), ports};
}

// The loop above would have to guess at every packet whether its service is the one before's.
void Worker::count_services(const Group& packets, uint16_t n) {
  for (const Packet* packet = packets.packets; packet != packets.packets + n; ++packet) {
    const auto reply = static_cast<unsigned>(direction_of(*packet));
    uint64_t* const counted = counters_.service(packet->record->service);
    ++counted[kInPackets + reply];
    counted[kInBytes + reply] += packet->ip_bytes;
  }
}
static_assert(kOutPackets == kInPackets + 1 && kOutBytes == kInBytes + 1);

// DR and TUN see requests only. ENAT sees replies where a real server has no agent, and serves them
// as FullNAT's.
template <Mode mode, Wrap wrap, uint8_t protocol>
constexpr Worker::RunKind Worker::kind_of() {
  using enum Takes;
  constexpr End request = kRequestEnds[static_cast<unsigned>(mode)];
  constexpr auto requests_alone = &forward_run<mode, wrap, protocol, requests>;
  if constexpr (mode == Mode::dr || mode == Mode::tun) {
    return {{requests_alone, nullptr, requests_alone, nullptr}, {request, request}};
  } else if constexpr (mode == Mode::enat) {
    constexpr auto replies_alone = &forward_run<Mode::fullnat, wrap, protocol, replies>;
    return {{requests_alone, replies_alone, requests_alone, replies_alone},
            {request, End::forwarded_fullnat_reply}};
  } else {
    constexpr auto either = &forward_run<mode, wrap, protocol, both>;
    return {{requests_alone, &forward_run<mode, wrap, protocol, replies>, either, either},
            {request, mode == Mode::nat ? End::forwarded_nat_reply : End::forwarded_fullnat_reply}};
  }
}

// How many of the packets, from the first, have been forwarded.
inline uint16_t Worker::forward_settled(const Group& group) {
  static constexpr std::array<RunKind, kWays> kKinds = [] {
    std::array<RunKind, kWays> kinds{};
    auto add = [&kinds]<Mode mode, Wrap wrap = Wrap::ipip> {
      kinds[static_cast<size_t>(way_of(mode, wrap, kUdp))] = kind_of<mode, wrap, kUdp>();
      kinds[static_cast<size_t>(way_of(mode, wrap, kTcp))] = kind_of<mode, wrap, kTcp>();
    };
    add.template operator()<Mode::nat>();
    add.template operator()<Mode::dr>();
    add.template operator()<Mode::tun>();
    add.template operator()<Mode::tun, Wrap::gre>();
    add.template operator()<Mode::tun, Wrap::gre_checked>();
    add.template operator()<Mode::tun, Wrap::gue>();
    add.template operator()<Mode::tun, Wrap::gue_checked>();
    add.template operator()<Mode::fullnat>();
    add.template operator()<Mode::enat>();
    return kinds;
  }();
  const Packet* const packets = group.packets;
  const RunKind& kind = kKinds[static_cast<size_t>(epoch_.way(packets->record->settled))];
  const unsigned first = packets->candidate & 1;
  // Behind the last one there is what was received before: a guess as good as any.
  const unsigned turns = (packets[0].candidate ^ packets[1].candidate) & 1;
  const auto forward = kind.forward[first | turns << 1];
  if (forward == nullptr) return 0;
  const Forwarded done = forward(*this, group);
  if (done.packets == 0) return 0;
  if (verdicts_ != nullptr) [[unlikely]]
    tell_run(group, done.packets, kind.ends);
  if ((done.ports & (done.ports - 1)) != 0) [[unlikely]] {
    spread(group, done.packets, kind.ends);
    return done.packets;
  }
  const auto port = static_cast<uint16_t>(__builtin_ctz(done.ports));
  Out& out = to_port_[port];
  if (done.replies == 0 || done.replies == done.packets) {
    // A burst's, as that is two instructions; what lies behind the run isn't counted.
    std::memset(out.ends + out.n, static_cast<int>(kind.ends[first]), kBurst);
  } else {
    for (unsigned i = 0; i < done.packets; ++i) {
      out.ends[out.n + i] = kind.ends[packets[i].candidate & 1];
    }
  }
  std::memcpy(out.mbufs + out.n, group.mbufs, done.packets * sizeof *group.mbufs);
  out.n = static_cast<uint16_t>(out.n + done.packets);
  out.bytes += done.bytes;
  counters_.end(kind.ends[0], static_cast<uint64_t>(done.packets - done.replies));
  counters_.end(kind.ends[1], done.replies);
  if (out.n >= kBurst) flush_port(port);
  return done.packets;
}

// Of a packet that has just been forwarded.
const NextHop& Worker::hop_of(const Packet& packet) const {
  return (*fib_)[packet.record->hop[static_cast<size_t>(direction_of(packet))]];
}

// A run that leaves by more than one port.
void Worker::spread(const Group& packets, uint16_t n, const End* ends) {
  for (uint16_t i = 0; i < n; ++i) {
    const Packet& packet = packets.packets[i];
    const uint16_t port = hop_of(packet).port;
    push(to_port_[port], packets.mbufs[i], ends[static_cast<size_t>(direction_of(packet))]);
    if (to_port_[port].n >= kBurst) flush_port(port);
  }
}

void Worker::tell_run(const Group& packets, uint16_t n, const End* ends) {
  for (uint16_t i = 0; i < n; ++i) {
    Packet packet = packets.packets[i];
    packet.source = packets.mbufs[i]->hash.fdir.hi;
    add_verdict(packet, ends[static_cast<size_t>(direction_of(packet))], packet.record,
                hop_of(packet).port);
  }
}

}  // namespace sluice
