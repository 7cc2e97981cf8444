// Stage 2, with more than one worker: a packet whose flow another worker owns goes to it by ring.
//
// A client's flow is owned by a hash of its address and port, which requests and NAT replies both
// carry. A packet to a LIP is owned by its port's remainder (see LocalPorts).
#include "../table/hash.h"
#include "../worker.h"

namespace sluice {

using namespace net;

uint16_t Worker::owner_of(const Packet& packet) const {
  const TupleOf<V4>& t = packet.key.tuple;
  const uint16_t n = options_.workers;
  if (snapshot_->is_local(t.destination)) return from_be(t.destination_port) % n;
  if (snapshot_->owns(t.destination)) return owner_of_client(t.source, t.source_port, n);
  return owner_of_client(t.destination, t.destination_port, n);
}

void Worker::hand_off(const Group& group) {
  for (uint16_t i = 0; i < group.n; ++i) {
    Packet& packet = group.packets[i];
    if (packet.concern != Concern::flow && packet.concern != Concern::icmp_error) continue;
    // What was handed here is ours, but for datagrams that became whole only here.
    if (group.handed_off && packet.fragment_bytes == 0) continue;
    const uint16_t owner = owner_of(packet);
    if (owner != options_.index) give_to(owner, packet);
  }
}

// Fragments carry no ports: one worker, chosen by what all of a datagram's fragments share, puts
// them together, and the whole then goes to its flow's owner.
bool Worker::hand_off_fragment(Packet& packet) {
  if (options_.workers == 1) return false;
  const Ipv4& ip = *packet.ip;
  const uint16_t owner = owner_of_client(ip.source ^ ip.destination, ip.id, options_.workers);
  if (owner == options_.index) return false;
  give_to(owner, packet);
  return true;
}

void Worker::give_to(uint16_t owner, Packet& packet) {
  packet.mbuf->port = packet.port;
  packet.mbuf->tso_segsz = packet.fragment_bytes;
  packet.concern = Concern::ended;  // for this worker; the owner counts its end
  counters_.add(Extra::handed_off);
  push(to_worker_[owner], packet.mbuf, End::hand_off_full);
  if (to_worker_[owner].n >= kBurst) flush_hand_off(owner);
}

}  // namespace sluice
