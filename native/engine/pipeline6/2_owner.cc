// Stage 2, with more than one worker: who owns an IPv6 flow. NICs' hashes are not calculated for
// IPv6: a request is owned by a hash of its client's address and port, so is a NAT reply, and a
// packet to a local port by the port's remainder, which is how ports are shared out.
#include "../worker6.h"

namespace sluice {

uint16_t Worker6::owner_of(const Packet6& packet) const {
  const TupleOf<V6>& t = packet.key.tuple;
  const uint16_t n = worker_.options_.workers;
  const uint8_t flags = worker_.snapshot_->flow_flags(t.source, t.destination);
  if ((flags & Snapshot::kOwned) == 0) {
    return owner_of_client(t.destination, t.destination_port, n);
  }
  if (flags & Snapshot::kLocalAddress) return from_be(t.destination_port) % n;
  return owner_of_client(t.source, t.source_port, n);
}

// True: it is another worker's, and on its way there.
bool Worker6::hand_off(Packet6& packet) {
  if (packet.handed_off) return false;
  const uint16_t owner = owner_of(packet);
  if (owner == worker_.options_.index) return false;
  give_to(owner, packet);
  return true;
}

void Worker6::give_to(uint16_t owner, Packet6& packet) {
  packet.mbuf->port = packet.port;
  packet.mbuf->tso_segsz = 0;
  packet.concern = Concern::ended;  // for this worker; the owner counts its end
  counters().add(Extra::handed_off);
  Worker::Out& out = worker_.to_worker_[owner];
  worker_.push(out, packet.mbuf, End::hand_off_full);
  if (out.n >= kBurst) worker_.flush_hand_off(owner);
}

}  // namespace sluice
