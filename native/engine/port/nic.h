// What a NIC that spreads packets by RSS does with a frame: for ports that stand in for one, in
// replay, tests and benchmarks. Says nothing of what the engine makes of it.
#pragma once

#include <rte_mbuf.h>

#include <cstring>
#include <vector>

#include "../net/headers.h"
#include "../net/toeplitz.h"

namespace sluice {

class Nic {
 public:
  // `table`: a power of two of queues.
  Nic(const net::Toeplitz::Key& key, std::vector<uint16_t> table, bool tells_hash = true)
      : hash_(std::span<const uint8_t, net::Toeplitz::kKey>(key.data(), net::Toeplitz::kKey)),
        table_(std::move(table)),
        tells_hash_(tells_hash) {}

  // Writes the hash into the mbuf; the queue it goes to.
  uint16_t receive(rte_mbuf& mbuf) const {
    TupleOf<V4> tuple{};
    if (!read(mbuf, tuple)) return table_[0];
    const uint32_t hash = hash_(tuple);
    if (tells_hash_) {
      mbuf.hash.rss = hash;
      mbuf.ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
    }
    return queue_of(hash);
  }
  uint16_t queue_of(uint32_t hash) const { return table_[hash & (table_.size() - 1)]; }
  uint32_t hash(const TupleOf<V4>& tuple) const { return hash_(tuple); }

 private:
  // Addresses of any IPv4 packet, and ports of whole TCP segments and UDP datagrams.
  static bool read(const rte_mbuf& mbuf, TupleOf<V4>& tuple) {
    const auto* at = rte_pktmbuf_mtod(&mbuf, const uint8_t*);
    const uint32_t bytes = mbuf.data_len;
    constexpr uint32_t kIp = sizeof(net::Ethernet);
    if (bytes < kIp + sizeof(net::Ipv4) || load<be16>(at + 12) != net::kEtherIpv4) return false;
    net::Ipv4 ip;
    std::memcpy(&ip, at + kIp, sizeof ip);
    if (ip.version_ihl >> 4 != 4) return false;
    tuple = {ip.source, ip.destination, 0, 0};
    const uint32_t l4 = kIp + ip.header_bytes();
    if ((ip.protocol == kTcp || ip.protocol == kUdp) && !ip.is_fragment() && bytes >= l4 + 4) {
      std::memcpy(&tuple.source_port, at + l4, 4);
    }
    return true;
  }

  const net::Toeplitz hash_;
  const std::vector<uint16_t> table_;
  const bool tells_hash_;
};

}  // namespace sluice
