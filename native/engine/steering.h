// How the ports' NICs spread packets over their queues: queue w of every port is worker w's. The
// hash of a packet's addresses and ports picks an entry of a table, the entry names the queue.
// Engine and NIC agree on the hash's key and on the table, so that a worker can tell where any
// packet will arrive, and choose local ports whose replies come to itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/toeplitz.h"

namespace sluice {

// What a port's device was told, or says it does.
struct RssSetup {
  net::Toeplitz::Key key{};
  std::vector<uint16_t> table;  // queues; its size is a power of two
};

class Steering {
 public:
  // One for all ports, since a reply may come in by any. nullptr and why when they differ, or when
  // their key leaves no choice of ports.
  static std::shared_ptr<const Steering> of(const std::vector<RssSetup>& ports, uint16_t workers,
                                            std::string& why);
  // Entries that the tables we make repeat: what a worker's share of ports is cut into, see
  // table/port_share.h. 128 spread 16 workers to within an eighth.
  static constexpr unsigned kEntries = 128;
  // Entry i: i % workers. `size` as the device has it.
  static std::vector<uint16_t> even_table(unsigned size, uint16_t workers);
  // A key with which of() succeeds, drawn from the seed: one that senders don't know can't be
  // used to aim at one worker.
  static net::Toeplitz::Key make_key(uint64_t seed);

  uint32_t hash(const TupleOf<V4>& tuple) const { return hash_(tuple); }
  uint16_t worker_of(uint32_t hash) const { return table_[hash & mask_]; }
  uint16_t owner(const TupleOf<V4>& tuple) const { return worker_of(hash(tuple)); }

  const net::Toeplitz& toeplitz() const { return hash_; }
  const std::vector<uint16_t>& table() const { return table_; }

 private:
  Steering(const net::Toeplitz& hash, std::vector<uint16_t> table)
      : hash_(hash), table_(std::move(table)), mask_(static_cast<uint32_t>(table_.size() - 1)) {}

  const net::Toeplitz hash_;
  const std::vector<uint16_t> table_;  // the shortest that repeats
  const uint32_t mask_;
};

}  // namespace sluice
