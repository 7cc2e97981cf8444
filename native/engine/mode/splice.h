// A connection of the SYN proxy: the client counts from our cookie what the real server counts from
// a number of its own, and both scale windows by what they were told. Pure functions on TCP
// headers, for both families. Checksums are kept right incrementally.
#pragma once

#include "../net/tcp_syn.h"

namespace sluice::mode::splice {

inline constexpr uint8_t kNoScale = net::SynOffer::kNoScale;
// What our SYN-ACKs tell clients that scale: of Linux's servers with their usual buffers.
inline constexpr uint8_t kPromisedScale = 7;

// Beside a connection's record, by the record's number.
struct Splice {
  uint32_t cookie;  // our sequence number, host order
  uint16_t window;  // the client's latest before the server has answered, as it came
  uint8_t client_scale;
  // The server's; kNoScale: it doesn't scale. Before it has answered: SYNs that were sent.
  uint8_t server_scale;
};
static_assert(sizeof(Splice) == 8);

// By how much the server's sequence numbers are ahead of what the client takes them for.
// `server_isn1`: the server's first one + 1.
inline uint32_t lead(const Splice& s, uint32_t server_isn1) {
  return server_isn1 - (s.cookie + 1);
}

// Windows in the field of a header, host order. What the other end's scale has no room for is
// rounded down, but a window that is open stays open.
inline uint16_t window_for_client(uint16_t field, const Splice& s) {
  if (s.client_scale == kNoScale) return field;
  const uint32_t bytes = uint32_t{field} << (s.server_scale == kNoScale ? 0 : s.server_scale);
  const uint32_t scaled = bytes >> kPromisedScale;
  if (scaled == 0) return bytes == 0 ? 0 : 1;
  return static_cast<uint16_t>(std::min<uint32_t>(scaled, UINT16_MAX));
}
inline uint16_t window_for_server(uint16_t field, const Splice& s) {
  if (s.client_scale == kNoScale || s.server_scale != kNoScale) return field;
  return static_cast<uint16_t>(std::min<uint32_t>(uint32_t{field} << s.client_scale, UINT16_MAX));
}

// Does `change(tcp)` and has the checksum follow, wherever in the header it changed something.
template <class Change>
inline void change_header(net::Tcp* tcp, Change&& change) {
  const unsigned header = tcp->header_bytes();
  const uint16_t before = net::fold(net::sum_bytes(tcp, header));
  change();
  net::Delta delta;
  delta.change16(before, net::fold(net::sum_bytes(tcp, header)));
  be16 checksum = tcp->checksum;
  delta.apply(checksum);
  tcp->checksum = checksum;
}

// A client's segment as the server is to get it.
inline void request(net::Tcp* tcp, const Splice& s, uint32_t lead) {
  change_header(tcp, [&] {
    if ((tcp->flags & net::kSyn) == 0) {
      tcp->window = to_be(window_for_server(from_be(tcp->window), s));
    }
    if ((tcp->flags & net::kAck) == 0) return;
    tcp->acknowledgement = to_be(from_be(tcp->acknowledgement) + lead);
    // RFC 2018 section 3: of each block both edges, which are the server's numbers.
    net::each_option(tcp, [lead](uint8_t kind, uint8_t* data, unsigned bytes) {
      if (kind != net::kOptionSack) return;
      for (unsigned at = 0; at + sizeof(be32) <= bytes; at += sizeof(be32)) {
        store(data + at, to_be(from_be(load<be32>(data + at)) + lead));
      }
    });
  });
}

// A server's segment as the client is to get it.
inline void reply(net::Tcp* tcp, const Splice& s, uint32_t lead) {
  change_header(tcp, [&] {
    tcp->sequence = to_be(from_be(tcp->sequence) - lead);
    if ((tcp->flags & net::kSyn) == 0) {
      tcp->window = to_be(window_for_client(from_be(tcp->window), s));
    }
  });
}

// The quoted part of a segment in an ICMP error, back to how its sender had sent it: of a reply to
// the server, of a request to the client. `bytes`: how much of it is there, 8 at the least.
inline void quote(uint8_t* segment, size_t bytes, bool of_reply, uint32_t lead) {
  auto* tcp = reinterpret_cast<net::Tcp*>(segment);
  const size_t at = of_reply ? offsetof(net::Tcp, sequence) : offsetof(net::Tcp, acknowledgement);
  const bool acknowledges = bytes > offsetof(net::Tcp, flags) && (tcp->flags & net::kAck) != 0;
  if (at + sizeof(be32) > bytes || (!of_reply && !acknowledges)) return;
  const auto was = load<be32>(segment + at);
  const be32 now = to_be(from_be(was) + (of_reply ? lead : 0 - lead));
  store(segment + at, now);
  if (bytes < sizeof(net::Tcp)) return;
  net::Delta delta;
  delta.change32(was, now);
  be16 checksum = tcp->checksum;
  delta.apply(checksum);
  tcp->checksum = checksum;
}

}  // namespace sluice::mode::splice
