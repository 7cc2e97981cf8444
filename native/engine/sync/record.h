// One connection as a worker tells it to the sync thread, and as it is told one: what the other
// director's worker has to know to go on with it.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "../table/connection.h"
#include "../types.h"

namespace sluice::sync {

enum class Tale : uint8_t {
  live,      // as it is now
  end,       // gone before its time
  signpost,  // to a worker: `server` is the worker that has the connection
  mark,      // to the sync thread: a sweep is through; `told_ms` is its number
  // To the process that takes over (estate.h), which is told of ends by `end`.
  inherited,  // as it is now
  // A template: client's network, of `packets` bits, service and server; idle_ms is what is left of
  // it. To a peer, too.
  persistence,
  swept,  // everything has been told once
  last,   // and nothing changes any more
  six,    // `told_ms` is the number of IPv6's records that follow
  calls,  // `told_ms` is the number of Calls that follow
};

// In place of a template's number of bits: its netmask has holes, and is in reply.destination.
inline constexpr uint8_t kHoles = 255;

enum Flag : uint8_t {
  kIsnKnown = 1,   // server_isn1 is valid
  kAnswered = 2,   // a reply has come
  kInherited = 4,  // from the process before this one
  kPeerKnows = 8,  // inherited: has been told by connection sync
  kPeerHas = 16,   // inherited: is the peer's
};

template <class Family>
struct alignas(64) RecordOf {
  TupleOf<Family> request, reply;  // DR and TUN: of reply only the source (RIP:rport)
  uint32_t service, server;        // slots on this machine
  union {
    uint32_t server_isn1;  // TCP, see Connection
    uint32_t age_ms;       // UDP: from the first packet to the latest
  };
  uint32_t idle_ms;  // since the latest packet
  uint32_t told_ms;  // worker's clock when it was told; inherited: see teller()
  Tale tale;
  uint8_t protocol;
  Mode mode;
  State state;
  uint8_t flags;
  uint8_t packets;  // UDP from the client, TCP's notes: see Connection
  // Of the SYN proxy, see mode/splice.h. A peer is told the lead in place of server_isn1.
  uint8_t client_scale, server_scale;
  uint16_t window;
  uint32_t cookie;
};
using Record = RecordOf<V4>;
using Record6 = RecordOf<V6>;
static_assert(sizeof(Record) == 64, "one cache line");
static_assert(sizeof(Record6) == 128, "two cache lines");

// How much of a client's address a template counts, see network_of().
inline uint32_t part_of(const Record& told) {
  return told.packets == kHoles ? told.reply.destination : prefix_mask(told.packets);
}
inline uint32_t part_of(const Record6& told) {
  return told.packets;
}
inline void put_part(Record& told, uint32_t part) {
  told.packets = static_cast<uint8_t>(std::popcount(part));
  if (prefix_mask(told.packets) == part) return;
  told.packets = kHoles;
  told.reply.destination = part;
}
inline void put_part(Record6& told, uint32_t part) {
  told.packets = static_cast<uint8_t>(part);
}

// A template of a service with an engine (table/calls.h), as a worker tells it and is told it.
struct alignas(64) Call {
  WideAddress network, virtual_end, server;  // IPv4 mapped; of a mark's service the mark, as in LVS
  be16 virtual_port, server_port;
  uint32_t service, server_slot;  // slots on this machine
  uint32_t part;                  // of the client's address, as Service::client_part
  uint32_t left_ms;
  uint32_t teller;  // inherited: see teller()
  bool six;
  uint8_t protocol;  // 0: of a mark's service
  Mode mode;
  uint8_t flags;  // kInherited, or 0
  uint8_t bytes;
  char id[255];
  std::string_view text() const { return {id, bytes}; }
};
static_assert(sizeof(Call) == 384);

// The template as one of no engine would be told.
template <class Family>
RecordOf<Family> as_record(const Call& call) {
  const auto of_family = [](const WideAddress& address) {
    if constexpr (std::is_same_v<Family, V4>) {
      return v4_of(address);
    } else {
      return address;
    }
  };
  RecordOf<Family> record{};
  record.request.source = of_family(call.network);
  record.request.destination = of_family(call.virtual_end);
  record.request.destination_port = call.virtual_port;
  record.reply.source = of_family(call.server);
  record.reply.source_port = call.server_port;
  record.service = call.service;
  record.server = call.server_slot;
  record.tale = Tale::persistence;
  record.protocol = call.protocol;
  record.mode = call.mode;
  return record;
}

}  // namespace sluice::sync
