// The snapshot's IPv6 half: services, and what is done with addresses. Weights, flags and slots of
// a service and its servers are in the Service that both families have; only addresses are apart.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "table/hash.h"
#include "types.h"

namespace sluice {

struct Server;
struct Service;

struct Service6 {
  // Its addresses, and those of its servers, are the wide ones folded to 32 bits: what schedulers
  // hash, as Linux' do.
  const Service* common;
  WideAddress address;
  std::span<const WideAddress> servers;  // in the order of common->servers; v4-mapped: IPv4
  std::span<const WideAddress> locals;

  // May a flow be its?
  bool takes(const WideAddress& destination, be16 destination_port, uint8_t protocol) const;
  // The address of one of common->servers; nullptr: it is another service's.
  const WideAddress* address_of(const Server& server) const;
  // Where a listing or another process has a template's virtual address: of a mark's service the
  // mark is in the first four bytes, as in LVS.
  WideAddress virtual_end() const;
};

class Snapshot6 {
 public:
  // nullptr: no service there.
  const Service6* service_at(const WideAddress& address, be16 port, uint8_t protocol) const {
    const auto found = by_end_.find({address, port, protocol});
    return found == by_end_.end() ? nullptr : &services_[found->second];
  }
  // nullptr: not one of IPv6.
  const Service6* service_of_slot(uint32_t slot) const {
    const auto found = by_slot_.find(slot);
    return found == by_slot_.end() ? nullptr : &services_[found->second];
  }
  // nullptr: no IPv6 service has it.
  const Service6* service_of_mark(uint32_t mark) const;
  std::span<const Service6> services() const { return services_; }
  // Snapshot::AddressFlag of an address; 0: none of ours.
  uint8_t address_flags(const WideAddress& address) const {
    const auto found = addresses_.find(address);
    return found == addresses_.end() ? 0 : found->second;
  }
  bool has_persistence() const { return client_bits_ != kNotPersistent; }
  bool nat_persists() const { return nat_persists_; }
  // Flows to an address with these Snapshot::AddressFlags are owned by what persistence looks at of
  // their client.
  bool persists(uint8_t flags) const;
  // What all persistent services look at of a client's address.
  unsigned client_bits() const { return client_bits_; }
  // The virtual router's MAC that an address is answered with; nullptr: the port's own.
  const Mac* virtual_mac(const WideAddress& address) const {
    const auto found = virtual_macs_.find(address);
    return found == virtual_macs_.end() ? nullptr : &found->second;
  }
  // Real servers whose next hops should be kept resolved.
  const std::vector<WideAddress>& next_hops_wanted() const { return wanted_; }

 private:
  friend class Snapshot;
  static constexpr unsigned kNotPersistent = 129;

  struct End {
    WideAddress address;
    be16 port;
    uint8_t protocol;
    bool operator==(const End&) const = default;
  };
  struct Hash {
    size_t operator()(const WideAddress& a) const {
      return mum(load<uint64_t>(a.data()) ^ 0x9e3779b97f4a7c15u,
                 load<uint64_t>(a.data() + 8) ^ 0xbf58476d1ce4e5b9u);
    }
    size_t operator()(const End& end) const {
      return mum((*this)(end.address), uint64_t{end.port} << 8 | end.protocol | uint64_t{1} << 63);
    }
  };

  void add(const Service6& service);
  void settle();
  void own(const WideAddress& address, uint8_t flags) { addresses_[address] |= flags; }

  std::vector<Service6> services_;
  std::unordered_map<End, uint32_t, Hash> by_end_;
  std::unordered_map<uint32_t, uint32_t> by_slot_;
  std::unordered_map<WideAddress, uint8_t, Hash> addresses_;
  std::unordered_map<WideAddress, Mac, Hash> virtual_macs_;
  std::vector<WideAddress> wanted_;  // sorted, each once
  unsigned client_bits_ = kNotPersistent;
  bool nat_persists_ = false;
};

}  // namespace sluice
