// The bytes of a snapshot as src/snapshot.ts writes them: little-endian numbers, addresses as 16
// network-order bytes. Sections are found through (offset, count) pairs in the header and start
// 8-byte aligned.
#pragma once

#include <cstddef>
#include <cstdint>

#include "types.h"

namespace sluice::wire {

inline constexpr uint32_t kMagic = 0x49554c53;  // "SLUI"
inline constexpr uint32_t kVersion = 1;

enum Section : unsigned {
  kServices,
  kServers,
  kLocals,
  kOwned,
  kRoutes,
  kNeighbours,
  kPortAddresses,
  kRoleAddresses,
  kMarks,
  kClientLists,
  kClients4,
  kClients6,
  kSections
};

struct SectionRef {
  uint32_t offset;  // bytes from the start
  uint32_t count;   // records
};

struct Header {
  uint32_t magic, version, generation, total;
  SectionRef sections[kSections];
  uint32_t timeouts[kStates];  // ms
  uint32_t answer_rate;        // see answer_limit.h; a second and worker
};
static_assert(sizeof(Header) == 216);

enum ServiceFlag : uint8_t {
  kSchedulePort = 1,
  kScheduleFallback = 2,
  kOnePacket = 4,
  kResetOnServerRemoved = 8,
  kClientAddress = 16,
  kStandby = 32,        // another director has its address now (VRRP)
  kFollowsRole = 64,    // standby once the control plane's lease has run out (live/herald.h)
  kMovesDrained = 128,  // persistent clients of a server with weight 0 are scheduled anew
};

// What tells a client's persistence templates from one another.
enum Engine : uint8_t { kNoEngine, kSip, kEngines };

struct Service {
  WideAddress address;
  uint16_t port;  // 0: any that no other service of the address has
  uint8_t protocol, family, scheduler, flags, toa_kind;
  uint8_t syn_proxy;  // 1: SYNs are answered by cookies; of TCP, servers by NAT and FullNAT
  uint32_t slot, first_server, server_count, first_local, local_count;
  uint32_t persistence_ms;  // 0: not persistent
  uint8_t client_bits;      // of a client's address that persistence looks at: 0 … 32, IPv6 128
  uint8_t engine;           // Engine: what else it looks at
  uint8_t reserved1[2];
  uint32_t mark;         // not 0: for packets with this mark; address, port and protocol are 0
  uint32_t allow, deny;  // number of a client list, from 1 on; 0: none
  be32 netmask;          // not 0: in place of client_bits, one with holes; IPv4
  uint8_t reserved[4];
};
static_assert(sizeof(Service) == 72 && offsetof(Service, slot) == 24);

struct Server {
  WideAddress address;
  uint16_t port;
  uint8_t mode, up;
  uint32_t weight, slot, upper, lower;
  uint16_t tunnel_port;  // GUE's
  uint8_t wrap;          // of mode tun
  uint8_t reserved[9];
};
static_assert(sizeof(Server) == 48 && offsetof(Server, weight) == 20);

struct Route {
  WideAddress address, via;
  uint8_t length, family, port, reserved[5];
};
static_assert(sizeof(Route) == 40);

struct Neighbour {
  WideAddress address;
  Mac mac;
  uint8_t port, reserved;
};
static_assert(sizeof(Neighbour) == 24);

struct PortAddress {
  WideAddress address;
  uint8_t length, port, reserved[6];
};
static_assert(sizeof(PortAddress) == 24);

// An address that a VRRP instance has brought here; in no other section.
struct RoleAddress {
  WideAddress address;
  Mac mac;  // the virtual router's; all zero: the port's own
  uint8_t port;
  uint8_t accepted;  // 1: what no service wants goes to programs of this machine
};
static_assert(sizeof(RoleAddress) == 24);

// First packets that get a mark (marks.h).
struct Mark {
  WideAddress destination, source;
  uint8_t destination_length, source_length, family;  // lengths as the family counts
  uint8_t protocol;                                   // 0: TCP and UDP
  uint16_t low, high;                                 // destination ports
  uint32_t service;                                   // slot; all ones: nothing has the mark
  uint8_t port, reserved[3];                          // 255: any
};
static_assert(sizeof(Mark) == 48);

// Networks of clients that services refer to, in the section of its family.
struct ClientList {
  uint64_t fingerprint;  // of the networks: lists that have the same are the same
  uint32_t first, count;
  uint8_t family, reserved[7];
};
static_assert(sizeof(ClientList) == 24);

struct Client4 {
  be32 address;
  uint8_t length, reserved[3];
};
static_assert(sizeof(Client4) == 8);

struct Client6 {
  WideAddress address;
  uint8_t length, reserved[7];
};
static_assert(sizeof(Client6) == 24);

}  // namespace sluice::wire
