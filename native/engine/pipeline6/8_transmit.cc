// Stage 8: every packet's end. Frames gather with IPv4's.
#include <rte_mbuf.h>

#include "../worker6.h"

namespace sluice {

using namespace net;

void Worker6::reflect(Packet6& packet, const Mac& to, End end) {
  send(packet, {to, worker_.fib_->port(packet.port).mac, kEtherIpv6}, packet.port, end, nullptr);
}

void Worker6::send_to(Packet6& packet, const NextHop6& hop, End end, const Record* record) {
  send(packet, hop.header, hop.port, end, record);
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
