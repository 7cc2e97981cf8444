// What a SYN tells of its sender, as far as a SYN proxy passes it on: MSS (RFC 9293 section 3.7.1),
// window scale (RFC 7323 section 2) and whether SACK may be sent (RFC 2018 section 2).
#pragma once

#include <algorithm>

#include "tcp_options.h"

namespace sluice::net {

inline constexpr uint8_t kOptionWindowScale = 3;
inline constexpr uint8_t kOptionSackPermitted = 4;
inline constexpr uint8_t kOptionSack = 5;

struct SynOffer {
  static constexpr uint8_t kNoScale = 15;
  static constexpr uint8_t kMostScale = 14;
  uint16_t mss;   // 0: not told
  uint8_t scale;  // kNoScale: windows are as they are, both ways
  bool sack;
};

// The options of a segment, one by one: `take(kind, data, bytes)`. Ends at what is malformed.
template <class Take>
inline void each_option(Tcp* tcp, Take&& take) {
  uint8_t* at = reinterpret_cast<uint8_t*>(tcp) + sizeof(Tcp);
  uint8_t* const end = reinterpret_cast<uint8_t*>(tcp) + tcp->header_bytes();
  while (at + 1 < end && at[0] != 0) {
    if (at[0] == 1) {
      ++at;
      continue;
    }
    if (at[1] < 2 || at + at[1] > end) return;
    take(at[0], at + 2, static_cast<unsigned>(at[1] - 2));
    at += at[1];
  }
}

inline SynOffer syn_offer_of(Tcp* syn) {
  SynOffer offer{0, SynOffer::kNoScale, false};
  each_option(syn, [&offer](uint8_t kind, const uint8_t* data, unsigned bytes) {
    if (kind == kOptionMss && bytes == 2) offer.mss = from_be(load<be16>(data));
    // RFC 7323 section 2.3: a larger one counts as 14.
    if (kind == kOptionWindowScale && bytes == 1) {
      offer.scale = std::min(data[0], SynOffer::kMostScale);
    }
    if (kind == kOptionSackPermitted && bytes == 0) offer.sack = true;
  });
  return offer;
}

inline constexpr unsigned kMostSynOptions = 12;

// Bytes written, a multiple of four.
inline unsigned write_syn_options(uint8_t* to, const SynOffer& offer) {
  uint8_t* at = to;
  auto put = [&at](std::initializer_list<uint8_t> bytes) {
    at = std::copy(bytes.begin(), bytes.end(), at);
  };
  if (offer.mss != 0) {
    put({kOptionMss, 4, static_cast<uint8_t>(offer.mss >> 8), static_cast<uint8_t>(offer.mss)});
  }
  if (offer.sack) put({1, 1, kOptionSackPermitted, 2});
  if (offer.scale != SynOffer::kNoScale) put({1, kOptionWindowScale, 3, offer.scale});
  return static_cast<unsigned>(at - to);
}

// A segment without data and with no more options than these, header and checksum; `fields` has
// everything else. `pseudo`: the pseudo-header's sum without the length. Returns its bytes.
inline uint16_t write_segment(Tcp* to, const Tcp& fields, const SynOffer& offer, uint64_t pseudo) {
  *to = fields;
  const auto bytes = static_cast<uint16_t>(
      sizeof(Tcp) + write_syn_options(reinterpret_cast<uint8_t*>(to + 1), offer));
  to->offset = static_cast<uint8_t>(bytes / 4 << 4);
  to->checksum = 0;
  to->checksum = checksum_of(to, bytes, pseudo + to_be(bytes));
  return bytes;
}
inline constexpr SynOffer kNoOptions{0, SynOffer::kNoScale, false};
inline constexpr unsigned kMostSegment = sizeof(Tcp) + kMostSynOptions;

}  // namespace sluice::net
