// Stage 8: every packet's end. Frames gather with IPv4's.
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "../worker6.h"

namespace sluice {

using namespace net;

namespace {

// What stands before a fragment header: IPv6's own, and all up to a routing header, else hop-by-hop
// options (RFC 8200 section 4.5).
struct PerFragment {
  unsigned bytes = sizeof(Ipv6);
  unsigned next_at = offsetof(Ipv6, next);  // of the field that tells what follows
};

// `room`: more than that stays behind the fragment header, as it came.
PerFragment per_fragment(const Packet6& packet, unsigned room) {
  const auto* start = reinterpret_cast<const uint8_t*>(packet.ip);
  PerFragment part;
  unsigned at = sizeof(Ipv6);
  uint8_t kind = packet.ip->next;
  while (kind == kHopByHop || kind == kDestinationOptions || kind == kRouting) {
    if (at + 8 > packet.total_length()) break;
    const unsigned behind = at + (start[at + 1] + 1) * 8;
    if (behind > std::min<unsigned>(room, packet.total_length())) break;
    if (kind != kDestinationOptions) part = {behind, at};
    kind = start[at];
    at = behind;
  }
  return part;
}

}  // namespace

void Worker6::reflect(Packet6& packet, const Mac& to, End end) {
  const FibPort& port = worker_.fib_->port(packet.port);
  const Ethernet header{to, port.mac, kEtherIpv6};
  if (packet.total_length() > port.mtu) {
    Pieces pieces;
    return send_pieces(packet, cut(packet, port.mtu, pieces), pieces, header, packet.port, end,
                       nullptr);
  }
  send(packet, header, packet.port, end, nullptr);
}

// What came in fragments leaves in fragments; nothing else does (RFC 8200 section 4.5).
void Worker6::send_to(Packet6& packet, const NextHop6& hop, End end, const Record* record) {
  if (packet.fragment_bytes != 0) {
    Pieces pieces;
    return send_pieces(packet, cut(packet, hop.mtu, pieces), pieces, hop.header, hop.port, end,
                       record);
  }
  send(packet, hop.header, hop.port, end, record);
}

// Fragments of the packet, no longer than `mtu` and those it came in, each beginning with its IPv6
// header; how many, 0 where there are no mbufs for them.
unsigned Worker6::cut(const Packet6& packet, uint32_t mtu, Pieces& pieces) {
  constexpr unsigned kLeast = 8;  // of what is cut, in each but the last
  const uint32_t most =
      packet.fragment_bytes == 0 ? mtu : std::min<uint32_t>(mtu, packet.fragment_bytes);
  const PerFragment head = per_fragment(packet, most - sizeof(Fragment6) - kLeast);
  const unsigned headers = head.bytes + sizeof(Fragment6);
  const unsigned step = (most - headers) & ~7u;
  const auto* start_of_all = reinterpret_cast<const uint8_t*>(packet.ip);
  const uint8_t* const payload = start_of_all + head.bytes;
  const unsigned bytes = packet.total_length() - head.bytes;
  const be32 id = to_be(++worker_.ip_id_);
  unsigned made = 0;
  for (unsigned at = 0; at < bytes; at += step, ++made) {
    const unsigned here = std::min(step, bytes - at);
    rte_mbuf* piece = made < pieces.size() ? rte_pktmbuf_alloc(worker_.options_.mbufs) : nullptr;
    char* start = piece == nullptr
                      ? nullptr
                      : rte_pktmbuf_append(piece, static_cast<uint16_t>(headers + here));
    if (start == nullptr) {
      rte_pktmbuf_free(piece);
      rte_pktmbuf_free_bulk(pieces.data(), made);
      return 0;
    }
    std::memcpy(start, start_of_all, head.bytes);
    start[head.next_at] = kFragmentHeader;
    reinterpret_cast<Ipv6*>(start)->payload =
        to_be(static_cast<uint16_t>(headers - sizeof(Ipv6) + here));
    *reinterpret_cast<Fragment6*>(start + head.bytes) = {
        start_of_all[head.next_at], 0,
        to_be(static_cast<uint16_t>(at | (at + here < bytes ? 1 : 0))), id};
    std::memcpy(start + headers, payload + at, here);
    pieces[made] = piece;
  }
  return made;
}

// The first piece carries the packet's end; the others are extra frames. `n` 0: there are none.
void Worker6::send_pieces(Packet6& packet, unsigned n, const Pieces& pieces, const Ethernet& header,
                          uint16_t port, End end, const Record* record) {
  bool room = n != 0;
  for (unsigned i = 0; i < n; ++i) {
    room = room && rte_pktmbuf_prepend(pieces[i], sizeof(Ethernet)) != nullptr;
  }
  if (!room) {
    for (unsigned i = 0; i < n; ++i) rte_pktmbuf_free(pieces[i]);
    worker_.note(Note::mbufs_exhausted, record != nullptr ? record->service : 0);
    return drop(packet, End::mbufs_exhausted, record);
  }
  packet.concern = Concern::ended;
  tell(packet, end, record, port);
  rte_pktmbuf_free(packet.mbuf);
  counters().add(Extra::fragments_made, n);
  counters().end(end);
  Worker::Out& out = worker_.to_port_[port];
  for (unsigned i = 0; i < n; ++i) {
    store(rte_pktmbuf_mtod(pieces[i], Ethernet*), Ethernet(header));
    pieces[i]->hash.fdir.hi = packet.source;
    if (out.n == 2 * kBurst) worker_.flush_port(port);
    out.mbufs[out.n] = pieces[i];
    out.ends[out.n++] = i == 0 ? end : End::fragment;
    out.bytes += rte_pktmbuf_pkt_len(pieces[i]);
  }
  if (out.n >= kBurst) worker_.flush_port(port);
}

// The Ethernet header goes where the frame begins by now.
void Worker6::send(Packet6& packet, const Ethernet& header, uint16_t port, End end,
                   const Record* record) {
  packet.concern = Concern::ended;
  store(rte_pktmbuf_mtod(packet.mbuf, Ethernet*), Ethernet(header));
  tell(packet, end, record, port);
  Worker::Out& out = worker_.to_port_[port];
  worker_.push(out, packet.mbuf, end);
  if (out.n >= kBurst) worker_.flush_port(port);
}

void Worker6::punt(Packet6& packet, End end) {
  packet.concern = Concern::ended;
  tell(packet, end, nullptr, packet.port);
  Worker::Out& out = worker_.to_twin_[packet.port];
  worker_.push(out, packet.mbuf, end);
  if (out.n >= kBurst) worker_.flush_punt(packet.port);
}

void Worker6::drop(Packet6& packet, End end, const Record* record) {
  packet.concern = Concern::ended;
  counters().end(end);
  tell(packet, end, record, -1);
  rte_pktmbuf_free(packet.mbuf);
}

void Worker6::tell(const Packet6& packet, End end, const Record* record, int port) {
  if (worker_.verdicts_ == nullptr) return;
  Verdict verdict{packet.source, end, -1, -1, -1, port};
  if (record != nullptr) {
    verdict.mode = static_cast<int8_t>(record->mode());
    verdict.service = record->service;
    verdict.server = static_cast<int32_t>(record->server);
  }
  worker_.verdicts_->push_back(verdict);
}

// As Worker::ask_for.
void Worker6::ask_for(uint16_t port, const WideAddress& address) {
  const be32 short_form = folded(address);
  Asked& asked = asked_[(short_form ^ (short_form >> 24) ^ port) % 64];
  const uint64_t now = worker_.now_ms_;
  if (asked.address == address && asked.port == port && now - asked.at_ms < 1000) return;
  asked = {address, port, now};
  counters().add(Extra::neighbour_requests);
  worker_.sink_.resolve(port, address);
}

}  // namespace sluice
