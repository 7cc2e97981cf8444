#include "snapshot6.h"

#include <algorithm>

#include "snapshot.h"

namespace sluice {

// A service whose addresses, and those of its servers, are to be answered for and reached.
void Snapshot6::add(const Service6& service) {
  const auto index = static_cast<uint32_t>(services_.size());
  const Service& common = *service.common;
  services_.push_back(service);
  if (common.mark == 0) by_end_[{service.address, common.port, common.protocol}] = index;
  by_slot_[common.slot] = index;
  const bool standby = common.has(wire::kStandby);
  for (const WideAddress& local : service.locals) {
    own(local, standby ? Snapshot::kLocalAddress : Snapshot::kOwned | Snapshot::kLocalAddress);
  }
  if (common.persistence_ms != 0) {
    if (common.mark == 0) own(service.address, Snapshot::kPersistent);
    client_bits_ = std::min<unsigned>(client_bits_, common.client_bits);
  }
  for (size_t i = 0; i < service.servers.size(); ++i) {
    if (!is_v4(service.servers[i])) wanted_.push_back(service.servers[i]);
    if (common.servers[i].mode != Mode::nat) continue;
    nat_persists_ |= common.persistence_ms != 0;
    own(service.servers[i], Snapshot::kNatServer);
    if (common.mark == 0) own(service.address, Snapshot::kNatService);
  }
}

// Once all services are there.
void Snapshot6::settle() {
  std::sort(wanted_.begin(), wanted_.end());
  wanted_.erase(std::unique(wanted_.begin(), wanted_.end()), wanted_.end());
}

}  // namespace sluice
