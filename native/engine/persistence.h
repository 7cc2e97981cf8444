// What persistence makes of templates (table/templates.h) and the snapshot that is valid now, of
// either family. For first packets and ends of connections only.
#pragma once

#include <cstdint>

#include "snapshot.h"
#include "table/connection.h"
#include "table/templates.h"

namespace sluice::persistence {

// The server that the client's network has now, whatever its threshold says (as LVS), as an index
// into the service's; kNone: it has none, or that is gone.
template <class Family>
uint32_t server_of(TemplatesOf<Family>& templates, const Snapshot& snapshot, const Service& service,
                   const typename Family::Address& client, uint64_t now_ms) {
  const auto network = network_of(client, service.client_bits);
  const auto* known = templates.find(network, service.client_bits, service.slot, now_ms);
  if (known == nullptr) return kNone;
  const Server* server = snapshot.server_of_slot(known->server);
  const bool good = server != nullptr && server->up &&
                    (server->weight > 0 || !service.has(wire::kMovesDrained)) &&
                    server >= service.servers.data() &&
                    server < service.servers.data() + service.servers.size();
  return good ? static_cast<uint32_t>(server - service.servers.data()) : kNone;
}

// The client's network stays with the server from now on. `controls`: see TemplatesOf::keep().
template <class Family>
void keep(TemplatesOf<Family>& templates, const typename Family::Address& client,
          const Service& service, const Server& server, uint64_t now_ms, bool controls) {
  templates.keep(network_of(client, service.client_bits), service.client_bits, service.slot,
                 server.slot, now_ms, service.persistence_ms, controls);
}

// Of a connection that ends: its template has one less.
template <class Family>
void leave(TemplatesOf<Family>& templates, const Snapshot& snapshot, const Connection<Family>& c,
           uint64_t ended_ms) {
  const Service* service = snapshot.service_of_slot(c.service);
  if (service == nullptr || service->persistence_ms == 0) return;
  templates.let_go(network_of(c.caddr, service->client_bits), service->client_bits, c.service,
                   c.server, ended_ms);
}

}  // namespace sluice::persistence
