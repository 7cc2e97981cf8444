// Stage 2, with more than one worker: a packet whose flow another worker owns goes to it by ring.
//
// Where NICs spread packets (steering.h) a flow is owned by the worker whose queue its packets come
// by: a request's by the hash of its own addresses and ports, and local ports are chosen so that
// replies to them hash to the same worker. Where a port hasn't shown that it does so, or for ICMP
// errors and fragments, the same hash is calculated and the packet handed off.
//
// A NAT reply's ports can't be chosen: it and the requests to an address with NAT servers are owned
// by a hash of the client's address and port, which both carry. Without NICs that spread packets
// all requests are, and a packet to a local port is owned by the port's remainder
// (table/port_share.h).
//
// All of a client's connections to an address with a persistent service have one owner, which keeps
// their template: a hash of as much of the client's address as persistence looks at.
#include "../table/hash.h"
#include "../worker.h"

namespace sluice {

using namespace net;

uint16_t Worker::owner_of(const Packet& packet) const {
  const TupleOf<V4>& t = packet.key.tuple;
  const uint16_t n = options_.workers;
  const uint8_t flags = snapshot_->flow_flags(t.source, t.destination);
  if ((flags & Snapshot::kOwned) == 0) {
    return snapshot_->nat_persists()
               ? owner_of_client(t.destination & snapshot_->client_mask(), 0, n)
               : owner_of_client(t.destination, t.destination_port, n);
  }
  // To a port of ours, as replies are, and errors about what ENAT has sent.
  const bool local = (flags & Snapshot::kLocalAddress) != 0 ||
                     ((flags & Snapshot::kEnatSource) != 0 &&
                      snapshot_->service_for(t, packet.key.protocol, packet.port) == nullptr);
  const bool persists = (flags & Snapshot::kPersistent) != 0 ||
                        ((flags & Snapshot::kNatService) != 0 && snapshot_->nat_persists());
  if (!local && persists) return owner_of_client(t.source & snapshot_->client_mask(), 0, n);
  if (!local && (options_.steering == nullptr || (flags & Snapshot::kNatService) != 0)) {
    return owner_of_client(t.source, t.source_port, n);
  }
  if (options_.steering != nullptr) return options_.steering->owner(t);
  return from_be(t.destination_port) % n;
}

void Worker::hand_off(const Group& group) {
  for (uint16_t i = 0; i < group.n; ++i) {
    Packet& packet = group.packets[i];
    const bool plain = packet.is_plain();
    if (!plain && packet.concern != Concern::flow && packet.concern != Concern::icmp_error)
      continue;
    // What was handed here is ours, but for datagrams that became whole only here.
    if (group.handed_off && (plain || packet.fragment_bytes == 0)) continue;
    if (group.handed_off && went_by_signpost(packet.mbuf)) continue;
    if (plain) {
      packet.mbuf = group.mbufs[i];
      packet.port = group.port;
      packet.fragment_bytes = 0;
    }
    if (came_to_owner(packet)) continue;
    const uint16_t owner = owner_of(packet);
    if (owner == options_.index) continue;
    if (plain) unfold(packet, group);
    give_to(owner, packet);
  }
}

// True when the NIC has brought the packet to its owner. Whoever has no connection for it asks
// again (first_packet), so that a NIC's mistake costs a hand-off and nothing else.
bool Worker::came_to_owner(const Packet& packet) {
  Calibration& calibration = calibrations_[packet.port];
  const bool flow = packet.is_plain() || packet.concern == Concern::flow;
  if (!flow || packet.fragment_bytes != 0) return false;
  if (calibration.is_checking()) calibrate(calibration, packet);
  if (!calibration.agrees()) return false;
  if (!snapshot_->has_nat() && !snapshot_->has_persistence()) return true;
  constexpr uint8_t kAsked = Snapshot::kOwned | Snapshot::kNatService | Snapshot::kPersistent;
  return (snapshot_->address_flags(packet.key.tuple.destination) & kAsked) == Snapshot::kOwned;
}

void Worker::calibrate(Calibration& calibration, const Packet& packet) {
  if (packet.ip->header_bytes() != sizeof(Ipv4)) return;
  // Few NICs hash the ports of SCTP, which says nothing of what they do with the rest.
  if (packet.key.protocol == kSctp) return;
  const Steering& steering = *options_.steering;
  switch (
      calibration.check(*packet.mbuf, steering.hash(packet.key.tuple), options_.index, steering)) {
    case Calibration::Finding::none:
      return;
    case Calibration::Finding::agrees:
      return sink_.note(Note::rss_agrees, 1, packet.port);
    case Calibration::Finding::disagrees:
      return sink_.note(Note::rss_disagrees, 1, packet.port);
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
  packet.bucket = Table::empty_bucket();
  counters_.add(Extra::handed_off);
  push(to_worker_[owner], packet.mbuf, End::hand_off_full);
  if (to_worker_[owner].n >= kBurst) flush_hand_off(owner);
}

}  // namespace sluice
