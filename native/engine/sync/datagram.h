// Sluice's own sync datagrams, numbers in network byte order:
//
//   "SLsy" version8=1 type8 count16  session64  sequence64  body  tag[16]
//
// session is drawn when a director starts to send, sequence counts its datagrams from 1. The tag is
// SipHash-2-4-128 of everything before it. Bodies:
//
//   records    count records of 40 bytes:
//              caddr vaddr cport vport  raddr laddr rport lport
//              server_isn32 (UDP: age ms)  idle32 ms
//              tale8 protocol8 mode8 state8 flags8 packets8 scale8[2]
//              of the SYN proxy (TCP, bit 1 of packets8) server_isn32 is by how much the server's
//              numbers are ahead of the client's, and scale8 the client's and the server's
//              tale 0: a connection that lives, 1: one that has ended, 5: a persistence template of
//              the client's network, packets8 bits long: service and server by address and port
//              (a mark's: the mark for vaddr, protocol 0), no laddr, lport, state and flags;
//              idle32 is what is left of its time. packets8 255: laddr is a netmask with holes
//   alive      nothing: sent when there was nothing else for a while
//   challenge  session64 nonce64   to the holder of that session: prove that you live
//   proof      nonce64             the answer
//   ask        session64           to the holder of that session: tell everything you have
//   done       session64           to the asker: that was everything
//   records6   count records of 88 bytes, of IPv6: addresses of 16 bytes, else as `records`
//   calls      count templates of persistence engines, 64 bytes and an id each:
//              family8 protocol8 mode8 bytes8  part32 left32 ms  client network, virtual and server
//              address of 16 bytes each  vport rport  id, of so many bytes. A service is told as by
//              tale 5; part is what counts of a client's address: of IPv4 a mask, else bits
//
// A receiver takes records only from a session that has answered a challenge of its own, and each
// sequence number once and in order: what was recorded on the wire, in this life of the sender or
// in an earlier one, is of no use to anybody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "record.h"
#include "siphash.h"

namespace sluice::sync {

enum class Type : uint8_t { records, alive, challenge, proof, ask, done, records6, calls, count_ };

inline constexpr uint32_t kMagic = 0x534c7379;
inline constexpr uint8_t kVersion = 1;
inline constexpr size_t kHeaderBytes = 24;
// Of either family: two tuples and what follows them.
template <class Family>
inline constexpr size_t kRecordBytes = 2 * sizeof(TupleOf<Family>) + 16;
static_assert(kRecordBytes<V4> == 40 && kRecordBytes<V6> == 88);
template <class Family>
inline constexpr Type kRecordsOf = std::is_same_v<Family, V6> ? Type::records6 : Type::records;
inline constexpr size_t kTagBytes = sizeof(Tag);

template <class Family>
constexpr size_t records_in(size_t datagram_bytes) {
  return (datagram_bytes - kHeaderBytes - kTagBytes) / kRecordBytes<Family>;
}

struct Header {
  Type type;
  uint16_t count;
  uint64_t session, sequence;
};

// Writes kRecordBytes<Family>.
template <class Family>
void write_record(uint8_t* to, const RecordOf<Family>& record);
// nullopt when a field has a value that it can't have. Slots and told_ms are 0.
template <class Family>
std::optional<RecordOf<Family>> read_record(const uint8_t* from);

inline constexpr size_t kCallBytes = 64;  // without its id
// Writes so many bytes, and those of the id; returns how many.
size_t write_call(uint8_t* to, const Call& call);
// How many bytes it took; 0 when a field has a value that it can't have, or there are too few.
size_t read_call(const uint8_t* from, size_t n, Call& call);

// Around a body that has been written behind the header's place; returns the datagram's length.
size_t seal(uint8_t* datagram, const Header& header, size_t body_bytes, const Key& key);

enum class Unsealed : uint8_t { good, malformed, bad_tag };
Unsealed unseal(const uint8_t* datagram, size_t n, const Key& key, Header& header);

void write_u64(uint8_t* to, uint64_t value);
uint64_t read_u64(const uint8_t* from);

}  // namespace sluice::sync
