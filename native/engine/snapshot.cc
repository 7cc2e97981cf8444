#include "snapshot.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <string>

#include "error.h"
#include "net/ipv6.h"
#include "scheduler/lookup_tables.h"
#include "snapshot_bytes.h"
#include "table/stand_in.h"

namespace sluice {
namespace {

be32 v4_or_reject(const WideAddress& address, size_t offset) {
  if (!is_v4(address)) reject(offset, "not an IPv4 address");
  return v4_of(address);
}

}  // namespace

std::unique_ptr<Snapshot> Snapshot::parse(const uint8_t* bytes, size_t n, const Limits& limits,
                                          size_t ports, const Snapshot* previous, bool lapsed) {
  if (n < sizeof(wire::Header)) reject(0, "shorter than its header");
  const auto header = load<wire::Header>(bytes);
  if (header.magic != wire::kMagic) reject(0, "not a snapshot");
  if (header.version != wire::kVersion) reject(4, "unknown version");
  if (header.total != n) reject(12, "length differs from the buffer's");
  const auto services = section<wire::Service>(bytes, n, header, wire::kServices);
  const auto servers = section<wire::Server>(bytes, n, header, wire::kServers);
  const auto locals = section<WideAddress>(bytes, n, header, wire::kLocals);
  const auto owned = section<WideAddress>(bytes, n, header, wire::kOwned);
  auto place = [bytes](const auto& record) {
    return static_cast<size_t>(reinterpret_cast<const uint8_t*>(&record) - bytes);
  };

  std::unique_ptr<Snapshot> snapshot(new Snapshot);
  Snapshot& s = *snapshot;
  s.generation_ = header.generation;
  std::copy(std::begin(header.timeouts), std::end(header.timeouts), s.timeouts_);
  s.answer_rate_ = header.answer_rate;
  s.servers_.resize(servers.size());
  s.locals_.reserve(locals.size());
  // Those of IPv6 services are no IPv4 addresses, and not looked at here.
  for (const WideAddress& local : locals) s.locals_.push_back(v4_of(local));
  s.services6_.reserve(services.size());  // they are pointed at
  s.by_server_slot_.assign(limits.max_servers, nullptr);
  s.by_service_slot_.assign(limits.max_services, nullptr);
  s.serves_.assign(limits.max_servers, 0);

  s.take_clients({bytes, n}, header, previous);
  s.services_.reserve(services.size());
  for (const wire::Service& w : services) {
    if (w.family != 4 && w.family != 6) reject(place(w) + 19, "unknown address family");
    const bool six = w.family == 6;
    if (w.mark != 0) {
      if (w.protocol != 0 || w.port != 0) reject(place(w) + 16, "a mark's service has an end");
    } else {
      if (is_v4(w.address) == six) reject(place(w), "address is not of the service's family");
      if (!has_ports(w.protocol)) reject(place(w) + 18, "protocol is not TCP, UDP or SCTP");
    }
    if (w.scheduler >= kSchedulers) reject(place(w) + 20, "unknown scheduler");
    if (w.syn_proxy > 1 || (w.syn_proxy != 0 && w.protocol != kTcp)) {
      reject(place(w) + 23, "a SYN proxy is for TCP");
    }
    if (w.client_bits > (six ? 128 : 32)) reject(place(w) + 48, "more bits than an address has");
    if (six && w.netmask != 0) reject(place(w) + 64, "a netmask with holes is IPv4's alone");
    if (w.engine >= wire::kEngines) reject(place(w) + 49, "unknown persistence engine");
    const bool udp = w.protocol == kUdp || w.mark != 0;
    if (w.engine != wire::kNoEngine && (w.persistence_ms == 0 || !udp)) {
      reject(place(w) + 49, "an engine without persistence, or not of UDP");
    }
    if (w.slot >= limits.max_services) reject(place(w) + 24, "service slot beyond the limit");
    if (uint64_t{w.first_server} + w.server_count > servers.size()) {
      reject(place(w) + 28, "servers outside their section");
    }
    if (uint64_t{w.first_local} + w.local_count > locals.size()) {
      reject(place(w) + 36, "local addresses outside their section");
    }
    uint16_t flags = w.flags;
    if (w.allow != 0 || w.deny != 0) flags |= kFiltered;
    if (lapsed && (flags & wire::kFollowsRole)) flags |= wire::kStandby;
    const bool standby = (flags & wire::kStandby) != 0;
    s.has_roles_ |= (flags & wire::kFollowsRole) != 0;
    uint32_t max_weight = 0, gcd = 0;
    uint64_t fingerprint = w.server_count;
    for (uint32_t i = 0; i < w.server_count; ++i) {
      const wire::Server& ws = servers[w.first_server + i];
      if (ws.mode >= kModes) reject(place(ws) + 18, "unknown mode");
      if (ws.slot >= limits.max_servers) reject(place(ws) + 24, "server slot beyond the limit");
      const auto mode = static_cast<Mode>(ws.mode);
      if (ws.wrap >= kWraps) reject(place(ws) + 38, "unknown encapsulation");
      if (mode == Mode::tun && ws.wrap >= static_cast<uint8_t>(Wrap::gue)) {
        if (ws.tunnel_port == 0) reject(place(ws) + 36, "GUE without a port");
        s.gue_.emplace_back(ws.address, to_be(ws.tunnel_port));
      }
      if (w.syn_proxy != 0 && mode != Mode::nat && mode != Mode::fullnat) {
        reject(place(ws) + 18, "a SYN proxy has to see replies: NAT and FullNAT");
      }
      if (mode == Mode::fullnat && w.local_count == 0) {
        reject(place(w) + 40, "FullNAT without a local address");
      }
      if (mode == Mode::enat && w.protocol == kSctp) {
        reject(place(ws) + 18, "ENAT does not take SCTP");
      }
      if (six && mode == Mode::enat) reject(place(ws) + 18, "ENAT is IPv4's alone");
      if (six && mode != Mode::tun && is_v4(ws.address)) {
        reject(place(ws), "an IPv4 server of an IPv6 service takes a tunnel");
      }
      const bool four_in_six = !six && mode == Mode::tun && !is_v4(ws.address);
      if (four_in_six) {
        s.tunnel_ends_[ws.slot] = ws.address;
        s.six_.wanted_.push_back(ws.address);
      }
      // Reversed: newest first.
      Server& server = s.servers_[w.first_server + w.server_count - 1 - i];
      server = {six           ? net::folded(ws.address)
                : four_in_six ? stand_in(ws.address)
                              : v4_or_reject(ws.address, place(ws)),
                to_be(ws.port),
                mode,
                ws.up != 0,
                ws.weight,
                ws.slot,
                ws.upper,
                ws.lower,
                static_cast<Wrap>(ws.wrap),
                to_be(ws.tunnel_port)};
      s.by_server_slot_[ws.slot] = &server;
      // A server that is down is as good as not in the list.
      if (!server.up) continue;
      s.serves_[ws.slot] = standby ? kNobody : (flags & kFiltered) != 0 ? kSome : kEverybody;
      max_weight = std::max(max_weight, ws.weight);
      gcd = std::gcd(gcd, ws.weight);
      fingerprint = spread(fingerprint ^ (uint64_t{ws.slot} << 32 | ws.weight));
    }
    const be32 address = w.mark != 0 ? 0 : six ? net::folded(w.address) : v4_of(w.address);
    const Service service{address,
                          to_be(w.port),
                          w.protocol,
                          static_cast<SchedulerKind>(w.scheduler),
                          flags,
                          w.toa_kind,
                          w.slot,
                          std::span(s.servers_).subspan(w.first_server, w.server_count),
                          std::span(s.locals_).subspan(w.first_local, w.local_count),
                          {},
                          max_weight,
                          std::max(gcd, 1u),
                          fingerprint,
                          w.persistence_ms,
                          six              ? w.client_bits
                          : w.netmask != 0 ? w.netmask
                                           : prefix_mask(w.client_bits),
                          w.mark,
                          s.clients(w.allow, w.family, place(w) + 56),
                          s.clients(w.deny, w.family, place(w) + 60),
                          w.syn_proxy != 0,
                          static_cast<wire::Engine>(w.engine)};
    s.has_wide_ |= service.is_wide();
    s.has_engines_ |= service.engine != wire::kNoEngine;
    for (const WideAddress& local : locals.subspan(w.first_local, w.local_count)) {
      if (is_v4(local) == six) reject(place(local), "address is not of the service's family");
    }
    if (six) {
      s.add_six(w, service, servers, locals);
      continue;
    }
    s.services_.push_back(service);
    s.by_service_slot_[w.slot] = &s.services_.back();
  }

  const auto roles = section<wire::RoleAddress>(bytes, n, header, wire::kRoleAddresses);
  const auto marks = section<wire::Mark>(bytes, n, header, wire::kMarks);
  const size_t addresses =
      owned.size() + roles.size() + locals.size() + services.size() + servers.size() + marks.size();
  s.owned_.assign(std::bit_ceil(addresses * 2 + 2), {0, 0});
  s.owned_mask_ = s.owned_.size() - 1;
  for (const WideAddress& address : owned) s.own(address, kOwned);
  for (const wire::RoleAddress& role : roles) {
    if (role.port >= ports) reject(place(role) + 22, "address behind a port that is not there");
    if (role.accepted > 1) reject(place(role) + 23, "neither accepted nor not");
    if (role.accepted != 0) s.own(role.address, kAccepted);
    if (!lapsed) s.take_role(role.address, role.port, role.mac);
  }
  s.has_roles_ |= !roles.empty();
  std::sort(s.virtual_addresses_.begin(), s.virtual_addresses_.end());
  s.add_marks(marks, bytes, limits, ports);
  for (const Service& service : s.services_) {
    uint8_t flags_of_vip = 0;
    const bool standby = service.has(wire::kStandby);
    for (const be32 local : service.locals) {
      s.own(local, standby ? kLocalAddress : kOwned | kLocalAddress);
    }
    if (service.persistence_ms != 0) {
      flags_of_vip |= kPersistent;
      s.has_persistence_ = true;
      s.client_mask_ &= service.client_part;
    }
    for (const Server& server : service.servers) {
      if (server.mode == Mode::nat) {
        s.nat_persists_ |= service.persistence_ms != 0;
        s.own(server.address, kNatServer);
        flags_of_vip |= kNatService;
        s.has_nat_ = true;
      } else if (server.mode == Mode::enat && service.locals.empty()) {
        flags_of_vip |= kEnatSource;
      }
    }
    if (flags_of_vip == 0) continue;
    if (service.mark != 0) {
      s.own_marked(service, flags_of_vip);
    } else {
      s.own(service.address, flags_of_vip);
    }
  }
  for (const Service& service : s.services6_) {
    if (service.mark == 0) continue;
    const bool nat =
        std::ranges::any_of(service.servers, [](auto& one) { return one.mode == Mode::nat; });
    s.own_marked(service, static_cast<uint8_t>((service.persistence_ms != 0 ? kPersistent : 0) |
                                               (nat ? kNatService : 0)));
  }
  for (const wire::Route& w : section<wire::Route>(bytes, n, header, wire::kRoutes)) {
    const bool six = w.family == 6;
    if (!six && w.family != 4) reject(place(w) + 33, "unknown address family");
    if (w.length > (six ? 128 : 32)) reject(place(w) + 32, "longer than an address");
    if (w.port >= ports) reject(place(w) + 34, "route to a port that is not there");
    const WideAddress zero{};
    if (six) {
      if (is_v4(w.address) || is_v4(w.via)) reject(place(w), "route is not IPv6");
      s.fib_.six.routes.push_back({w.address, w.length, w.port, w.via});
    } else {
      s.fib_.routes.push_back({v4_or_reject(w.address, place(w)), w.length, w.port,
                               w.via == zero ? 0 : v4_or_reject(w.via, place(w) + 16)});
    }
  }
  for (const wire::Neighbour& w : section<wire::Neighbour>(bytes, n, header, wire::kNeighbours)) {
    if (w.port >= ports) reject(place(w) + 22, "neighbour on a port that is not there");
    if (is_v4(w.address)) {
      s.fib_.neighbours.push_back({v4_of(w.address), w.port, w.mac});
    } else {
      s.fib_.six.neighbours.push_back({w.address, w.port, w.mac});
    }
  }
  for (const auto& w : section<wire::PortAddress>(bytes, n, header, wire::kPortAddresses)) {
    if (w.port >= ports) reject(place(w) + 17, "address of a port that is not there");
    const bool four = is_v4(w.address);
    if (w.length > (four ? 32 : 128)) reject(place(w) + 16, "longer than an address");
    if (four) {
      s.fib_.addresses.push_back({v4_of(w.address), w.length, w.port});
    } else {
      s.fib_.six.addresses.push_back({w.address, w.length, w.port});
    }
  }
  std::sort(s.gue_.begin(), s.gue_.end());
  s.six_.settle();
  s.build_lookups(previous);
  return snapshot;
}

// `common`: the service as schedulers know it.
void Snapshot::add_six(const wire::Service& w, Service common,
                       std::span<const wire::Server> servers, std::span<const WideAddress> locals) {
  services6_.push_back(common);
  by_service_slot_[w.slot] = &services6_.back();
  const auto its_servers = servers.subspan(w.first_server, w.server_count);
  const auto its_locals = locals.subspan(w.first_local, w.local_count);
  std::vector<WideAddress>& addresses = addresses6_.emplace_back();
  addresses.reserve(its_servers.size() + its_locals.size());
  // Newest first, as in common.servers.
  for (size_t i = its_servers.size(); i-- > 0;) addresses.push_back(its_servers[i].address);
  addresses.insert(addresses.end(), its_locals.begin(), its_locals.end());
  const std::span<const WideAddress> all(addresses);
  six_.add({&services6_.back(), w.address, all.first(its_servers.size()),
            all.subspan(its_servers.size())});
}

void Snapshot::build_lookups(const Snapshot* previous) {
  service_index_.assign(std::bit_ceil(services_.size() * 2 + 2), {0, nullptr});
  service_mask_ = service_index_.size() - 1;
  lookups_.reserve(services_.size());
  for (size_t i = 0; i < services_.size(); ++i) {
    Service& service = services_[i];
    const Service* before = nullptr;
    if (service.mark != 0) {
      if (previous) before = previous->service_of_mark(service.mark);
    } else {
      const uint64_t key = service_key(service.address, service.port, service.protocol);
      size_t at = spread(key) & service_mask_;
      while (service_index_[at].key != 0) at = (at + 1) & service_mask_;
      service_index_[at] = {key, &service};
      if (previous) before = previous->service_at(service.address, service.port, service.protocol);
    }
    lookups_.push_back(lookup_table(
        service, before,
        before ? previous->lookups_[static_cast<size_t>(before - previous->services_.data())]
               : nullptr));
    if (lookups_.back()) service.lookup = *lookups_.back();
  }
  for (Service& service : services6_) {
    const Service6& six = *six_.service_of_slot(service.slot);
    const Service6* before =
        previous && service.mark == 0
            ? previous->six_.service_at(six.address, service.port, service.protocol)
            : nullptr;
    // Servers whose addresses fold to the same 32 bits have the same tables.
    lookups6_.push_back(lookup_table(
        service, before ? before->common : nullptr,
        before
            ? previous->lookups6_[static_cast<size_t>(before->common - previous->services6_.data())]
            : nullptr));
    if (lookups6_.back()) service.lookup = *lookups6_.back();
  }
}

// `its`: the table of what the service was `before`, shared where that is the same.
std::shared_ptr<const Snapshot::Table> Snapshot::lookup_table(const Service& service,
                                                              const Service* before,
                                                              std::shared_ptr<const Table> its) {
  const size_t entries = lookup_table_size(service);
  if (entries == 0) return nullptr;
  if (before != nullptr && before->scheduler == service.scheduler &&
      std::ranges::equal(before->servers, service.servers)) {
    return its;
  }
  auto table = std::make_shared<Table>(entries);
  fill_lookup_table(service, *table);
  return table;
}

void Snapshot::add_marks(std::span<const wire::Mark> marks, const uint8_t* bytes,
                         const Limits& limits, size_t ports) {
  for (const wire::Mark& w : marks) {
    const auto place = static_cast<size_t>(reinterpret_cast<const uint8_t*>(&w) - bytes);
    const bool six = w.family == 6;
    if (!six && w.family != 4) reject(place + 34, "unknown address family");
    if (is_v4(w.destination) == six) reject(place, "address is not of the rule's family");
    if (is_v4(w.source) == six) reject(place + 16, "address is not of the rule's family");
    if (std::max(w.destination_length, w.source_length) > (six ? 128 : 32)) {
      reject(place + 32, "longer than an address");
    }
    if (w.protocol != 0 && !has_ports(w.protocol)) {
      reject(place + 35, "protocol is not TCP, UDP or SCTP");
    }
    if (w.service != kNone && w.service >= limits.max_services) {
      reject(place + 40, "service slot beyond the limit");
    }
    if (w.port != kAnyPort && w.port >= ports) reject(place + 44, "port that is not there");
    const unsigned before = six ? 0 : 96;
    marks_.add({w.destination, w.source, static_cast<uint8_t>(before + w.destination_length),
                static_cast<uint8_t>(before + w.source_length), w.protocol, w.port, w.low, w.high,
                w.service});
  }
  has_wide_ |= !marks.empty();
}

// Of the addresses that a mark's service has.
void Snapshot::own_marked(const Service& service, uint8_t flags) {
  for (const MarkRule& rule : marks_.all()) {
    if (rule.service != service.slot) continue;
    if (rule.destination_bits == 128) {
      own(rule.destination, flags);
    } else {
      network_flags_ |= flags;
    }
  }
}

const Service* Snapshot::wide_service_for(const TupleOf<V4>& t, uint8_t protocol,
                                          uint16_t port) const {
  if (!marks_.empty()) {
    const MarkRule* rule = marks_.find(widened(t.source), widened(t.destination),
                                       t.destination_port, protocol, static_cast<uint8_t>(port));
    if (rule != nullptr && rule->service != kNone) return service_of_slot(rule->service);
  }
  const Service* own = service_at(t.destination, t.destination_port, protocol);
  if (own != nullptr) return own;
  const bool data = t.destination_port == kFtpData || from_be(t.destination_port) >= 1024;
  if (protocol == kTcp && data) {
    const Service* ftp = service_at(t.destination, kFtp, kTcp);
    if (ftp != nullptr && ftp->is_ftp()) return ftp;
  }
  return service_at(t.destination, 0, protocol);
}

const Service6* Snapshot::service_for(const TupleOf<V6>& t, uint8_t protocol, uint16_t port) const {
  if (!marks_.empty()) {
    const MarkRule* rule = marks_.find(t.source, t.destination, t.destination_port, protocol,
                                       static_cast<uint8_t>(port));
    if (rule != nullptr && rule->service != kNone) return six_.service_of_slot(rule->service);
  }
  const Service6* own = six_.service_at(t.destination, t.destination_port, protocol);
  if (own != nullptr || !has_wide_) return own;
  const bool data = t.destination_port == kFtpData || from_be(t.destination_port) >= 1024;
  if (protocol == kTcp && data) {
    const Service6* ftp = six_.service_at(t.destination, kFtp, kTcp);
    if (ftp != nullptr && ftp->common->is_ftp()) return ftp;
  }
  return six_.service_at(t.destination, 0, protocol);
}

const Service* Snapshot::service_of_mark(uint32_t mark) const {
  const auto found = std::ranges::find(services_, mark, &Service::mark);
  return found == services_.end() ? nullptr : &*found;
}

uint8_t Snapshot::flow_flags(const WideAddress& source, const WideAddress& destination) const {
  const uint8_t flags = six_.address_flags(destination);
  if ((flags & kOwned) != 0 || !marks_.has_networks()) return flags;
  const bool request = (six_.address_flags(source) & kNatServer) == 0;
  return request && marks_.covers(destination) ? flags | network_flags_ : flags;
}

void Snapshot::own(be32 address, uint8_t flags) {
  size_t at = spread(address) & owned_mask_;
  while (owned_[at].flags != 0 && owned_[at].address != address) at = (at + 1) & owned_mask_;
  owned_[at] = {address, static_cast<uint8_t>(owned_[at].flags | flags)};
}

void Snapshot::own(const WideAddress& address, uint8_t flags) {
  if (is_v4(address)) return own(v4_of(address), flags);
  six_.own(address, flags);
}

void Snapshot::take_role(const WideAddress& address, uint8_t port, const Mac& mac) {
  own(address, kOwned);
  if (mac == Mac{}) return;
  if (is_v4(address)) {
    virtual_addresses_.emplace_back(v4_of(address), mac);
  } else {
    six_.virtual_macs_[address] = mac;
  }
  if (!is_virtual_mac(port, mac)) virtual_macs_.emplace_back(port, mac);
}

const Mac* Snapshot::virtual_mac(be32 address) const {
  const auto at =
      std::lower_bound(virtual_addresses_.begin(), virtual_addresses_.end(), address,
                       [](const auto& entry, be32 wanted) { return entry.first < wanted; });
  return at != virtual_addresses_.end() && at->first == address ? &at->second : nullptr;
}

std::vector<be32> Snapshot::next_hops_wanted() const {
  std::vector<be32> wanted;
  wanted.reserve(servers_.size());
  for (const Service& service : services_) {
    for (const Server& server : service.servers) {
      if (!is_stand_in(server.address)) wanted.push_back(server.address);
    }
  }
  for (const Service6& service : six_.services()) {
    for (const WideAddress& server : service.servers) {
      if (is_v4(server)) wanted.push_back(v4_of(server));
    }
  }
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  return wanted;
}

}  // namespace sluice
