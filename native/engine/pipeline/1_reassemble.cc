// Part of stage 1: fragments of datagrams that concern us are gathered, whatever their order, and
// go on as one packet, which leaves in fragments of the original size, as Linux has it.
//
// rte_ip_frag keeps them: 256 datagrams of up to 8 fragments at once, 30 s each (RFC 791 section
// 3.2 leaves the time open; Linux waits as long). Each fragment is counted as reassembled when it
// is taken in; one that dies in the table is counted as a dropped fragment instead.
#include <rte_ip_frag.h>

#include <cstring>
#include <utility>

#include "../worker6.h"

namespace sluice {

using namespace net;

namespace {

constexpr uint32_t kBuckets = 64;
constexpr uint32_t kDatagrams = 256;
constexpr uint64_t kWaitMs = 30'000;
constexpr uint64_t kCheckMs = 100;
constexpr unsigned kHeads = sizeof(Ethernet) + sizeof(Ipv6);

// Has a fragment's unfragmentable part, `aside` bytes of extension headers, stand before Ethernet's
// header, and so the fragment header right behind IPv6's own, where DPDK looks for it. Of what that
// changes, EtherType, which is known, says what has to be said: what the first of them is, and
// where the last one begins, in eights of bytes.
void put_aside(Packet6& packet, unsigned aside) {
  auto* start = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  uint8_t headers[kMostUnfragmentable6];
  std::memcpy(headers, start + kHeads, aside);
  std::memmove(start + aside, start, kHeads);
  std::memcpy(start, headers, aside);
  packet.ip = reinterpret_cast<Ipv6*>(start + aside + sizeof(Ethernet));
  const auto last = static_cast<uint8_t>((packet.next_at - sizeof(Ipv6)) / 8);
  const uint8_t note[] = {packet.ip->next, last};
  std::memcpy(&packet.ethernet()->type, note, sizeof note);
  packet.ip->payload = to_be(static_cast<uint16_t>(from_be(packet.ip->payload) - aside));
}

// And where they were, in front of what has become whole.
void bring_back(rte_mbuf* mbuf, unsigned aside) {
  auto* start = rte_pktmbuf_mtod(mbuf, uint8_t*);
  uint8_t headers[kMostUnfragmentable6], note[2];
  std::memcpy(headers, start, aside);
  std::memmove(start, start + aside, kHeads);
  auto* ethernet = reinterpret_cast<Ethernet*>(start);
  auto* ip = reinterpret_cast<Ipv6*>(ethernet + 1);
  std::memcpy(note, &ethernet->type, sizeof note);
  ethernet->type = kEtherIpv6;
  headers[8 * note[1]] = ip->next;
  ip->next = note[0];
  ip->payload = to_be(static_cast<uint16_t>(from_be(ip->payload) + aside));
  std::memcpy(start + kHeads, headers, aside);
}

}  // namespace

struct Worker::Fragments {
  rte_ip_frag_tbl* table = rte_ip_frag_table_create(kBuckets, kDatagrams / kBuckets, kDatagrams,
                                                    kWaitMs, static_cast<int>(SOCKET_ID_ANY));
  rte_ip_frag_death_row dead{};
  uint64_t next_check_ms = 0;

  ~Fragments() {
    if (table != nullptr) rte_ip_frag_table_destroy(table);
  }
};

std::unique_ptr<Worker::Fragments, void (*)(Worker::Fragments*)> Worker::make_fragments() {
  return {new Fragments, [](Fragments* fragments) { delete fragments; }};
}

// True when the packet is whole now, with its pointers set anew; false when it has ended here.
bool Worker::reassemble(Packet& packet) {
  const Ipv4& ip = *packet.ip;
  if (!snapshot_->fragments_concern_us(ip.source, ip.destination)) {
    punt(packet, End::punted_not_ours);
    return false;
  }
  if (fragments_->table == nullptr || options_.datagrams == nullptr) {
    drop(packet, End::fragment);
    return false;
  }
  counters_.end(End::reassembled);
  packet.mbuf->l2_len = sizeof(Ethernet);
  packet.mbuf->l3_len = ip.header_bytes();
  const uint32_t source = packet.source;
  packet.concern = Concern::ended;
  rte_mbuf* whole =
      rte_ipv4_frag_reassemble_packet(fragments_->table, &fragments_->dead, packet.mbuf, now_ms_,
                                      reinterpret_cast<rte_ipv4_hdr*>(packet.ip));
  bury_fragments();
  if (whole == nullptr) {
    tell(packet, End::reassembled, nullptr, -1);
    return false;
  }
  packet.mbuf = whole;
  rte_mbuf* const copy = in_one_segment(whole, 0, packet.fragment_bytes);
  if (copy == nullptr) {
    drop(packet, End::mbufs_exhausted);
    return false;
  }
  packet.mbuf = copy;
  packet.source = copy->hash.fdir.hi = source;
  packet.ip = reinterpret_cast<Ipv4*>(rte_pktmbuf_mtod(copy, uint8_t*) + sizeof(Ethernet));
  set_ip_checksum(*packet.ip);
  // The first fragment's header, which need not be as long as this one's (RFC 791: copied flag).
  const unsigned header = packet.ip->header_bytes();
  packet.l4 = reinterpret_cast<uint8_t*>(packet.ip) + header;
  packet.l4_bytes = static_cast<uint16_t>(packet.total_length() - header);
  return true;
}

// A datagram of parts as one segment, which takes its place; nullptr: there is no room, and it
// stays. `lost`: bytes of the first part's header that went when it was put together. `largest`:
// of the fragments, IP headers included.
rte_mbuf* Worker::in_one_segment(rte_mbuf* whole, unsigned lost, uint16_t& largest) {
  counters_.end(End::reassembled, static_cast<uint64_t>(-1));  // this one ends as the datagram
  largest = 0;
  for (const rte_mbuf* part = whole; part != nullptr; part = part->next) {
    // Later parts have lost their headers: l3_len still says how long each was.
    const unsigned bytes =
        part->data_len - sizeof(Ethernet) + (part == whole ? lost : part->l2_len + part->l3_len);
    largest = std::max(largest, static_cast<uint16_t>(bytes));
  }
  rte_mbuf* copy = rte_pktmbuf_copy(whole, options_.datagrams, 0, UINT32_MAX);
  if (copy == nullptr || copy->nb_segs > 1) {
    rte_pktmbuf_free(copy);
    note(Note::mbufs_exhausted, 0);
    return nullptr;
  }
  rte_pktmbuf_free(whole);
  counters_.add(Extra::datagrams_reassembled);
  return copy;
}

// As IPv4's, in the same table. `at`: the fragment header, with kMostUnfragmentable6 bytes of
// others before it at the most. What becomes whole has the first fragment's headers, but for that
// one (RFC 8200 section 4.5).
bool Worker::reassemble(Packet6& packet, const uint8_t* at) {
  Worker6& six = *six_;
  const auto fragment = load<Fragment6>(at);
  const auto aside = static_cast<unsigned>(at - reinterpret_cast<uint8_t*>(packet.ip + 1));
  const unsigned bytes = packet.total_length() - sizeof(Ipv6) - aside - sizeof(Fragment6);
  // RFC 8200 section 4.5: all but the last are multiples of eight, and none ends beyond 65535.
  if (bytes == 0 || (fragment.has_more() && bytes % 8 != 0) ||
      kMostUnfragmentable6 + fragment.offset_bytes() + bytes > UINT16_MAX) {
    six.drop(packet, End::bad_ip_length);
    return false;
  }
  if (fragments_->table == nullptr || options_.datagrams == nullptr) {
    six.drop(packet, End::fragment);
    return false;
  }
  counters_.end(End::reassembled);
  if (aside != 0) put_aside(packet, aside);
  static_assert(sizeof(Ethernet) + kMostUnfragmentable6 < 1 << RTE_MBUF_L2_LEN_BITS);
  packet.mbuf->l2_len = sizeof(Ethernet) + aside;
  packet.mbuf->l3_len = sizeof(Ipv6) + sizeof(Fragment6);
  const uint32_t source = packet.source;
  rte_mbuf* whole =
      rte_ipv6_frag_reassemble_packet(fragments_->table, &fragments_->dead, packet.mbuf, now_ms_,
                                      reinterpret_cast<rte_ipv6_hdr*>(packet.ip),
                                      reinterpret_cast<rte_ipv6_fragment_ext*>(packet.ip + 1));
  bury_fragments();
  if (whole == nullptr) {
    six.tell(packet, End::reassembled, nullptr, -1);
    return false;
  }
  packet.mbuf = whole;
  const unsigned back = whole->l2_len - sizeof(Ethernet);
  rte_mbuf* const copy = in_one_segment(whole, sizeof(Fragment6), packet.fragment_bytes);
  if (copy == nullptr) {
    six.drop(packet, End::mbufs_exhausted);
    return false;
  }
  if (back != 0) bring_back(copy, back);
  packet.mbuf = copy;
  packet.source = copy->hash.fdir.hi = source;
  packet.ip = reinterpret_cast<Ipv6*>(rte_pktmbuf_mtod(copy, uint8_t*) + sizeof(Ethernet));
  return true;
}

void Worker::expire_fragments() {
  if (fragments_->table == nullptr || now_ms_ < fragments_->next_check_ms) return;
  fragments_->next_check_ms = now_ms_ + kCheckMs;
  // DPDK takes no more at once than its row has room for, which may be less than all of them.
  do {
    rte_ip_frag_table_del_expired_entries(fragments_->table, &fragments_->dead, now_ms_);
  } while (bury_fragments());
}

// False: there were none.
bool Worker::bury_fragments() {
  rte_ip_frag_death_row& dead = fragments_->dead;
  for (uint32_t i = 0; i < dead.cnt; ++i) {
    rte_pktmbuf_free(dead.row[i]);
    counters_.end(End::reassembled, static_cast<uint64_t>(-1));
    counters_.end(End::fragment);
  }
  return std::exchange(dead.cnt, 0) != 0;
}

}  // namespace sluice
