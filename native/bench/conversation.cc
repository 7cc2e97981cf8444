#include "conversation.h"

#include <algorithm>
#include <bit>

namespace sluice::bench {
namespace {

// Every number below a power of two once, in an order without a pattern: each step is a bijection
// of the lowest `bits` bits.
uint32_t scatter(uint32_t at, unsigned bits) {
  const uint32_t mask = (uint32_t{1} << bits) - 1;
  const unsigned half = (bits + 1) / 2;
  at = (at * 0x9e3779b1u) & mask;
  at ^= at >> half;
  at = (at * 0x85ebca6bu) & mask;
  return at ^ at >> half;
}

}  // namespace

// UDP: a packet a connection. TCP: handshake, a segment of data each way, and the end that the
// client begins; without the server's part where it doesn't pass the director.
std::vector<Conversations::Stage> Conversations::stages_of(const Case& c) {
  if (c.protocol == kUdp) return {{Segment::data, false}};
  if (!c.sees_replies()) {
    return {{Segment::syn, false},
            {Segment::ack, false},
            {Segment::data, false},
            {Segment::fin, false},
            {Segment::last_ack, false}};
  }
  return {{Segment::syn, false},  {Segment::syn_ack, true},  {Segment::ack, false},
          {Segment::data, false}, {Segment::data, true},     {Segment::fin, false},
          {Segment::fin, true},   {Segment::last_ack, false}};
}

Conversations::Conversations(const Case& c, uint32_t connections)
    : mode_(c.mode),
      stages_(stages_of(c)),
      apart_(std::min(kMostApart, connections / 2 / static_cast<uint32_t>(stages_.size()))),
      mask_(std::bit_ceil(static_cast<uint32_t>(stages_.size()) * apart_) - 1),
      learned_((mask_ + size_t{1}) * 2) {
  for (const Stage& stage : stages_) {
    frames_.emplace_back(c.protocol, stage.segment, stage.reply, 64);
    has_replies_ |= stage.reply;
  }
  rest_ = Frame(c.protocol, c.protocol == kTcp ? Segment::last_ack : Segment::data, false, 64);
}

void Conversations::write(rte_mbuf* mbuf, uint32_t connection, unsigned stage) const {
  const Head& head = frames_[stage].head();
  const uint32_t mark = connection | static_cast<uint32_t>(stage) << kStageShift;
  const be32 client = plan::client(connection);
  const be16 port = plan::client_port(connection);
  if (!stages_[stage].reply) return head.write_request(mbuf, mark, client, port);
  const Learned& l = learned_[connection & mask_];
  const be32 server = plan::server(l.server - 1u);
  if (mode_ == Mode::nat) return head.write_reply(mbuf, mark, server, client, port);
  head.write_reply(mbuf, mark, server, plan::local(l.local), l.local_port);
}

uint16_t Conversations::make(Cursor& at, rte_mbuf** mbufs, uint16_t n, uint64_t& replies) {
  const unsigned stages = packets();
  uint16_t made = 0;
  while (made < n && !is_over(at)) {
    const uint32_t behind = at.stage * apart_;
    const uint32_t connection = at.step - behind;
    if (at.step >= behind && connection >= at.first && connection < at.last) {
      write(mbufs[made++], connection, at.stage);
      if (at.stage == 0) ++at.begun;
      if (stages_[at.stage].reply) {
        ++replies;
        // What the replies of coming bursts need: a NIC's frames are not waited for either.
        __builtin_prefetch(&learned_[(connection + kBurst) & mask_]);
      }
    }
    if (++at.stage == stages) {
      at.stage = 0;
      ++at.step;
    }
  }
  return made;
}

uint16_t Conversations::touch(uint32_t& at, uint32_t count, rte_mbuf** mbufs, uint16_t n) {
  const unsigned bits = static_cast<unsigned>(std::bit_width(std::max(count, 2u) - 1));
  uint16_t made = 0;
  for (; made < n && at < uint32_t{1} << bits; ++at) {
    const uint32_t connection = scatter(at, bits);
    if (connection >= count) continue;
    rest_.head().write_request(mbufs[made++], connection | 7u << kStageShift,
                               plan::client(connection), plan::client_port(connection));
  }
  return made;
}

void Conversations::learn(const rte_mbuf* mbuf, bool floor) {
  const auto* at = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  const auto* ip = reinterpret_cast<const net::Ipv4*>(at + sizeof(net::Ethernet));
  Learned& l = learned(connection_of(mbuf), floor);
  l.server = static_cast<uint8_t>(at[5] + 1);  // last byte of plan::server_mac
  if (mode_ == Mode::nat) return;
  l.local = static_cast<uint8_t>(plan::local_of(ip->source));
  l.local_port = load<be16>(reinterpret_cast<const uint8_t*>(ip) + ip->header_bytes());
}

}  // namespace sluice::bench
