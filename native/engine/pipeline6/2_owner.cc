// Stage 2, with more than one worker: who owns an IPv6 flow. NICs' hashes are not calculated for
// IPv6: a request is owned by a hash of its client's address and port, so is a NAT reply, and a
// packet to a local port by the port's remainder, which is how ports are shared out. What
// persistence looks at of a client's address owns its flows where pipeline/2_owner.cc says so of
// IPv4's.
#include "../worker6.h"

namespace sluice {

using namespace net;

uint16_t Worker6::owner_of(const Packet6& packet) const {
  const TupleOf<V6>& t = packet.key.tuple;
  const uint16_t n = worker_.options_.workers;
  const uint8_t flags = worker_.snapshot_->flow_flags(t.source, t.destination);
  if ((flags & Snapshot::kOwned) == 0) {
    return six().nat_persists() ? owner_of_client(masked(t.destination, six().client_bits()), 0, n)
                                : owner_of_client(t.destination, t.destination_port, n);
  }
  if (flags & Snapshot::kLocalAddress) return from_be(t.destination_port) % n;
  return six().persists(flags) ? owner_of_client(masked(t.source, six().client_bits()), 0, n)
                               : owner_of_client(t.source, t.source_port, n);
}

// True: it is another worker's, and on its way there.
bool Worker6::hand_off(Packet6& packet) {
  // What was handed here is ours, but for datagrams that became whole only here.
  if (packet.handed_off && !packet.became_whole) return false;
  const uint16_t owner = owner_of(packet);
  if (owner == worker_.options_.index) return false;
  give_to(owner, packet);
  return true;
}

// As Worker::hand_off_fragment.
bool Worker6::hand_off_fragment(Packet6& packet, be32 id) {
  if (worker_.options_.workers == 1) return false;
  const Ipv6& ip = *packet.ip;
  const be32 ends = folded(ip.source) ^ folded(ip.destination);
  const uint16_t owner =
      owner_of_client(ends, static_cast<be16>(id ^ id >> 16), worker_.options_.workers);
  if (owner == worker_.options_.index) return false;
  give_to(owner, packet);
  return true;
}

void Worker6::give_to(uint16_t owner, Packet6& packet) {
  packet.mbuf->port = packet.port;
  packet.mbuf->tso_segsz = packet.fragment_bytes;
  packet.concern = Concern::ended;  // for this worker; the owner counts its end
  counters().add(Extra::handed_off);
  Worker::Out& out = worker_.to_worker_[owner];
  worker_.push(out, packet.mbuf, End::hand_off_full);
  if (out.n >= kBurst) worker_.flush_hand_off(owner);
}

}  // namespace sluice
