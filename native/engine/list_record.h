// One record of a listing of connections, Worker::kListRecordBytes long, as src/connections.ts
// reads it: numbers in host order, addresses of 16 bytes, IPv4 as ::ffff:a.b.c.d, none as ::.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include "snapshot.h"
#include "table/connection.h"
#include "table/templates.h"
#include "worker.h"

namespace sluice {

class ListRecord {
 public:
  // `tunnel_end`: the server's address where the record has a stand-in for it; else nullptr.
  template <class Family>
  static ListRecord of(const Connection<Family>& c, uint32_t idle_ms, uint32_t timeout_ms,
                       const WideAddress* tunnel_end = nullptr) {
    const bool has_local = c.mode() == Mode::fullnat || c.mode() == Mode::enat;
    ListRecord r;
    r.address(0, c.caddr);
    r.address(16, c.vaddr);
    if (has_local) r.address(32, c.laddr);
    if (tunnel_end != nullptr) {
      r.address(48, *tunnel_end);
    } else {
      r.address(48, c.raddr);
    }
    r.port(64, c.cport);
    r.port(66, c.vport);
    if (has_local) r.port(68, c.lport);
    r.port(70, c.rport);
    r.rest(std::is_same_v<Family, V6>, c.protocol(), c.mode(), c.state, c.service, c.server);
    r.times(idle_ms, timeout_ms);
    return r;
  }

  // As LVS lists it: a connection in state NONE from the network's port 0, and to ports where there
  // is but one.
  template <class Family, class ServerAddress>
  static ListRecord of(const TemplateOf<Family>& one, const Service& service,
                       const typename Family::Address& virtual_end, const Server& server,
                       const ServerAddress& address, uint64_t now_ms) {
    return of(one, one.network, std::is_same_v<Family, V6>, service, virtual_end, server, address,
              now_ms);
  }

  // `one` is of a service that has an engine, or of no other family than the addresses.
  template <class Family, class Address, class ServerAddress>
  static ListRecord of(const TemplateOf<Family>& one, const Address& network, bool six,
                       const Service& service, const Address& virtual_end, const Server& server,
                       const ServerAddress& address, uint64_t now_ms) {
    ListRecord r;
    r.address(0, network);
    r.address(16, virtual_end);
    r.address(48, address);
    if (!service.is_wide()) {
      r.port(66, service.port);
      r.port(70, server.port);
    }
    r.rest(six, service.protocol, server.mode, State::none, one.service, one.server);
    const uint64_t left = one.until_ms > now_ms ? one.until_ms - now_ms : 0;
    const auto whole = std::max<uint64_t>(service.persistence_ms, left);
    r.times(static_cast<uint32_t>(whole - left), static_cast<uint32_t>(whole));
    return r;
  }

  void add_to(std::vector<uint8_t>& out) const {
    out.insert(out.end(), bytes_, bytes_ + sizeof bytes_);
  }
  // With what the engine knows, at most 255 bytes, in records behind this one.
  void add_to(std::vector<uint8_t>& out, wire::Engine engine, std::string_view text) {
    bytes_[92] = engine;
    bytes_[93] = static_cast<uint8_t>(text.size());
    add_to(out);
    out.insert(out.end(), text.begin(), text.end());
    const size_t records = (text.size() + sizeof bytes_ - 1) / sizeof bytes_;
    out.resize(out.size() + records * sizeof bytes_ - text.size());
  }

 private:
  void address(size_t offset, be32 v4) {
    if (v4 == 0) return;
    bytes_[offset + 10] = bytes_[offset + 11] = 0xff;
    store(bytes_ + offset + 12, v4);
  }
  void address(size_t offset, const WideAddress& a) { store(bytes_ + offset, a); }
  void port(size_t offset, be16 port) { store(bytes_ + offset, from_be(port)); }
  void rest(bool six, uint8_t protocol, Mode mode, State state, uint32_t service, uint32_t server) {
    bytes_[72] = protocol;
    bytes_[73] = static_cast<uint8_t>(mode);
    bytes_[74] = static_cast<uint8_t>(state);
    bytes_[75] = six ? 6 : 4;
    store(bytes_ + 76, service);
    store(bytes_ + 80, server);
  }
  void times(uint32_t idle_ms, uint32_t timeout_ms) {
    store(bytes_ + 84, idle_ms);
    store(bytes_ + 88, timeout_ms);
  }

  uint8_t bytes_[Worker::kListRecordBytes] = {};
};

}  // namespace sluice
