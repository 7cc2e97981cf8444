// The Call-ID of a SIP message in a datagram (RFC 3261): what its dialog's packets have in common.
#pragma once

#include <emmintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::net {

// Bytes of a message that are looked at: a few hundred cycles at most, whatever a datagram holds.
inline constexpr size_t kMostSip = 4096;
inline constexpr size_t kMostCallId = 255;  // as with IPVS

namespace sip {

// What a word is made of (section 25.1).
inline constexpr auto kInWord = [] {
  std::array<bool, 256> in{};
  for (unsigned c = '0'; c <= '9'; ++c) in[c] = true;
  for (unsigned c = 'a'; c <= 'z'; ++c) in[c] = in[c - 'a' + 'A'] = true;
  for (const char c : std::string_view("-.!%*_+`'~()<>:\\\"/[]?{}"))
    in[static_cast<uint8_t>(c)] = true;
  return in;
}();

inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
inline bool ends_line(char c) {
  return c == '\r' || c == '\n';
}

inline const char* line_end(const char* at, const char* end) {
  const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i either = _mm_or_si128(_mm_cmpeq_epi8(bytes, cr), _mm_cmpeq_epi8(bytes, lf));
    const auto found = static_cast<unsigned>(_mm_movemask_epi8(either));
    if (found != 0) return at + std::countr_zero(found);
  }
  while (at != end && !ends_line(*at)) ++at;
  return at;
}

// Behind a line's end: CRLF, or either alone, which RFC 2543 allowed.
inline const char* next_line(const char* at, const char* end) {
  if (at == end) return end;
  const bool cr = *at++ == '\r';
  return cr && at != end && *at == '\n' ? at + 1 : at;
}

// Behind blanks, and ends of lines that go on in the next one (section 7.3.1).
inline const char* skip_space(const char* at, const char* end) {
  for (;;) {
    while (at != end && is_blank(*at)) ++at;
    if (at == end || !ends_line(*at)) return at;
    const char* const next = next_line(at, end);
    if (next == end || !is_blank(*next)) return at;
    at = next;
  }
}

// Where a line's Call-ID begins; nullptr: it is of another header field.
inline const char* call_id_field(const char* at, const char* end) {
  constexpr std::string_view kName = "call-id";
  const auto is = [](char a, char b) { return (a | 0x20) == b; };
  const auto room = static_cast<size_t>(end - at);
  if (room >= kName.size() && std::equal(kName.begin(), kName.end(), at, [&](char wanted, char c) {
        return wanted == '-' ? c == '-' : is(c, wanted);
      })) {
    at += kName.size();
  } else if (room != 0 && is(*at, 'i')) {  // the compact form (section 7.3.3)
    ++at;
  } else {
    return nullptr;
  }
  while (at != end && is_blank(*at)) ++at;
  return at != end && *at == ':' ? skip_space(at + 1, end) : nullptr;
}

inline const char* word_end(const char* at, const char* end) {
  while (at != end && kInWord[static_cast<uint8_t>(*at)]) ++at;
  return at;
}

// A word, or two with an @ between, and nothing else on the line; empty: it is none, or too long.
inline std::string_view call_id_at(const char* at, const char* end) {
  const char* last = word_end(at, end);
  if (last != at && last != end && *last == '@') {
    const char* const host = last + 1;
    last = word_end(host, end);
    if (last == host) return {};
  }
  const auto bytes = static_cast<size_t>(last - at);
  const char* rest = last;
  while (rest != end && is_blank(*rest)) ++rest;
  if (bytes > kMostCallId || rest == end || !ends_line(*rest)) return {};
  return {at, bytes};
}

}  // namespace sip

// Empty: the first kMostSip bytes are no SIP message's that has one.
inline std::string_view find_call_id(const uint8_t* payload, size_t n) {
  const char* at = reinterpret_cast<const char*>(payload);
  const char* const end = at + std::min(n, kMostSip);
  while (at != end && sip::ends_line(*at)) ++at;     // section 7.5
  at = sip::next_line(sip::line_end(at, end), end);  // the request or status line
  while (at != end && !sip::ends_line(*at)) {
    if (const char* const value = sip::call_id_field(at, end)) {
      const std::string_view id = sip::call_id_at(value, end);
      if (!id.empty()) return id;
    }
    at = sip::next_line(sip::line_end(at, end), end);
  }
  return {};
}

}  // namespace sluice::net
