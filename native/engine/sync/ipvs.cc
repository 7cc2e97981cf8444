#include "ipvs.h"

#include <cstring>

#include "../table/stand_in.h"

namespace sluice::sync::ipvs {
namespace {

// The low bits of a connection's flags are its forwarding method.
enum Method : uint32_t { kMasq = 0, kTunnel = 2, kRoute = 3, kMethodMask = 7 };
enum Flag : uint32_t {
  kInactive = 0x100,
  kSequenceDeltas = 0x600,
  kNoClientPort = 0x800,
  kTemplate = 0x1000,
};
constexpr uint8_t kIpv6 = 1;
constexpr size_t kV0HeaderBytes = 4;
constexpr size_t kV0RecordBytes = 24;
constexpr size_t kV0OptionBytes = 24;
// LVS counts each protocol's states from 0, which is none; SCTP's are ours, in the same order.
constexpr uint8_t kMostTcpStates = 11;
constexpr uint16_t kSctpBase = static_cast<uint16_t>(State::sctp_init1) - 1;
constexpr uint16_t kMostSctpStates = kStates - kSctpBase;

bool is_known(uint8_t protocol, uint16_t state) {
  if (protocol == kUdp) return true;
  if (state == 0) return false;
  return (protocol == kTcp && state < kMostTcpStates) ||
         (protocol == kSctp && state < kMostSctpStates);
}
State state_of(uint8_t protocol, uint16_t told) {
  if (protocol == kUdp) return State::udp;
  return static_cast<State>(protocol == kSctp ? told + kSctpBase : told);
}
uint16_t as_told(State state) {
  const auto number = static_cast<uint16_t>(state);
  if (state == State::udp) return 0;
  return protocol_of(state) == kSctp ? static_cast<uint16_t>(number - kSctpBase) : number;
}

uint16_t read_u16(const uint8_t* from) {
  return from_be(load<be16>(from));
}
uint32_t read_u32(const uint8_t* from) {
  return from_be(load<be32>(from));
}

uint32_t method_of(Mode mode) {
  return mode == Mode::dr ? kRoute : mode == Mode::tun ? kTunnel : kMasq;
}

// A TCP connection that nobody tells a time for isn't watched over there: LVS counts it inactive.
bool is_inactive(State state) {
  return !is_established(state);
}

// Fields that both versions have. False: not for us, counted.
template <class Family>
bool take(RecordOf<Family>& record, uint8_t protocol, uint32_t flags, uint16_t state,
          Refused& refused) {
  if (flags & (kTemplate | kNoClientPort)) {
    ++refused.templates;
    return false;
  }
  const uint32_t method = flags & kMethodMask;
  const bool known = method == kMasq || method == kTunnel || method == kRoute;
  if (!known || !is_known(protocol, state)) {
    ++refused.other;
    return false;
  }
  record.protocol = protocol;
  record.mode = method == kRoute ? Mode::dr : method == kTunnel ? Mode::tun : Mode::nat;
  record.state = state_of(protocol, state);
  record.tale = Tale::live;
  // LVS tells of what has gone both ways, or doesn't see replies anyway.
  record.flags = kAnswered;
  if (protocol == kUdp) {
    record.packets = UINT8_MAX;
    record.age_ms = 60'000;
  }
  return true;
}

template <class Family>
void take_ends(RecordOf<Family>& record, const uint8_t* ports, const uint8_t* addresses) {
  constexpr size_t kAddress = sizeof record.request.source;
  std::memcpy(&record.request.source_port, ports, 2);
  std::memcpy(&record.request.destination_port, ports + 2, 2);
  std::memcpy(&record.reply.source_port, ports + 4, 2);
  std::memcpy(&record.request.source, addresses, kAddress);
  std::memcpy(&record.request.destination, addresses + kAddress, kAddress);
  std::memcpy(&record.reply.source, addresses + 2 * kAddress, kAddress);
  if (record.mode != Mode::nat) return;
  record.reply.destination = record.request.source;
  record.reply.destination_port = record.request.source_port;
}

template <class Family>
void take_v1(const uint8_t* r, std::vector<RecordOf<Family>>& out, Refused& refused) {
  RecordOf<Family> record{};
  if (!take(record, r[1], read_u32(r + 4), read_u16(r + 8), refused)) return;
  take_ends(record, r + 10, r + 24);
  out.push_back(record);
}

void read_v1(std::span<const uint8_t> message, Told& out, Refused& refused) {
  const unsigned count = message[4];
  size_t at = kHeaderBytes;
  for (unsigned i = 0; i < count; ++i) {
    if (at + 4 > message.size()) return void(++refused.malformed);
    const uint8_t* r = message.data() + at;
    const bool six = (r[0] & kIpv6) != 0;
    const uint16_t version_size = read_u16(r + 2);
    const size_t size = version_size & 0xfff;
    if (version_size >> 12 != 0 || size < (six ? kRecordBytes<V6> : kRecordBytes<V4>) ||
        at + size > message.size()) {
      return void(++refused.malformed);
    }
    at += (size + 3) & ~size_t{3};
    if (six) {
      take_v1(r, out.six, refused);
    } else {
      take_v1(r, out.four, refused);
    }
  }
}

void read_v0(std::span<const uint8_t> message, Told& out, Refused& refused) {
  const unsigned count = message[0];
  size_t at = kV0HeaderBytes;
  for (unsigned i = 0; i < count; ++i) {
    if (at + kV0RecordBytes > message.size()) return void(++refused.malformed);
    const uint8_t* r = message.data() + at;
    const uint16_t flags = read_u16(r + 20);
    at += kV0RecordBytes + ((flags & kSequenceDeltas) != 0 ? kV0OptionBytes : 0);
    if (at > message.size()) return void(++refused.malformed);
    Record record{};
    if (!take(record, r[1], flags, read_u16(r + 22), refused)) continue;
    take_ends(record, r + 2, r + 8);
    out.four.push_back(record);
  }
}

}  // namespace

// Nor does Linux know what shifts the SYN proxy's numbers.
template <class Family>
bool is_proxied(const RecordOf<Family>& record) {
  return record.protocol == kTcp && (record.packets & kProxied) != 0;
}

bool tellable(const Record& record) {
  return !is_proxied(record) && record.mode != Mode::fullnat && record.mode != Mode::enat &&
         record.tale == Tale::live && !is_stand_in(record.reply.source);
}

// As in Linux, which refuses tunnels between families where connections are told.
bool tellable(const Record6& record) {
  return !is_proxied(record) && record.mode != Mode::fullnat && record.tale == Tale::live &&
         !is_v4(record.reply.source);
}

template <class Family>
void write_record(uint8_t* to, const RecordOf<Family>& record, uint32_t timeout_s) {
  constexpr size_t kBytes = kRecordBytes<Family>, kAddress = sizeof record.request.source;
  std::memset(to, 0, kBytes);
  to[0] = std::is_same_v<Family, V6> ? kIpv6 : 0;
  to[1] = record.protocol;
  store(to + 2, to_be(static_cast<uint16_t>(kBytes)));
  store(to + 4, to_be(method_of(record.mode) | (is_inactive(record.state) ? kInactive : 0u)));
  store(to + 8, to_be(as_told(record.state)));
  store(to + 10, record.request.source_port);
  store(to + 12, record.request.destination_port);
  store(to + 14, record.reply.source_port);
  store(to + 20, to_be(timeout_s));
  store(to + 24, record.request.source);
  store(to + 24 + kAddress, record.request.destination);
  store(to + 24 + 2 * kAddress, record.reply.source);
}
template void write_record(uint8_t*, const Record&, uint32_t);
template void write_record(uint8_t*, const Record6&, uint32_t);

void write_header(uint8_t* to, uint8_t syncid, uint16_t bytes, uint8_t count) {
  to[0] = 0;
  to[1] = syncid;
  store(to + 2, to_be(bytes));
  to[4] = count;
  to[5] = 1;
  to[6] = to[7] = 0;
}

void read(std::span<const uint8_t> message, uint8_t syncid, Told& out, Refused& refused) {
  if (message.size() < kV0HeaderBytes || read_u16(message.data() + 2) != message.size()) {
    return void(++refused.malformed);
  }
  if (syncid != 0 && message[1] != syncid) return void(refused.other_syncid = true);
  if (message[0] != 0) return read_v0(message, out, refused);
  const bool header =
      message.size() >= kHeaderBytes && message[5] == 1 && message[6] == 0 && message[7] == 0;
  if (!header) return void(++refused.malformed);
  read_v1(message, out, refused);
}

}  // namespace sluice::sync::ipvs
