// Stage 8: every packet's end. Frames gather per port, twin and worker and leave a burst at a
// time; what is not taken there is counted under another end than it was meant for.
#include <rte_ip_frag.h>

#include <algorithm>

#include "../worker.h"

namespace sluice {

using namespace net;

void Worker::reflect(Packet& packet, const Mac& to, End end) {
  auto* ethernet = rte_pktmbuf_mtod(packet.mbuf, Ethernet*);
  ethernet->destination = to;
  ethernet->source = fib_->port(packet.port).mac;
  if (end != End::answered_arp) {
    ethernet->type = kEtherIpv4;
  } else {
    // That of a virtual router, where it is one's: switches learn it from whoever has it.
    ethernet->source = reinterpret_cast<Arp*>(ethernet + 1)->sender_mac;
  }
  tell(packet, end, nullptr, packet.port);
  push(to_port_[packet.port], packet.mbuf, end);
  if (to_port_[packet.port].n >= kBurst) flush_port(packet.port);
}

void Worker::send_to(Packet& packet, const NextHop& hop, End end, const Record* record) {
  if (packet.total_length() > hop.mtu || packet.fragment_bytes != 0) [[unlikely]] {
    return send_fragments(packet, hop, end, record);
  }
  std::memcpy(packet.ethernet(), &hop.header, sizeof hop.header);
  tell(packet, end, record, hop.port);
  push(to_port_[hop.port], packet.mbuf, end);
  if (to_port_[hop.port].n >= kBurst) flush_port(hop.port);
}

void Worker::send_fragments(Packet& packet, const NextHop& hop, End end, const Record* record) {
  Pieces pieces;
  send_pieces(packet, cut(packet, hop.mtu, pieces), pieces, hop.header, hop.port, end, record);
}

// Fragments of the packet (RFC 791 section 3.2), no longer than `mtu` and those it came in, each
// beginning with its IP header; how many, 0 where there are no mbufs for them.
unsigned Worker::cut(Packet& packet, uint32_t mtu, Pieces& pieces) {
  const auto size = static_cast<uint16_t>(
      packet.fragment_bytes == 0 ? mtu : std::min<uint32_t>(mtu, packet.fragment_bytes));
  packet.ip->fragment = 0;  // a datagram that came in fragments leaves so, DF or not
  rte_pktmbuf_adj(packet.mbuf, sizeof(Ethernet));
  const int32_t made = rte_ipv4_fragment_copy_nonseg_packet(packet.mbuf, pieces.data(),
                                                            pieces.size(), size, options_.mbufs);
  if (made <= 0) return 0;
  for (int32_t i = 0; i < made; ++i) set_ip_checksum(*rte_pktmbuf_mtod(pieces[i], Ipv4*));
  return static_cast<unsigned>(made);
}

// The first piece carries the packet's end; the others are extra frames. `n` 0: there are none.
void Worker::send_pieces(Packet& packet, unsigned n, const Pieces& pieces, const Ethernet& header,
                         uint16_t port, End end, const Record* record) {
  if (n == 0) {
    note(Note::mbufs_exhausted, record != nullptr ? record->service : 0);
    return drop(packet, End::mbufs_exhausted, record);
  }
  const uint32_t source = packet.source;
  tell(packet, end, record, port);
  rte_pktmbuf_free(packet.mbuf);
  counters_.add(Extra::fragments_made, n);
  counters_.end(end);
  Out& out = to_port_[port];
  for (unsigned i = 0; i < n; ++i) {
    store(rte_pktmbuf_prepend(pieces[i], sizeof(Ethernet)), Ethernet(header));
    pieces[i]->hash.fdir.hi = source;
    if (out.n == 2 * kBurst) flush_port(port);
    out.mbufs[out.n] = pieces[i];
    out.ends[out.n++] = i == 0 ? end : End::fragment;
    out.bytes += rte_pktmbuf_pkt_len(pieces[i]);
  }
  if (out.n >= kBurst) flush_port(port);
}

void Worker::punt(Packet& packet, End end) {
  packet.concern = Concern::ended;
  tell(packet, end, nullptr, packet.port);
  push(to_twin_[packet.port], packet.mbuf, end);
  if (to_twin_[packet.port].n >= kBurst) flush_punt(packet.port);
}

void Worker::drop(Packet& packet, End end, const Record* record) {
  packet.concern = Concern::ended;
  counters_.end(end);
  tell(packet, end, record, -1);
  rte_pktmbuf_free(packet.mbuf);
}

void Worker::add_verdict(const Packet& packet, End end, const Record* record, int port) {
  Verdict verdict{packet.source, end, -1, -1, -1, port};
  if (record != nullptr) {
    verdict.mode = static_cast<int8_t>(record->mode());
    verdict.service = record->service;
    verdict.server = static_cast<int32_t>(record->server);
  }
  verdicts_->push_back(verdict);
}

void Worker::settle(Out& out, uint16_t sent, End instead) {
  for (uint16_t i = sent; i < out.n; ++i) {
    rte_pktmbuf_free(out.mbufs[i]);
    if (out.ends[i] == End::fragment) continue;  // an extra frame: no packet's end
    if (out.ends[i] != instead) counters_.end(out.ends[i], static_cast<uint64_t>(-1));
    counters_.end(instead);
  }
  out.n = 0;
  out.bytes = 0;
}

void Worker::flush_port(uint16_t port) {
  Out& out = to_port_[port];
  const uint16_t sent = sink_.transmit(port, out.mbufs, out.n);
  for (uint16_t i = sent; i < out.n; ++i) out.bytes -= rte_pktmbuf_pkt_len(out.mbufs[i]);
  uint64_t* counted = counters_.port(port);
  counted[kTxPackets] += sent;
  counted[kTxBytes] += out.bytes;
  settle(out, sent, End::transmit_full);
}

void Worker::flush_punt(uint16_t port) {
  Out& out = to_twin_[port];
  settle(out, sink_.punt(port, out.mbufs, out.n), End::punt_full);
}

void Worker::flush_hand_off(uint16_t worker) {
  Out& out = to_worker_[worker];
  const uint16_t sent = sink_.hand_off(worker, out.mbufs, out.n);
  settle(out, sent, End::hand_off_full);
}

void Worker::note(Note what, uint32_t service) {
  NoteState& state = notes_[static_cast<unsigned>(what)];
  ++state.count;
  if (state.last_ms != 0 && now_ms_ - state.last_ms < 1000) return;
  sink_.note(what, state.count, service);
  state.count = 0;
  state.last_ms = now_ms_ == 0 ? 1 : now_ms_;
}

void Worker::ask_for(uint16_t port, be32 address) {
  Asked& asked = asked_[(address ^ (address >> 24) ^ port) % 64];
  if (asked.address == address && asked.port == port && now_ms_ - asked.at_ms < 1000) return;
  asked = {address, port, now_ms_};
  counters_.add(Extra::neighbour_requests);
  sink_.resolve(port, address);
}

}  // namespace sluice
