// What a worker needs from the world around it, called once a burst, never per packet: live it is
// ethdev queues, rings and the slow path; in replay it is vectors.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "types.h"

namespace sluice {

// Lines a worker wants logged; the receiver limits their rate and names them to people.
enum class Note : uint8_t {
  table_full,
  local_ports_exhausted,
  no_neighbour,
  no_route,
  mbufs_exhausted,
  tuple_conflict,
  making_room,
  rss_agrees,     // of a port
  rss_disagrees,  // of a port
  count_
};

class Sink {
 public:
  virtual ~Sink() = default;
  // Each takes ownership of the first `return value` mbufs; the worker counts and frees the rest.
  virtual uint16_t transmit(uint16_t port, rte_mbuf** packets, uint16_t n) = 0;
  virtual uint16_t punt(uint16_t port, rte_mbuf** packets, uint16_t n) = 0;
  virtual uint16_t hand_off(uint16_t worker, rte_mbuf** packets, uint16_t n) = 0;
  // Ask the kernel to resolve a neighbour. Called at most once an address and second.
  virtual void resolve(uint16_t port, be32 address) = 0;
  virtual void resolve(uint16_t port, const WideAddress& address) = 0;
  // At most once a second for each kind; `count` since the last one. `of`: a service's slot, for
  // those that say so a port, which has each once.
  virtual void note(Note what, uint32_t count, uint32_t of) = 0;
};

}  // namespace sluice
