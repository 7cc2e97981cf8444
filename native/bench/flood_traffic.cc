#include "flood_traffic.h"

namespace sluice::bench {
namespace {

std::vector<FloodTraffic::Stage> stages_of(const Case& c) {
  using enum Segment;
  if (c.protocol == kUdp) {
    if (!c.sees_replies()) return {{data, false}, {data, false}, {data, false}};
    return {{data, false}, {data, true}, {data, false}, {data, true}};
  }
  if (!c.sees_replies()) {
    return {{syn, false}, {ack, false}, {data, false}, {fin, false}, {last_ack, false}};
  }
  return {{syn, false}, {syn_ack, true}, {ack, false}, {data, false},
          {data, true}, {fin, false},    {fin, true},  {last_ack, false}};
}

}  // namespace

FloodTraffic::FloodTraffic(const Case& c, uint32_t flows)
    : mode_(c.mode),
      flows_(flows),
      sees_replies_(c.sees_replies()),
      stages_(stages_of(c)),
      request_(c.protocol, Segment::data, false, 64),
      reply_(c.protocol, Segment::data, true, 64),
      flood_(c.protocol, c.protocol == kTcp ? Segment::syn : Segment::data, false, 64),
      established_(flows),
      fresh_(kInHand) {
  for (const Stage& stage : stages_) {
    frames_.emplace_back(c.protocol, stage.segment, stage.reply, 64);
  }
}

FloodTraffic::Next FloodTraffic::next() {
  if (turn_ != 0 && turn_ <= factor_) {
    ++turn_;
    return {flood, false, 0, draw() & (kReply - 1)};
  }
  turn_ = 1;
  if (++legitimate_ % kFreshEvery != 0 || !with_fresh_) {
    const uint32_t random = draw();
    const auto flow = static_cast<uint32_t>((uint64_t{random} * flows_) >> 31);
    return {established, sees_replies_ && (random & 1) != 0, 0, flow};
  }
  for (;;) {
    const uint32_t behind = stage_ * apart_;
    const uint32_t stage = stage_;
    const uint32_t at = step_;
    if (++stage_ == stages_.size()) {
      stage_ = 0;
      ++step_;
    }
    if (at < behind) continue;
    return {fresh, stages_[stage].reply, static_cast<uint8_t>(stage), (at - behind) & (kReply - 1)};
  }
}

void FloodTraffic::write(const Next& next, rte_mbuf* mbuf) {
  if (next.kind == established) {
    return write_established(mbuf, next.flow, next.reply ? reply_ : request_, next.reply);
  }
  const Head& head = next.kind == flood ? flood_.head() : frames_[next.stage].head();
  if (next.reply) return write_reply(mbuf, next, head, learned_fresh(next.flow));
  if (next.kind == fresh && next.stage == 0) learned_fresh(next.flow) = {};
  const uint32_t flow = client_flow(next.kind, next.flow);
  head.write_request(mbuf, mark_of(next), plan::client(flow), plan::client_port(flow));
}

void FloodTraffic::write_established(rte_mbuf* mbuf, uint32_t flow, const Frame& frame,
                                     bool reply) {
  const Next next{established, reply, 0, flow};
  if (reply) return write_reply(mbuf, next, frame.head(), established_[flow]);
  frame.head().write_request(mbuf, mark_of(next), plan::client(flow), plan::client_port(flow));
}

void FloodTraffic::write_reply(rte_mbuf* mbuf, const Next& next, const Head& head,
                               const Learned& l) const {
  const be32 server = plan::server(l.server - 1u);
  if (mode_ == Mode::nat) {
    const uint32_t flow = client_flow(next.kind, next.flow);
    head.write_reply(mbuf, mark_of(next), server, plan::client(flow), plan::client_port(flow));
  } else {
    head.write_reply(mbuf, mark_of(next), server, plan::local(l.local), l.local_port);
  }
}

bool FloodTraffic::is_served(const rte_mbuf* mbuf) {
  const uint32_t mark = mbuf->hash.usr;
  const uint32_t flow = mark & (kReply - 1);
  const auto* frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  const bool to_client = load<Mac>(frame) == plan::kRouterMac;
  if ((mark & kReply) != 0) return to_client;
  if (to_client) return false;                             // the director's own answer
  const auto server = static_cast<uint8_t>(frame[5] + 1);  // last byte of plan::server_mac
  Learned l{0, 0, server};
  if (mode_ == Mode::fullnat || mode_ == Mode::enat) {
    const auto* ip = reinterpret_cast<const net::Ipv4*>(frame + sizeof(net::Ethernet));
    l.local = static_cast<uint8_t>(plan::local_of(ip->source));
    l.local_port = load<be16>(reinterpret_cast<const uint8_t*>(ip) + ip->header_bytes());
  }
  if (kind_of(mbuf) == flood) return true;
  Learned& known = kind_of(mbuf) == fresh ? learned_fresh(flow) : established_[flow];
  if (known.server == 0) known = l;
  return known.server == l.server && known.local == l.local && known.local_port == l.local_port;
}

}  // namespace sluice::bench
