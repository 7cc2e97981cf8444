#include "lookup_tables.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "../snapshot.h"
#include "siphash.h"

namespace sluice {
namespace {

// Each server takes as many buckets in a row as its weight, in list order, until all are taken.
// A server of weight 0 keeps one: its clients are refused or fall back, as LVS has it. One that is
// down has none, as if health checks had taken it out of the list.
void fill_sh(const Service& service, std::span<uint32_t> table) {
  std::vector<uint32_t> up;
  for (uint32_t i = 0; i < service.servers.size(); ++i) {
    if (service.servers[i].up) up.push_back(i);
  }
  if (up.empty()) return std::fill(table.begin(), table.end(), kNoServer);
  size_t turn = 0;
  uint32_t taken = 0;
  for (uint32_t& bucket : table) {
    bucket = up[turn];
    if (++taken >= service.servers[bucket].weight) {
      turn = (turn + 1) % up.size();
      taken = 0;
    }
  }
}

// Maglev (Eisenbud et al., NSDI 2016, section 3.4): every server walks its own permutation of the
// table and takes free entries in turn. Offsets, skips and turns are LVS's, so that both choose the
// same server: a turn is the weight over the weights' gcd, shifted to at most 6 bits, at least 1.
void fill_maglev(const Service& service, std::span<uint32_t> table) {
  struct Walk {
    uint32_t server, turn;
    uint64_t next, skip;
  };
  std::fill(table.begin(), table.end(), kNoServer);
  const uint64_t size = table.size();
  const int bits = std::bit_width(service.max_weight / service.weight_gcd);
  const int shift = std::max(0, bits - 6);
  std::vector<Walk> walks;
  for (size_t i = 0; i < service.servers.size(); ++i) {
    const Server& server = service.servers[i];
    if (!server.available()) continue;
    const uint32_t id = from_be(server.address) + from_be(server.port);
    const uint32_t turn = std::max(1u, server.weight / service.weight_gcd >> shift);
    walks.push_back({static_cast<uint32_t>(i), turn, siphash_1_3(id, kMhOffsetKey) % size,
                     siphash_1_3(id, kMhSkipKey) % (size - 1) + 1});
  }
  if (walks.empty()) return;
  for (uint64_t filled = 0;;) {
    for (Walk& walk : walks) {
      for (uint32_t taken = 0; taken < walk.turn; ++taken) {
        while (table[walk.next] != kNoServer) walk.next = (walk.next + walk.skip) % size;
        table[walk.next] = walk.server;
        if (++filled == size) return;
      }
    }
  }
}

}  // namespace

size_t lookup_table_size(const Service& service) {
  switch (service.scheduler) {
    case SchedulerKind::sh:
      return kShSize;
    case SchedulerKind::mh:
      return kMaglevSize;
    default:
      return 0;
  }
}

void fill_lookup_table(const Service& service, std::span<uint32_t> table) {
  if (service.scheduler == SchedulerKind::sh) fill_sh(service, table);
  if (service.scheduler == SchedulerKind::mh) fill_maglev(service, table);
}

}  // namespace sluice
