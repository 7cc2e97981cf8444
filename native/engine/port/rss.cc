// How a device is told to spread packets, and what it then says it does. Devices differ in what
// they take: whatever is refused is read back instead, and what they really do is seen on packets
// (calibration.h).
#include <rte_ethdev.h>

#include <algorithm>

#include "ethdev.h"

namespace sluice {
namespace {

constexpr uint64_t kKinds = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP;

std::optional<net::Toeplitz::Key> set_key(uint16_t id, const rte_eth_dev_info& info,
                                          const net::Toeplitz::Key& key) {
  // Some take longer keys: what is beyond the tuples of IPv6 is never used.
  std::vector<uint8_t> bytes(std::max<size_t>(info.hash_key_size, key.size()));
  std::copy(key.begin(), key.end(), bytes.begin());
  const auto length =
      static_cast<uint8_t>(info.hash_key_size != 0 ? info.hash_key_size : key.size());
  rte_eth_rss_conf conf{};
  conf.rss_key = bytes.data();
  conf.rss_key_len = length;
  conf.rss_hf = (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP) &
                info.flow_type_rss_offloads;
  const bool taken = rte_eth_dev_rss_hash_update(id, &conf) == 0;
  std::fill(bytes.begin(), bytes.end(), uint8_t{0});
  conf = {};
  conf.rss_key = bytes.data();
  conf.rss_key_len = length;
  if (rte_eth_dev_rss_hash_conf_get(id, &conf) != 0) {
    return taken ? std::optional(key) : std::nullopt;
  }
  if ((conf.rss_hf & kKinds) != kKinds) return std::nullopt;
  net::Toeplitz::Key read;
  std::copy_n(bytes.begin(), read.size(), read.begin());
  return read;
}

std::optional<std::vector<uint16_t>> set_table(uint16_t id, unsigned size, uint16_t workers) {
  constexpr unsigned kGroup = RTE_ETH_RETA_GROUP_SIZE;
  std::vector<uint16_t> table = Steering::even_table(size, workers);
  std::vector<rte_eth_rss_reta_entry64> groups((size + kGroup - 1) / kGroup);
  for (unsigned i = 0; i < size; ++i) {
    groups[i / kGroup].mask |= uint64_t{1} << (i % kGroup);
    groups[i / kGroup].reta[i % kGroup] = table[i];
  }
  const auto reta_size = static_cast<uint16_t>(size);
  const bool taken = rte_eth_dev_rss_reta_update(id, groups.data(), reta_size) == 0;
  if (rte_eth_dev_rss_reta_query(id, groups.data(), reta_size) != 0) {
    return taken ? std::optional(table) : std::nullopt;
  }
  for (unsigned i = 0; i < size; ++i) table[i] = groups[i / kGroup].reta[i % kGroup];
  return table;
}

}  // namespace

void Port::set_up_rss(const net::Toeplitz::Key& key, unsigned workers) {
  rte_eth_dev_info info{};
  if (rx_queues_ != workers || workers == 1 || driver_ == "net_tap") return;
  if (rte_eth_dev_info_get(id_, &info) != 0 || info.reta_size == 0) return;
  if ((info.flow_type_rss_offloads & kKinds) != kKinds) return;
  const auto used_key = set_key(id_, info, key);
  const auto table = set_table(id_, info.reta_size, static_cast<uint16_t>(workers));
  if (used_key && table) rss_ = RssSetup{*used_key, *table};
}

}  // namespace sluice
