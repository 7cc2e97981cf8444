// Templates that a persistence engine tells apart: which real server each call of a client's
// network goes to. They are found by a keyed hash of the network and the Call-ID, so that nobody
// who chooses Call-IDs can aim at a place; what was hashed is kept beside, for listings and for
// other directors.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "../net/ipv6.h"
#include "../net/sip.h"
#include "../sync/siphash.h"
#include "templates.h"

namespace sluice {

// What a template is of.
struct Call {
  WideAddress network;  // the client's; IPv4 mapped
  uint8_t bytes;
  char id[net::kMostCallId];
  std::string_view text() const { return {id, bytes}; }
};
static_assert(sizeof(Call) == 272);

class Calls {
 public:
  // By size of the connection table: a place takes 320 bytes.
  static constexpr uint32_t kShare = 4;

  struct Key {
    WideAddress hash;
    WideAddress network;
    uint32_t part;  // of a client's address, see TemplateOf
    std::string_view id;
  };
  // The template that a connection was made by.
  struct Held {
    uint32_t place = kNone;
    uint32_t tag = 0;  // of the template: another may have its place by now
  };

  Calls(uint32_t most, uint64_t seed)
      : templates_(most / kShare, seed), calls_(templates_.places()) {
    for (uint8_t& byte : secret_) byte = static_cast<uint8_t>(mix64(seed));
  }

  // `id` of at most kMostCallId bytes; it is not copied.
  Key key(const WideAddress& network, uint32_t part, std::string_view id) const {
    uint8_t bytes[sizeof(WideAddress) + net::kMostCallId];
    store(bytes, network);
    std::memcpy(bytes + sizeof network, id.data(), id.size());
    return {sync::siphash_2_4_128(bytes, sizeof network + id.size(), secret_), network, part, id};
  }

  // nullptr: there is none, or it has run out.
  const Templates6::Template* find(const Key& key, uint32_t service, uint64_t now_ms) {
    return templates_.find(key.hash, key.part, service, now_ms);
  }

  // As TemplatesOf::keep().
  Held keep(const Key& key, uint32_t service, uint32_t server, uint64_t now_ms, uint32_t ms,
            bool controls) {
    const auto& one = templates_.keep(key.hash, key.part, service, server, now_ms, ms, controls);
    const uint32_t place = templates_.place_of(one);
    write(place, key);
    return {place, tag_of(one)};
  }

  void let_go(Held& held, uint32_t service, uint32_t server, uint64_t ended_ms) {
    if (held.place < templates_.places()) {
      const auto& one = templates_[held.place];
      if (one.service == service && tag_of(one) == held.tag) {
        templates_.let_go(held.place, server, ended_ms);
      }
    }
    held = {};
  }

  // As TemplatesOf::adopt().
  bool adopt(const Key& key, uint32_t service, uint32_t server, uint64_t now_ms, uint32_t left_ms) {
    if (!templates_.adopt(key.hash, key.part, service, server, now_ms, left_ms)) return false;
    write(templates_.place_of(*templates_.find(key.hash, key.part, service, now_ms)), key);
    return true;
  }

  uint32_t places() const { return templates_.places(); }
  const Templates6::Template& operator[](uint32_t place) const { return templates_[place]; }
  const Call& call(uint32_t place) const { return calls_[place]; }
  void note_told(uint32_t place, uint64_t until_ms) { templates_.note_told(place, until_ms); }

 private:
  static uint32_t tag_of(const Templates6::Template& one) {
    return load<uint32_t>(one.network.data());
  }
  void write(uint32_t place, const Key& key) {
    Call& call = calls_[place];
    call.network = key.network;
    call.bytes = static_cast<uint8_t>(key.id.size());
    std::memcpy(call.id, key.id.data(), key.id.size());
  }

  Templates6 templates_;
  TableMemory<Call> calls_;  // by place; written by first packets only
  sync::Key secret_;
};

}  // namespace sluice
