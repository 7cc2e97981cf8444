#include "lookup_tables.h"

#include <algorithm>
#include <vector>

#include "../snapshot.h"
#include "../table/hash.h"

namespace sluice {
namespace {

// Each server takes as many buckets in a row as its weight, in list order, until all are taken.
// A server of weight 0 keeps one: its clients are refused or fall back, as LVS has it.
void fill_sh(const Service& service, std::span<uint32_t> table) {
  if (service.servers.empty()) {
    std::fill(table.begin(), table.end(), kNoServer);
    return;
  }
  size_t server = 0;
  uint32_t taken = 0;
  for (uint32_t& bucket : table) {
    bucket = static_cast<uint32_t>(server);
    if (++taken >= service.servers[server].weight) {
      server = (server + 1) % service.servers.size();
      taken = 0;
    }
  }
}

// Maglev (Eisenbud et al., NSDI 2016, section 3.4): every server walks its own permutation of the
// table and takes the next free entry in turn, a server of weight w w times a round (weights
// divided by their gcd). Depends only on addresses, ports and weights, so that two directors agree.
void fill_maglev(const Service& service, std::span<uint32_t> table) {
  struct Walk {
    uint32_t server, turns;
    uint64_t next, skip;
  };
  std::fill(table.begin(), table.end(), kNoServer);
  const uint64_t size = table.size();
  std::vector<Walk> walks;
  for (size_t i = 0; i < service.servers.size(); ++i) {
    const Server& server = service.servers[i];
    if (!server.available()) continue;
    uint64_t state = (uint64_t{server.address} << 16) | server.port;
    const uint64_t offset = mix64(state), skip = mix64(state);
    walks.push_back({static_cast<uint32_t>(i), server.weight / service.weight_gcd, offset % size,
                     skip % (size - 1) + 1});
  }
  if (walks.empty()) return;
  // Order by address, not by place in the list: adding a server must not reorder the others.
  std::sort(walks.begin(), walks.end(), [&](const Walk& a, const Walk& b) {
    const Server &x = service.servers[a.server], &y = service.servers[b.server];
    return x.address != y.address ? from_be(x.address) < from_be(y.address)
                                  : from_be(x.port) < from_be(y.port);
  });
  for (uint64_t filled = 0;;) {
    for (Walk& walk : walks) {
      for (uint32_t turn = 0; turn < walk.turns; ++turn) {
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
    case SchedulerKind::sh: return kShSize;
    case SchedulerKind::mh: return kMaglevSize;
    default: return 0;
  }
}

void fill_lookup_table(const Service& service, std::span<uint32_t> table) {
  if (service.scheduler == SchedulerKind::sh) fill_sh(service, table);
  if (service.scheduler == SchedulerKind::mh) fill_maglev(service, table);
}

}  // namespace sluice
