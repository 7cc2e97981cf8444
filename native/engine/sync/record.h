// One connection as a worker tells it to the sync thread, and as it is told one: what the other
// director's worker has to know to go on with it.
#pragma once

#include <cstdint>

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
};

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

}  // namespace sluice::sync
