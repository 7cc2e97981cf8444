// What a worker must know of the configuration: immutable, built from the bytes that plan() makes,
// swapped whole by RCU.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "marks.h"
#include "snapshot6.h"
#include "snapshot_wire.h"
#include "table/clients.h"
#include "table/connection.h"
#include "table/fib.h"
#include "types.h"

namespace sluice {

struct Server {
  be32 address;  // of a tunnel in the other family's a stand-in, or folded
  be16 port;
  Mode mode;
  bool up;
  uint32_t weight;
  uint32_t slot;
  uint32_t upper, lower;  // LVS thresholds, connections; 0: none
  Wrap wrap;              // of mode tun
  be16 tunnel_port;       // GUE's
  bool available() const { return up && weight > 0; }
  bool operator==(const Server&) const = default;
};

// Of Service::flags, beside wire::ServiceFlag: it has a list of clients.
inline constexpr uint16_t kFiltered = 0x8000;

inline constexpr be16 kFtp = to_be(uint16_t{21}), kFtpData = to_be(uint16_t{20});

struct Service {
  be32 address;
  be16 port;  // 0: any
  uint8_t protocol;
  SchedulerKind scheduler;
  uint16_t flags;  // wire::ServiceFlag, kFiltered
  uint8_t toa_kind;
  uint32_t slot;
  // Newest first, as LVS keeps its list of real servers: schedulers walk it in this order.
  std::span<const Server> servers;
  std::span<const be32> locals;
  // sh: 256 entries; mh: kMaglevSize. Indices into servers; empty for other schedulers.
  std::span<const uint32_t> lookup;
  // wrr: greatest weight and the weights' greatest common divisor.
  uint32_t max_weight, weight_gcd;
  uint64_t fingerprint;     // of the servers' slots and weights: tells schedulers of a change
  uint32_t persistence_ms;  // 0: not persistent
  uint32_t client_part;     // of a client's address that persistence looks at, see network_of()
  uint32_t mark;            // not 0: address, port and protocol are 0
  const ClientList *allow, *deny;  // nullptr: none
  bool syn_proxy;                  // SYNs are answered by cookies
  wire::Engine engine;             // of a persistent service
  bool has(uint16_t flag) const { return (flags & flag) != 0; }
  // May this client use it? What is denied is so whatever else is allowed.
  template <class Address>
  bool admits(const Address& client) const {
    return (deny == nullptr || !deny->has(client)) && (allow == nullptr || allow->has(client));
  }
  // A client of FTP is sent to other ports for its data: with persistence they are the service's.
  bool is_ftp() const { return port == kFtp && protocol == kTcp && persistence_ms != 0; }
  // Serves more ports than one.
  bool is_wide() const { return port == 0 || is_ftp(); }
  // May a flow be its?
  bool takes(be32 destination, be16 destination_port, uint8_t its) const {
    if (mark != 0) return true;
    return destination == address && its == protocol && (is_wide() || destination_port == port);
  }
  // Where a packet to this port goes at a server: to its port, unless it has none, or the client's
  // persistence spans ports (as LVS).
  be16 port_at(const Server& server, be16 destination_port) const {
    const bool own = port == destination_port || (port == 0 && persistence_ms == 0);
    return own && server.port != 0 ? server.port : destination_port;
  }
};

class Snapshot {
 public:
  // Throws Error ERR_NATIVE_SNAPSHOT with the place (byte offset) of what is wrong. `ports`: how
  // many ports the engine has. Lookup tables of services whose servers are the same in `previous`
  // are shared with it: filling those of 10 K services with mh takes longer than all the rest.
  // `lapsed`: what follows a VRRP role is the other director's, whatever the bytes say.
  static std::unique_ptr<Snapshot> parse(const uint8_t* bytes, size_t n, const Limits& limits,
                                         size_t ports, const Snapshot* previous = nullptr,
                                         bool lapsed = false);

  uint32_t generation() const { return generation_; }
  const uint32_t* timeouts() const { return timeouts_; }  // ms by State
  // Resets and ICMP errors that a worker may make in a second; 0: any number.
  uint32_t answer_rate() const { return answer_rate_; }

  // Of IPv4; those of IPv6 are in six(). By slot both are found.
  std::span<const Service> services() const { return services_; }
  const Snapshot6& six() const { return six_; }
  // Service of a destination, nullptr if none.
  const Service* service_at(be32 address, be16 port, uint8_t protocol) const {
    const uint64_t key = service_key(address, port, protocol);
    for (size_t at = spread(key) & service_mask_;; at = (at + 1) & service_mask_) {
      const IndexedService& indexed = service_index_[at];
      if (indexed.key == key) return indexed.service;
      if (indexed.key == 0) return nullptr;
    }
  }
  // What a first packet is for: the service of its mark, else the one of its very destination, else
  // one that serves more ports of that address. `port`: the director's that it came by.
  const Service* service_for(const TupleOf<V4>& t, uint8_t protocol, uint16_t port) const {
    if (!has_wide_) [[likely]]
      return service_at(t.destination, t.destination_port, protocol);
    return wide_service_for(t, protocol, port);
  }
  const Service6* service_for(const TupleOf<V6>& t, uint8_t protocol, uint16_t port) const;
  // nullptr: no IPv4 service has it.
  const Service* service_of_mark(uint32_t mark) const;
  const Service* service_of_slot(uint32_t slot) const {
    return slot < by_service_slot_.size() ? by_service_slot_[slot] : nullptr;
  }
  // nullptr when the server is not configured any more.
  const Server* server_of_slot(uint32_t slot) const {
    return slot < by_server_slot_.size() ? by_server_slot_[slot] : nullptr;
  }
  // The address of a server that an IPv4 service has a tunnel in IPv6 to, and that is a
  // stand_in() elsewhere; nullptr: none such.
  const WideAddress* tunnel_end_of_slot(uint32_t slot) const {
    const auto found = tunnel_ends_.find(slot);
    return found == tunnel_ends_.end() ? nullptr : &found->second;
  }
  // True when the server is configured and up: what every packet of its connections asks, so a
  // byte a slot and no pointer to follow. Slots are below Limits::max_servers.
  bool serves(uint32_t slot) const { return serves_[slot] != 0; }
  // The same, and its service has no list of clients: nothing else is to be asked.
  bool serves_everybody(uint32_t slot) const { return serves_[slot] == kEverybody; }
  // VIPs and LIPs: addresses the dataplane answers for.
  bool owns(be32 address) const { return (address_flags(address) & kOwned) != 0; }
  // What is done with an address: what decides who owns packets to it (pipeline/2_owner.cc).
  enum AddressFlag : uint8_t {
    kOwned = 1,         // the dataplane answers for it
    kLocalAddress = 2,  // a LIP
    kNatServer = 4,     // a NAT real server's: its replies go to clients
    kNatService = 8,    // a VIP with NAT servers
    kEnatSource = 16,   // a VIP that ENAT without local addresses speaks from
    kPersistent = 32,   // a VIP with a persistent service
    kAccepted = 64      // a VIP that the twin has, too; not owned when the lease has run out
  };
  uint8_t address_flags(be32 address) const {
    for (size_t at = spread(address) & owned_mask_;; at = (at + 1) & owned_mask_) {
      const OwnedAddress& owned = owned_[at];
      if (owned.address == address || owned.flags == 0) return owned.flags;
    }
  }
  // The same of a packet's destination, whole networks of marks included.
  uint8_t flow_flags(be32 source, be32 destination) const {
    const uint8_t flags = address_flags(destination);
    if (!marks_.has_networks() || (flags & kOwned) != 0) [[likely]]
      return flags;
    // What a NAT server sends is a reply, wherever it goes.
    const bool request = (address_flags(source) & kNatServer) == 0;
    return request && marks_.covers(widened(destination)) ? flags | network_flags_ : flags;
  }
  // The same of IPv6.
  uint8_t flow_flags(const WideAddress& source, const WideAddress& destination) const;
  bool has_nat() const { return has_nat_; }
  bool has_persistence() const { return has_persistence_; }
  // Some persistent service, of either family, has an engine.
  bool has_engines() const { return has_engines_; }
  // Some persistent service has NAT servers: their replies name no service, so all NAT
  // connections of a client's network have one owner.
  bool nat_persists() const { return nat_persists_; }
  // What all persistent services look at of a client's address, network order.
  be32 client_mask() const { return client_mask_; }
  // Something in it follows a VRRP role.
  bool has_roles() const { return has_roles_; }
  // The virtual router's MAC that an owned address is answered with; nullptr: the port's own.
  const Mac* virtual_mac(be32 address) const;
  // Frames for it are ours although it is not the port's own.
  bool is_virtual_mac(uint16_t port, const Mac& mac) const {
    for (const auto& [own_port, own_mac] : virtual_macs_) {
      if (own_port == port && own_mac == mac) return true;
    }
    return false;
  }
  bool has_virtual_mac(uint16_t port) const {
    for (const auto& virtual_mac : virtual_macs_) {
      if (virtual_mac.first == port) return true;
    }
    return false;
  }
  // Fragments have no ports to look a connection up by: those to an owned address, and those from
  // a NAT real server, may belong to one.
  bool fragments_concern_us(be32 source, be32 destination) const {
    return owns(destination) || (address_flags(source) & kNatServer) != 0 ||
           (marks_.has_networks() && marks_.covers(widened(destination)));
  }

  bool fragments_concern_us(const WideAddress& source, const WideAddress& destination) const {
    return (six_.address_flags(destination) & kOwned) != 0 ||
           (six_.address_flags(source) & kNatServer) != 0 ||
           (marks_.has_networks() && marks_.covers(destination));
  }

  // GUE's packets for a real server go there: what tells them from a client's in an ICMP error.
  bool is_gue(const WideAddress& address, be16 port) const {
    return std::binary_search(gue_.begin(), gue_.end(), std::pair(address, port));
  }

  // Static part of the Fib; ports are the engine's to fill in.
  const FibInput& fib_input() const { return fib_; }
  // IPv4 real servers whose next hops should be kept resolved.
  std::vector<be32> next_hops_wanted() const;

 private:
  Snapshot() = default;
  using Table = std::vector<uint32_t>;
  void add_six(const wire::Service& w, Service common, std::span<const wire::Server> servers,
               std::span<const WideAddress> locals);
  void build_lookups(const Snapshot* previous);
  const ClientList* clients(uint32_t number, uint8_t family, size_t place) const;
  void take_clients(std::span<const uint8_t> bytes, const wire::Header& header,
                    const Snapshot* previous);
  static std::shared_ptr<const Table> lookup_table(const Service& service, const Service* before,
                                                   std::shared_ptr<const Table> its);
  const Service* wide_service_for(const TupleOf<V4>& t, uint8_t protocol, uint16_t port) const;
  void add_marks(std::span<const wire::Mark> marks, const uint8_t* bytes, const Limits& limits,
                 size_t ports);
  void own_marked(const Service& service, uint8_t flags);
  void own(be32 address, uint8_t flags);
  void own(const WideAddress& address, uint8_t flags);
  void take_role(const WideAddress& address, uint8_t port, const Mac& mac);

  static uint64_t spread(uint64_t x) {
    x *= 0x9e3779b97f4a7c15u;
    return x ^ (x >> 32);
  }
  // Never 0, as no protocol is.
  static uint64_t service_key(be32 address, be16 port, uint8_t protocol) {
    return uint64_t{address} << 32 | uint64_t{port} << 16 | protocol;
  }

  struct OwnedAddress {
    be32 address;   // 0 where empty
    uint8_t flags;  // 0: empty
  };
  struct IndexedService {
    uint64_t key;  // 0: empty
    const Service* service;
  };

  enum Serving : uint8_t { kNobody, kEverybody, kSome };

  uint32_t generation_ = 0;
  bool has_nat_ = false, has_persistence_ = false, nat_persists_ = false, has_engines_ = false;
  bool has_wide_ = false;           // a service for more than an address and a port
  uint8_t network_flags_ = kOwned;  // AddressFlag of what marks' networks have
  MarkRules marks_;
  be32 client_mask_ = 0xffffffff;
  bool has_roles_ = false;
  uint32_t timeouts_[kStates]{};
  uint32_t answer_rate_ = 0;
  std::vector<Service> services_;
  std::vector<Server> servers_;
  std::vector<be32> locals_;
  std::vector<std::shared_ptr<const Table>> lookups_;  // by service; null: it needs none
  std::vector<const Service*> by_service_slot_;
  std::vector<const Server*> by_server_slot_;
  std::vector<uint8_t> serves_;                            // Serving by slot
  std::unordered_map<uint32_t, WideAddress> tunnel_ends_;  // by slot
  std::vector<IndexedService> service_index_;              // open addressing
  std::vector<OwnedAddress> owned_;                        // open addressing
  size_t service_mask_ = 0, owned_mask_ = 0;               // powers of two less one
  std::vector<std::pair<uint16_t, Mac>> virtual_macs_;     // by port; a handful
  std::vector<std::pair<be32, Mac>> virtual_addresses_;    // by address
  FibInput fib_;
  std::vector<std::pair<WideAddress, be16>> gue_;  // sorted
  Snapshot6 six_;
  std::vector<Service> services6_;                   // what six_ has in common with IPv4's
  std::deque<std::vector<WideAddress>> addresses6_;  // of servers and locals, which six_ points at
  std::vector<std::shared_ptr<const Table>> lookups6_;
  std::vector<std::shared_ptr<const ClientList>> client_lists_;  // in the order of the bytes
};

}  // namespace sluice
