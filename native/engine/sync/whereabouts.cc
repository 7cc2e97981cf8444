#include "whereabouts.h"

#include <algorithm>
#include <bit>

#include "../net/ipv6.h"
#include "../table/hash.h"

namespace sluice::sync {
namespace {

bool keeps_port(Mode mode) {
  return mode == Mode::dr || mode == Mode::tun;
}

bool has_local_port(Mode mode) {
  return mode == Mode::fullnat || mode == Mode::enat;
}

}  // namespace

size_t Whereabouts::home(uint32_t service, be32 address, be16 port) const {
  return mum((uint64_t{service} << 16 | port) ^ 0x9e3779b97f4a7c15u,
             address ^ 0x8ebc6af09c88c6e3u) &
         (index_.size() - 1);
}

void Whereabouts::add(const Service& service, const Server& server, be16 port) {
  size_t at = home(service.slot, server.address, port);
  while (index_[at].server != nullptr) at = (at + 1) & (index_.size() - 1);
  index_[at] = {&server, port, service.slot};
}

void Whereabouts::follow(std::shared_ptr<const Snapshot> snapshot) {
  if (snapshot == snapshot_) return;
  size_t servers = 0;
  for (const Service& service : snapshot->services()) servers += service.servers.size();
  for (const Service6& service : snapshot->six().services()) servers += service.servers.size();
  index_.assign(std::bit_ceil(servers * 4 + 1), {});
  for (const Service& service : snapshot->services()) add(service);
  for (const Service6& service : snapshot->six().services()) add(*service.common);
  snapshot_ = std::move(snapshot);
}

void Whereabouts::add(const Service& service) {
  for (const Server& server : service.servers) {
    add(service, server, server.port);
    // DR and TUN leave a packet's port alone, whatever the server's says; so does persistence that
    // spans ports.
    const bool keeps = keeps_port(server.mode) && !service.is_wide();
    if (keeps && server.port != service.port) add(service, server, service.port);
    if (service.is_wide() && server.port != 0) add(service, server, 0);
  }
}

template <class IsIt>
const Server* Whereabouts::server_of(const Service& service, be32 address, be16 port,
                                     IsIt is_it) const {
  for (size_t at = home(service.slot, address, port); index_[at].server != nullptr;
       at = (at + 1) & (index_.size() - 1)) {
    const Entry& entry = index_[at];
    if (entry.service == service.slot && entry.port == port && entry.server->address == address &&
        is_it(*entry.server)) {
      return entry.server;
    }
  }
  // At a wide service's servers packets may have any port.
  return port != 0 && service.is_wide() ? server_of(service, address, 0, is_it) : nullptr;
}

Found Whereabouts::find(Record& record) const {
  // A template of a mark's service has that in place of an address.
  const Service* service = record.protocol == 0
                               ? snapshot_->service_of_mark(from_be(record.request.destination))
                               : snapshot_->service_for(record.request, record.protocol, kAnyPort);
  if (service == nullptr) return Found::no_service;
  const Server* server = server_of(*service, record.reply.source, record.reply.source_port,
                                   [](const Server&) { return true; });
  if (server == nullptr) return Found::no_server;
  if (has_local_port(record.mode) && record.tale != Tale::persistence) {
    const be32 local = record.reply.destination;
    const bool known = local == record.request.destination ||
                       std::ranges::find(service->locals, local) != service->locals.end();
    if (!known) return Found::no_local_address;
  }
  record.service = service->slot;
  record.server = server->slot;
  return Found::here;
}

Found Whereabouts::find(Record6& record) const {
  const Service6* service =
      record.protocol == 0
          ? snapshot_->six().service_of_mark(from_be(load<be32>(record.request.destination.data())))
          : snapshot_->service_for(record.request, record.protocol, kAnyPort);
  if (service == nullptr) return Found::no_service;
  const Service& common = *service->common;
  const WideAddress& address = record.reply.source;
  // Nothing but a tunnel leads to a server of the other family.
  if (is_v4(address) && record.mode != Mode::tun) return Found::no_server;
  const Server* server = server_of(
      common, net::folded(address), record.reply.source_port,
      [service, &common, &address](const Server& one) {
        return service->servers[static_cast<size_t>(&one - common.servers.data())] == address;
      });
  if (server == nullptr) return Found::no_server;
  if (has_local_port(record.mode) && record.tale != Tale::persistence &&
      std::ranges::find(service->locals, record.reply.destination) == service->locals.end()) {
    return Found::no_local_address;
  }
  record.service = common.slot;
  record.server = server->slot;
  return Found::here;
}

Found Whereabouts::find(Call& call) const {
  return call.six ? find_as<V6>(call) : find_as<V4>(call);
}

template <class Family>
Found Whereabouts::find_as(Call& call) const {
  auto record = as_record<Family>(call);
  const Found found = find(record);
  call.service = record.service;
  call.server_slot = record.server;
  return found;
}

uint16_t Whereabouts::owner(const Call& call) const {
  return call.six ? owners(as_record<V6>(call)).connection : owners(as_record<V4>(call)).connection;
}

// As pipeline/2_owner.cc has it for packets.
Whereabouts::Owners Whereabouts::owners(const Record& record) const {
  if (workers_ == 1) return {0, 0};
  const TupleOf<V4>& request = record.request;
  // Where the client's next connection begins.
  if (record.tale == Tale::persistence) {
    const uint16_t worker = owner_of_client(request.source & snapshot_->client_mask(), 0, workers_);
    return {worker, worker};
  }
  const uint8_t flags = snapshot_->flow_flags(request.source, request.destination);
  const bool nat = (flags & Snapshot::kNatService) != 0;
  const bool persists = (flags & Snapshot::kPersistent) != 0 || (nat && snapshot_->nat_persists());
  const uint16_t requests =
      persists ? owner_of_client(request.source & snapshot_->client_mask(), 0, workers_)
      : steering_ == nullptr || nat ? owner_of_client(request.source, request.source_port, workers_)
                                    : steering_->owner(request);
  if (!has_local_port(record.mode)) return {requests, requests};
  const auto replies =
      steering_ != nullptr
          ? steering_->owner(record.reply)
          : static_cast<uint16_t>(from_be(record.reply.destination_port) % workers_);
  return {replies, requests};
}

// As pipeline6/2_owner.cc has it.
Whereabouts::Owners Whereabouts::owners(const Record6& record) const {
  if (workers_ == 1) return {0, 0};
  const TupleOf<V6>& request = record.request;
  const Snapshot6& six = snapshot_->six();
  if (record.tale == Tale::persistence) {
    const uint16_t worker =
        owner_of_client(net::masked(request.source, six.client_bits()), 0, workers_);
    return {worker, worker};
  }
  const uint8_t flags = snapshot_->flow_flags(request.source, request.destination);
  const uint16_t requests =
      six.persists(flags)
          ? owner_of_client(net::masked(request.source, six.client_bits()), 0, workers_)
          : owner_of_client(request.source, request.source_port, workers_);
  if (!has_local_port(record.mode)) return {requests, requests};
  return {static_cast<uint16_t>(from_be(record.reply.destination_port) % workers_), requests};
}

}  // namespace sluice::sync
