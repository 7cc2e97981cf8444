// The frames that the port makes: a template of each kind, copied whole, with the flow's ends and
// the checksums written in.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "case.h"
#include "engine/net/checksum.h"
#include "engine/net/headers.h"

namespace sluice::bench {

enum class Segment : uint8_t { data, syn, syn_ack, ack };
inline constexpr unsigned kSegments = 4;

struct Ends {
  be32 source, destination;
  be16 source_port, destination_port;
};

// Server's and client's first sequence numbers, the same for every flow.
inline constexpr uint32_t kClientIsn = 0x10000000, kServerIsn = 0x20000000;

class Frame {
 public:
  static constexpr unsigned kMost = 1518 - kFcs;

  Frame() = default;
  // `bytes`: with FCS, as in Case.
  Frame(uint8_t protocol, Segment segment, bool reply, unsigned bytes);

  void write(rte_mbuf* mbuf, uint32_t flow, const Ends& ends) const {
    auto* at = rte_pktmbuf_mtod(mbuf, uint8_t*);
    // The shortest frames are one cache line, copied as such; its last four bytes are not sent.
    if (length_ <= kLine) {
      std::memcpy(at, bytes_, kLine);
    } else {
      std::memcpy(at, bytes_, length_);
    }
    auto* ip = reinterpret_cast<net::Ipv4*>(at + sizeof(net::Ethernet));
    const uint64_t addresses = uint64_t{ends.source} + ends.destination;
    ip->source = ends.source;
    ip->destination = ends.destination;
    ip->checksum = static_cast<uint16_t>(~net::fold(ip_sum_ + addresses));
    uint8_t* l4 = reinterpret_cast<uint8_t*>(ip + 1);
    store(l4, ends.source_port);
    store(l4 + 2, ends.destination_port);
    const uint64_t ports = uint64_t{ends.source_port} + ends.destination_port;
    const auto checksum = static_cast<uint16_t>(~net::fold(l4_sum_ + addresses + ports));
    // UDP sends 0xffff for 0 (RFC 768); for TCP they are the same number.
    store(l4 + checksum_at_, static_cast<uint16_t>(checksum == 0 ? 0xffff : checksum));
    mbuf->data_len = length_;
    mbuf->pkt_len = length_;
    mbuf->hash.usr = flow;  // where a NIC leaves its RSS hash
  }
  uint16_t length() const { return length_; }

 private:
  static constexpr unsigned kLine = 64;

  alignas(64) uint8_t bytes_[(kMost + 63) & ~63u]{};
  uint64_t ip_sum_ = 0, l4_sum_ = 0;  // of everything but the ends
  uint16_t length_ = 0;
  uint8_t checksum_at_ = 0;  // in the L4 header
};

// What a frame says that the director has sent.
struct Sent {
  Mac to;
  Ends ends;                        // of the inner packet in a tunnel
  be32 tunnel_to;                   // 0: in none
  uint8_t ip_options, tcp_options;  // bytes
};
// Reads a frame and everything in it that can be checked without knowing its flow: lengths,
// checksums, TTL, encapsulation. What is wrong with it, or nullptr.
const char* inspect(const rte_mbuf* mbuf, const Case& c, Sent& sent);

}  // namespace sluice::bench
