#include "generator.h"

#include <algorithm>

namespace sluice::bench {
namespace {

// Simple IMIX, 7 : 4 : 1, spread over the round.
constexpr unsigned kImixBytes[] = {64, 594, 1518};
constexpr uint8_t kImixRound[] = {0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0};

}  // namespace

Generator::Generator(const Case& c)
    : mode_(c.mode),
      protocol_(c.protocol),
      family_(c.family),
      bytes_(c.bytes),
      flows_(c.flows),
      learned_(c.flows),
      frames_(new Frame[2][kSizes]) {}

void Generator::start(Segment segment, Traffic traffic, bool sequential) {
  traffic_ = traffic;
  sequential_ = sequential;
  next_flow_ = 0;
  turn_ = 0;
  const bool mix = bytes_ == kImix && segment == Segment::data;
  for (unsigned i = 0; i < kMixed; ++i) sizes_[i] = mix ? kImixRound[i] : 0;
  for (unsigned size = 0; size < kSizes; ++size) {
    const unsigned bytes = mix ? kImixBytes[size] : segment == Segment::data ? bytes_ : 64;
    for (const bool reply : {false, true}) {
      frames_[reply][size] = Frame(protocol_, segment, reply, bytes == kImix ? 64 : bytes, family_);
    }
  }
  if (!sequential) draw();
}

template <class Family>
void Generator::write_reply(const Frame& frame, rte_mbuf* mbuf, uint32_t flow) const {
  const Learned& l = learned_[flow];
  const be32 server = plan::server(l.server - 1u);
  const Head& head = frame.head();
  frame.write_tail(mbuf);
  if (mode_ == Mode::nat) {
    head.write_reply<Family>(mbuf, flow, server, plan::client(flow), plan::client_port(flow));
  } else {
    head.write_reply<Family>(mbuf, flow, server, plan::local(l.local), l.local_port);
  }
}

// A burst ahead, so that what a reply needs to know is in the cache when it is made: a NIC's frames
// are not waited for either.
void Generator::draw() {
  for (uint32_t& flow : drawn_) {
    random_ = next_random(random_);
    flow = pick(random_, flows_);
    if (traffic_ != Traffic::request) __builtin_prefetch(&learned_[flow]);
  }
}

uint16_t Generator::make(rte_mbuf** mbufs, uint16_t n) {
  return family_ == 6 ? make_any<V6>(mbufs, n) : make_any<V4>(mbufs, n);
}

template <class Family>
uint16_t Generator::make_any(rte_mbuf** mbufs, uint16_t n) {
  if (sequential_) {
    n = static_cast<uint16_t>(std::min<uint32_t>(n, flows_ - next_flow_));
    for (uint16_t i = 0; i < n; ++i) drawn_[i] = next_flow_++;
  } else if (traffic_ == Traffic::request && bytes_ != kImix) {
    make_requests<Family>(mbufs, n);
    return n;
  }
  for (uint16_t i = 0; i < n; ++i) {
    const bool reply = traffic_ == Traffic::reply || (traffic_ == Traffic::mixed && (i & 1) != 0);
    if (reply) {
      write_reply<Family>(frame(true), mbufs[i], drawn_[i]);
    } else {
      write_request<Family>(frame(false), mbufs[i], drawn_[i]);
    }
  }
  if (!sequential_) draw();
  return n;
}

// The commonest kind, without a look at anything but the template: the floor should be the port's.
template <class Family>
void Generator::make_requests(rte_mbuf** mbufs, uint16_t n) {
  const Frame& frame = frames_[false][0];
  const Head head = frame.head();
  const uint64_t flows = flows_;
  uint64_t random = random_;
  if (head.length > Head::kBytes) {
    for (uint16_t i = 0; i < n; ++i) frame.write_tail(mbufs[i]);
  }
  for (uint16_t i = 0; i < n; ++i) {
    random = next_random(random);
    const uint32_t flow = pick(random, flows);
    head.write_request<Family>(mbufs[i], flow, plan::client(flow), plan::client_port(flow));
  }
  random_ = random;
}

}  // namespace sluice::bench
