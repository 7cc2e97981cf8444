// What a plain frame looks like: unicast to this port's MAC, IPv4 without options, no fragment.
// Nearly all frames are, and all of it is found out by one comparison under a mask.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "headers.h"
#include "ipv6.h"

namespace sluice::net {

class PlainFrame {
 public:
  static constexpr unsigned kBytes = 32;  // compared; a frame has to be as long at least

  PlainFrame() = default;
  explicit PlainFrame(const Mac& own) {
    std::memcpy(frame_, own.data(), own.size());
    store(frame_ + offsetof(Ethernet, type), kEtherIpv4);
    frame_[sizeof(Ethernet)] = 0x45;
  }
  bool matches(const Ethernet* frame) const {
    const __m256i found = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(frame));
    const __m256i wanted = _mm256_load_si256(reinterpret_cast<const __m256i*>(frame_));
    const __m256i mask = _mm256_load_si256(reinterpret_cast<const __m256i*>(kMask));
    return _mm256_testz_si256(_mm256_xor_si256(found, wanted), mask) != 0;
  }
  // A frame with an IPv6 packet for the same station.
  bool is_six(const Ethernet* frame) const {
    return frame->type == kEtherIpv6 && std::memcmp(frame, frame_, sizeof(Mac)) == 0;
  }

 private:
  // Destination; EtherType, version and header length; of flags and offset all but DF and the
  // reserved bit.
  alignas(32) static constexpr uint8_t kMask[kBytes] = {
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0,
      0,    0,    0,    0,    0x3f, 0xff, 0, 0, 0, 0, 0, 0, 0,    0,    0,    0};
  static_assert(sizeof(Ethernet) + offsetof(Ipv4, fragment) == 20);
  alignas(32) uint8_t frame_[kBytes]{};
};

}  // namespace sluice::net
