// The frames that the port makes: a template of each kind, copied whole, with the flow's ends and
// the checksums written in.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <type_traits>

#include "case.h"
#include "engine/net/checksum.h"
#include "engine/net/headers.h"
#include "engine/net/ipv6.h"

namespace sluice::bench {

enum class Segment : uint8_t { data, syn, syn_ack, ack, fin, last_ack };

struct Ends {
  be32 source, destination;
  be16 source_port, destination_port;
};

// Server's and client's first sequence numbers, the same for every flow.
inline constexpr uint32_t kClientIsn = 0x10000000, kServerIsn = 0x20000000;

using Words = uint64_t __attribute__((vector_size(32)));

// The first 64 bytes of a frame, all of the shortest, and what is needed to finish them. Small, so
// that a loop can keep a copy in registers.
struct Head {
  static constexpr unsigned kBytes = 64;  // one cache line

  // From a client to the virtual service. IPv6 addresses are named by their last four bytes.
  template <class Family = V4>
  void write_request(rte_mbuf* mbuf, uint32_t flow, be32 client, be16 client_port) const {
    uint8_t* ip = copy(mbuf, flow);
    store(ip + kSourceAt<Family>, client);
    store(ip + Family::kHeader, client_port);
    const uint32_t address = halves(client);
    write_checksums<Family>(ip, address, address + client_port);
  }
  // From a real server to the director or, with NAT, to a client.
  template <class Family = V4>
  void write_reply(rte_mbuf* mbuf, uint32_t flow, be32 server, be32 to, be16 to_port) const {
    uint8_t* ip = copy(mbuf, flow);
    store(ip + kSourceAt<Family>, server);
    store(ip + kSourceAt<Family> + sizeof(typename Family::Address), to);
    store(ip + Family::kHeader + 2, to_port);
    const uint32_t addresses = halves(server) + halves(to);
    write_checksums<Family>(ip, addresses, addresses + to_port);
  }

  Words low{}, high{};
  uint32_t ip_sum = 0, l4_sum = 0;  // folded, of everything but the ends that change
  uint16_t length = 0;              // of the frame, without FCS
  uint16_t checksum_at = 0;         // of L4, behind the start of the IP header

 private:
  // The last four bytes of the source.
  template <class Family>
  static constexpr unsigned kSourceAt = Family::kHeader - sizeof(typename Family::Address) -
                                        sizeof(be32);

  uint8_t* copy(rte_mbuf* mbuf, uint32_t flow) const {
    auto* at = rte_pktmbuf_mtod(mbuf, uint8_t*);
    store(at, low);
    store(at + sizeof low, high);
    mbuf->data_len = length;
    mbuf->pkt_len = length;
    mbuf->hash.usr = flow;  // where a NIC leaves its RSS hash
    return at + sizeof(net::Ethernet);
  }
  template <class Family>
  void write_checksums(uint8_t* ip, uint32_t addresses, uint32_t ends) const {
    if constexpr (std::is_same_v<Family, V4>) {
      store(ip + offsetof(net::Ipv4, checksum), complement(ip_sum + addresses));
    }
    // UDP sends 0xffff for 0 (RFC 768); for TCP they are the same number.
    const uint16_t l4 = complement(l4_sum + ends);
    store(ip + checksum_at, static_cast<uint16_t>(l4 == 0 ? 0xffff : l4));
  }
  static uint32_t halves(be32 address) { return (address & 0xffff) + (address >> 16); }
  // Of a handful of 16-bit words.
  static uint16_t complement(uint32_t sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~(sum + (sum >> 16)));
  }
};

class Frame {
 public:
  static constexpr unsigned kMost = 1518 - kFcs;

  Frame() = default;
  // `bytes`: with FCS, as in Case; what has no room in them makes the frame longer.
  Frame(uint8_t protocol, Segment segment, bool reply, unsigned bytes, unsigned family = 4);

  const Head& head() const { return head_; }
  // What follows the head in a longer frame. Written before the head, whose checksum may lie in it.
  void write_tail(rte_mbuf* mbuf) const {
    if (head_.length <= Head::kBytes) return;
    std::memcpy(rte_pktmbuf_mtod_offset(mbuf, uint8_t*, Head::kBytes), tail_,
                head_.length - Head::kBytes);
  }

 private:
  Head head_;
  uint8_t tail_[kMost - Head::kBytes]{};
};

// What a frame says that the director has sent.
struct Sent {
  Mac to;
  Ends ends;                        // of the inner packet in a tunnel; IPv6: the last four bytes
  be32 tunnel_to;                   // 0: in none
  uint8_t ip_options, tcp_options;  // bytes
};
// Reads a frame and everything in it that can be checked without knowing its flow: lengths,
// checksums, TTL, encapsulation. What is wrong with it, or nullptr.
const char* inspect(const rte_mbuf* mbuf, const Case& c, Sent& sent);

}  // namespace sluice::bench
