#include "datagram.h"

#include "../mode/splice.h"

#include <cstring>

namespace sluice::sync {
namespace {

void write_u32(uint8_t* to, uint32_t value) {
  store(to, to_be(value));
}
uint32_t read_u32(const uint8_t* from) {
  return from_be(load<be32>(from));
}

template <class Family>
bool is_proxied(const RecordOf<Family>& record) {
  return record.protocol == kTcp && record.tale != Tale::persistence &&
         (record.packets & kProxied) != 0;
}

// Bytes of a body with `count` records, or what else its type has.
std::optional<size_t> body_bytes(Type type, uint16_t count) {
  switch (type) {
    case Type::records:
      return count * kRecordBytes<V4>;
    case Type::records6:
      return count * kRecordBytes<V6>;
    case Type::alive:
      return 0;
    case Type::challenge:
      return 16;
    case Type::proof:
    case Type::ask:
    case Type::done:
      return 8;
    case Type::calls:  // says so itself, one by one
    case Type::count_:
      break;
  }
  return std::nullopt;
}

}  // namespace

void write_u64(uint8_t* to, uint64_t value) {
  store(to, __builtin_bswap64(value));
}
uint64_t read_u64(const uint8_t* from) {
  return __builtin_bswap64(load<uint64_t>(from));
}

template <class Family>
void write_record(uint8_t* to, const RecordOf<Family>& record) {
  constexpr size_t kTuple = sizeof record.request;
  std::memcpy(to, &record.request, kTuple);
  std::memcpy(to + kTuple, &record.reply, kTuple);
  to += 2 * kTuple;
  const bool proxied = is_proxied(record);
  write_u32(to, proxied ? record.server_isn1 - (record.cookie + 1) : record.server_isn1);
  write_u32(to + 4, record.idle_ms);
  const uint8_t rest[8] = {static_cast<uint8_t>(record.tale),
                           record.protocol,
                           static_cast<uint8_t>(record.mode),
                           static_cast<uint8_t>(record.state),
                           record.flags,
                           record.packets,
                           proxied ? record.client_scale : uint8_t{0},
                           proxied ? record.server_scale : uint8_t{0}};
  std::memcpy(to + 8, rest, sizeof rest);
}

template void write_record(uint8_t*, const Record&);
template void write_record(uint8_t*, const Record6&);

// A template has no state, and fewer bits than an address; without a protocol it is a mark's.
template <class Family>
std::optional<RecordOf<Family>> as_template(const RecordOf<Family>& record, uint8_t state) {
  const bool known = record.protocol == 0 || record.protocol == kTcp || record.protocol == kUdp ||
                     record.protocol == kSctp;
  const bool fits = record.packets <= 8 * sizeof record.request.source ||
                    (std::is_same_v<Family, V4> && record.packets == kHoles);
  if (!known || !fits || state != 0 || record.flags != 0) return std::nullopt;
  return record;
}

template <class Family>
std::optional<RecordOf<Family>> read_record(const uint8_t* from) {
  RecordOf<Family> record{};
  constexpr size_t kTuple = sizeof record.request;
  std::memcpy(&record.request, from, kTuple);
  std::memcpy(&record.reply, from + kTuple, kTuple);
  from += 2 * kTuple;
  record.server_isn1 = read_u32(from);
  record.idle_ms = read_u32(from + 4);
  const uint8_t* rest = from + 8;
  record.tale = static_cast<Tale>(rest[0]);
  record.protocol = rest[1];
  record.mode = static_cast<Mode>(rest[2]);
  record.state = static_cast<State>(rest[3]);
  record.flags = rest[4] & (kIsnKnown | kAnswered);
  record.packets = rest[5];
  if (is_proxied(record)) {
    // Any pair of numbers with that lead will do from here on.
    record.cookie = UINT32_MAX;
    record.client_scale = rest[6];
    record.server_scale = rest[7];
    constexpr uint8_t kMost = mode::splice::kNoScale;
    if ((record.flags & kIsnKnown) == 0 || rest[6] > kMost || rest[7] > kMost) return std::nullopt;
  }
  if (rest[2] >= kModes) return std::nullopt;
  if (record.tale == Tale::persistence) return as_template(record, rest[3]);
  if (rest[0] > static_cast<uint8_t>(Tale::end)) return std::nullopt;
  if (rest[3] == static_cast<uint8_t>(State::none) || rest[3] >= kStates) return std::nullopt;
  if (record.protocol != protocol_of(record.state)) return std::nullopt;
  if (record.protocol == kSctp && record.mode == Mode::enat) return std::nullopt;
  if (std::is_same_v<Family, V6> && record.mode == Mode::enat) return std::nullopt;
  return record;
}
template std::optional<Record> read_record<V4>(const uint8_t*);
template std::optional<Record6> read_record<V6>(const uint8_t*);

size_t write_call(uint8_t* to, const Call& call) {
  const uint8_t head[4] = {static_cast<uint8_t>(call.six ? 6 : 4), call.protocol,
                           static_cast<uint8_t>(call.mode), call.bytes};
  std::memcpy(to, head, sizeof head);
  if (call.six) {
    write_u32(to + 4, call.part);
  } else {
    store(to + 4, call.part);
  }
  write_u32(to + 8, call.left_ms);
  store(to + 12, call.network);
  store(to + 28, call.virtual_end);
  store(to + 44, call.server);
  store(to + 60, call.virtual_port);
  store(to + 62, call.server_port);
  std::memcpy(to + kCallBytes, call.id, call.bytes);
  return kCallBytes + call.bytes;
}

size_t read_call(const uint8_t* from, size_t n, Call& call) {
  if (n < kCallBytes || n < kCallBytes + from[3]) return 0;
  call = {};
  call.six = from[0] == 6;
  call.protocol = from[1];
  call.mode = static_cast<Mode>(from[2]);
  call.bytes = from[3];
  call.part = call.six ? read_u32(from + 4) : load<be32>(from + 4);
  call.left_ms = read_u32(from + 8);
  call.network = load<WideAddress>(from + 12);
  call.virtual_end = load<WideAddress>(from + 28);
  call.server = load<WideAddress>(from + 44);
  call.virtual_port = load<be16>(from + 60);
  call.server_port = load<be16>(from + 62);
  std::memcpy(call.id, from + kCallBytes, call.bytes);
  const bool four = is_v4(call.network) && is_v4(call.virtual_end) && is_v4(call.server);
  const bool fits = call.six ? call.part <= 128 && !is_v4(call.network) : from[0] == 4 && four;
  const bool known = call.protocol == kUdp || call.protocol == 0;
  if (!fits || !known || from[2] >= kModes || call.bytes == 0) return 0;
  return kCallBytes + call.bytes;
}

size_t seal(uint8_t* datagram, const Header& header, size_t body, const Key& key) {
  write_u32(datagram, kMagic);
  datagram[4] = kVersion;
  datagram[5] = static_cast<uint8_t>(header.type);
  store(datagram + 6, to_be(header.count));
  write_u64(datagram + 8, header.session);
  write_u64(datagram + 16, header.sequence);
  const size_t n = kHeaderBytes + body;
  const Tag tag = siphash_2_4_128(datagram, n, key);
  std::memcpy(datagram + n, tag.data(), tag.size());
  return n + tag.size();
}

Unsealed unseal(const uint8_t* datagram, size_t n, const Key& key, Header& header) {
  if (n < kHeaderBytes + kTagBytes || read_u32(datagram) != kMagic || datagram[4] != kVersion) {
    return Unsealed::malformed;
  }
  header = {static_cast<Type>(datagram[5]), from_be(load<be16>(datagram + 6)),
            read_u64(datagram + 8), read_u64(datagram + 16)};
  const std::optional<size_t> body = header.type == Type::calls
                                         ? n - kHeaderBytes - kTagBytes
                                         : body_bytes(header.type, header.count);
  if (!body || n != kHeaderBytes + *body + kTagBytes) return Unsealed::malformed;
  const Tag tag = siphash_2_4_128(datagram, n - kTagBytes, key);
  return same_tag(datagram + n - kTagBytes, tag) ? Unsealed::good : Unsealed::bad_tag;
}

}  // namespace sluice::sync
