#include "snapshot6.h"

#include <algorithm>

#include "snapshot.h"

namespace sluice {

bool Service6::takes(const WideAddress& destination, be16 destination_port,
                     uint8_t protocol) const {
  if (common->mark != 0) return true;
  return destination == address && protocol == common->protocol &&
         (common->is_wide() || destination_port == common->port);
}

const WideAddress* Service6::address_of(const Server& server) const {
  const Server* const first = common->servers.data();
  const bool its = &server >= first && &server < first + common->servers.size();
  return its ? &servers[static_cast<size_t>(&server - first)] : nullptr;
}

WideAddress Service6::virtual_end() const {
  if (common->mark == 0) return address;
  WideAddress end{};
  store(end.data(), to_be(common->mark));
  return end;
}

const Service6* Snapshot6::service_of_mark(uint32_t mark) const {
  const auto found =
      std::ranges::find(services_, mark, [](const Service6& one) { return one.common->mark; });
  return found == services_.end() ? nullptr : &*found;
}

bool Snapshot6::persists(uint8_t flags) const {
  return (flags & Snapshot::kPersistent) != 0 ||
         ((flags & Snapshot::kNatService) != 0 && nat_persists_);
}

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
    client_bits_ = std::min(client_bits_, common.client_part);
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
