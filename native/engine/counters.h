// Per-worker counters: u64 words in one block a worker, written by that worker alone and read by
// anyone at any time (aligned 64-bit stores; a reader sees each word old or new, never torn).
//
// Layout of a block (words): ends, extra, ports × kPortWords, services × kServiceWords,
// servers × kServerWords, servers × kHandshakeWords; CounterLayout in src/native.ts describes it to
// JavaScript.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ends.h"
#include "types.h"

namespace sluice {

// What is counted besides ends. EXTRA(name, help)
#define SLUICE_EXTRAS(EXTRA)                                                      \
  EXTRA(received, "packets received from ports; equals the sum of all ends")      \
  EXTRA(handed_off, "packets given to the worker that owns their flow")           \
  EXTRA(connections_created, "connections made")                                  \
  EXTRA(connections_expired, "connections ended by their timeout")                \
  EXTRA(connections, "connections now")                                           \
  EXTRA(connections_denied, "connections ended since their client is denied now") \
  EXTRA(connections_adopted, "connections made from what the peer told")          \
  EXTRA(connections_ended_by_peer, "connections ended or replaced by the peer")   \
  EXTRA(evicted_half_open, "half-open TCP that gave way to a new connection")     \
  EXTRA(evicted_closed, "closed or closing TCP that gave way")                    \
  EXTRA(evicted_udp, "UDP of one direction or of a moment that gave way")         \
  EXTRA(client_option_added, "packets that carried the client's address")         \
  EXTRA(client_option_no_room, "option left out: header full (RFC 9293 3.1)")     \
  EXTRA(client_option_mtu, "option left out: packet would exceed the MTU")        \
  EXTRA(partial_checksum_completed, "checksums a local kernel had left partial")  \
  EXTRA(proxy_syns_repeated, "SYNs of synProxy sent again to a silent server")    \
  EXTRA(proxy_given_up, "clients of synProxy reset as their server was silent")   \
  EXTRA(fragments_made, "fragments sent")                                         \
  EXTRA(datagrams_reassembled, "datagrams put together from fragments")           \
  EXTRA(neighbour_requests, "times the kernel was asked to resolve a next hop")   \
  EXTRA(loops, "turns of the worker's loop")                                      \
  EXTRA(cycles, "of the CPU's clock, since the worker's start")                   \
  EXTRA(busy_cycles, "of those, in turns that had packets")                       \
  EXTRA(idle_sleeps, "times the worker slept since no packet came")

enum class Extra : uint8_t {
#define EXTRA(name, help) name,
  SLUICE_EXTRAS(EXTRA)
#undef EXTRA
      count_
};
inline constexpr size_t kExtraCount = static_cast<size_t>(Extra::count_);

enum PortWord : uint8_t { kRxPackets, kRxBytes, kTxPackets, kTxBytes, kPortWords };
// Order of CounterLayout.services / servers in src/native.ts.
enum TrafficWord : uint8_t { kConns, kInPackets, kOutPackets, kInBytes, kOutBytes };
inline constexpr size_t kServiceWords = 8;  // 5 used: one cache line a record
enum ServerWord : uint8_t { kActive = 5, kInactive = 6 };
inline constexpr size_t kServerWords = 8;
// How servers take TCP connections, where their answers pass here (NAT, FullNAT). Apart from the
// words that every packet counts in, which stay a line.
enum HandshakeWord : uint8_t {
  kAnswered,    // SYN-ACK seen
  kRefused,     // a reset or an ICMP error in answer to the SYN
  kUnanswered,  // the client had to repeat its SYN, or nothing came until the connection expired
  kHandshakeWords = 4
};

struct CounterOffsets {
  size_t ends, extra, ports, services, servers, handshakes, words;

  static constexpr CounterOffsets of(size_t ports, const Limits& limits) {
    auto line = [](size_t words) { return (words + 7) & ~size_t{7}; };
    CounterOffsets o{};
    o.ends = 0;
    o.extra = line(kEndCount);
    o.ports = o.extra + line(kExtraCount);
    o.services = o.ports + line(ports * kPortWords);
    o.servers = o.services + limits.max_services * kServiceWords;
    o.handshakes = o.servers + limits.max_servers * kServerWords;
    o.words = line(o.handshakes + limits.max_servers * kHandshakeWords);
    return o;
  }
};

// One worker's view of its own block.
class Counters {
 public:
  Counters(uint64_t* block, const CounterOffsets& offsets)
      : block_(block),
        o_(offsets),
        services_(block + offsets.services),
        servers_(block + offsets.servers) {}

  void end(End end) { ++block_[o_.ends + static_cast<size_t>(end)]; }
  void end(End end, uint64_t n) { block_[o_.ends + static_cast<size_t>(end)] += n; }
  void add(Extra extra, int64_t n = 1) {
    block_[o_.extra + static_cast<size_t>(extra)] += static_cast<uint64_t>(n);
  }
  uint64_t* port(uint16_t port) { return block_ + o_.ports + port * kPortWords; }
  uint64_t* service(uint32_t slot) { return services_ + slot * kServiceWords; }
  uint64_t* server(uint32_t slot) { return servers_ + slot * kServerWords; }
  uint64_t* handshakes(uint32_t slot) { return block_ + o_.handshakes + slot * kHandshakeWords; }
  const uint64_t* block() const { return block_; }
  const CounterOffsets& offsets() const { return o_; }

 private:
  uint64_t* block_;  // o_.words words, 64-byte aligned
  CounterOffsets o_;
  uint64_t *services_, *servers_;
};

}  // namespace sluice
