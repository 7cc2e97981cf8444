// Linux IPVS' sync messages, numbers in network byte order. Version 1 is written and read, version
// 0 read only.
//
//   v1 header   0 syncid8 size16 nr8 1 0[2]
//   record      type8 (bit 0: IPv6, of 16-byte addresses) protocol8 version4|size12 flags32 state16
//               cport vport dport fwmark32 timeout32 s caddr vaddr daddr
//               then options type8 length8 …, padded to 4 bytes
//   v0 header   nr8 (not 0) syncid8 size16
//   record      0 protocol8 cport vport dport caddr vaddr daddr flags16 state16; 24 bytes of
//               sequence deltas where the flags say so
//
// They carry no local address and no authentication: NAT, DR and TUN only, and only on a network
// that nobody else can send to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "record.h"

namespace sluice::sync::ipvs {

inline constexpr size_t kHeaderBytes = 8;
template <class Family>
inline constexpr size_t kRecordBytes = 24 + 3 * sizeof(typename Family::Address);
static_assert(kRecordBytes<V4> == 36 && kRecordBytes<V6> == 72);

// What a message has that isn't taken, by reason.
struct Refused {
  uint32_t malformed = 0;  // lengths that don't fit one another; the rest of it is lost
  uint32_t templates = 0;  // persistence, which there is none of; connections without client port
  uint32_t other = 0;      // protocols and forwarding methods that there are not
  bool other_syncid = false;
};

// False: FullNAT and ENAT can't be told, nor a tunnel to a server of the other family.
bool tellable(const Record& record);
bool tellable(const Record6& record);
// Writes kRecordBytes<Family>.
template <class Family>
void write_record(uint8_t* to, const RecordOf<Family>& record, uint32_t timeout_s);
void write_header(uint8_t* to, uint8_t syncid, uint16_t bytes, uint8_t count);

struct Told {
  std::vector<Record> four;
  std::vector<Record6> six;
};
// Appends what it has to `out`. `syncid` 0 takes any.
void read(std::span<const uint8_t> message, uint8_t syncid, Told& out, Refused& refused);

}  // namespace sluice::sync::ipvs
