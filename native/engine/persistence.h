// What persistence makes of templates (table/templates.h, table/calls.h) and the snapshot that is
// valid now, of either family. For first packets and ends of connections only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "marks.h"
#include "net/headers.h"
#include "net/sip.h"
#include "snapshot.h"
#include "table/calls.h"
#include "table/connection.h"
#include "table/templates.h"

namespace sluice::persistence {

// Of a slot, as an index into the service's servers; kNone: it is gone, or takes nobody.
inline uint32_t index_of(const Snapshot& snapshot, const Service& service, uint32_t slot) {
  const Server* server = snapshot.server_of_slot(slot);
  const bool good = server != nullptr && server->up &&
                    (server->weight > 0 || !service.has(wire::kMovesDrained)) &&
                    server >= service.servers.data() &&
                    server < service.servers.data() + service.servers.size();
  return good ? static_cast<uint32_t>(server - service.servers.data()) : kNone;
}

// The server that the client's network has now, whatever its threshold says (as LVS), as an index
// into the service's; kNone: it has none, or that is gone.
template <class Family>
uint32_t server_of(TemplatesOf<Family>& templates, const Snapshot& snapshot, const Service& service,
                   const typename Family::Address& client, uint64_t now_ms) {
  const auto network = network_of(client, service.client_part);
  const auto* known = templates.find(network, service.client_part, service.slot, now_ms);
  return known == nullptr ? kNone : index_of(snapshot, service, known->server);
}

// The client's network stays with the server from now on. `controls`: see TemplatesOf::keep().
template <class Family>
void keep(TemplatesOf<Family>& templates, const typename Family::Address& client,
          const Service& service, const Server& server, uint64_t now_ms, bool controls) {
  templates.keep(network_of(client, service.client_part), service.client_part, service.slot,
                 server.slot, now_ms, service.persistence_ms, controls);
}

// Of a connection that ends: its template has one less.
template <class Family>
void leave(TemplatesOf<Family>& templates, const Service& service, const Connection<Family>& c,
           uint64_t ended_ms) {
  templates.let_go(network_of(c.caddr, service.client_part), service.client_part, c.service,
                   c.server, ended_ms);
}

inline WideAddress wide(be32 network) {
  return widened(network);
}
inline const WideAddress& wide(const WideAddress& network) {
  return network;
}

// The call that a first packet to a service with an engine is of. False: it names none, which
// nobody schedules (as LVS).
template <class Address>
bool find_call(const Calls& calls, const Service& service, const Address& client, uint8_t protocol,
               const uint8_t* l4, uint16_t l4_bytes, Calls::Key& call) {
  if (protocol != kUdp) return false;
  const uint16_t length = from_be(reinterpret_cast<const net::Udp*>(l4)->length);
  const size_t bytes = std::min(length, l4_bytes);
  if (bytes < sizeof(net::Udp)) return false;
  const std::string_view id = net::find_call_id(l4 + sizeof(net::Udp), bytes - sizeof(net::Udp));
  if (id.empty()) return false;
  call = calls.key(wide(network_of(client, service.client_part)), service.client_part, id);
  return true;
}

inline uint32_t server_of(Calls& calls, const Snapshot& snapshot, const Service& service,
                          const Calls::Key& call, uint64_t now_ms) {
  const auto* known = calls.find(call, service.slot, now_ms);
  return known == nullptr ? kNone : index_of(snapshot, service, known->server);
}

inline Calls::Held keep(Calls& calls, const Calls::Key& call, const Service& service,
                        const Server& server, uint64_t now_ms, bool controls) {
  return calls.keep(call, service.slot, server.slot, now_ms, service.persistence_ms, controls);
}

}  // namespace sluice::persistence
