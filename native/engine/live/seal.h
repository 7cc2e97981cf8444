// What makes an advert of VRRP one of its sender's, and of this moment: a sequence number and a
// message authentication code, put into the frame as it leaves. The frame has room for them, zeros.
//
//   ah       IPsec AH (RFC 4302) in transport mode between the IPv4 header and VRRP's version 2, as
//            RFC 2338 and keepalived have it: HMAC-MD5-96 (RFC 2403) over the whole packet with the
//            fields that routers change as zeros; the SPI is the source address, the sequence
//            number 32 bits. The TTL is such a field in unicast only: keepalived (2.2.7) signs it
//            in multicast, which no router forwards.
//   trailer  our own, behind the message of either version and family and within the IP packet, 28
//            bytes: "SLH1", sequence number (64 bits), the first 16 bytes of HMAC-SHA-256 over the
//            source and destination address, the message with zero as its checksum, and the trailer
//            up to the code. VRRP's checksum holds for the message and the trailer behind it.
//
// Numbers of an instance grow from one frame to the next, whoever in the virtual router sends it:
// who hears one goes on above it. They are not below the wall clock, so that a director that starts
// anew is above what it has sent before; where the clock was set back meanwhile the others take it
// for a replay, one of them takes over, and it goes on above what it hears then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice {

enum class SealKind : uint8_t { none, ah, trailer };

struct Seal {
  SealKind kind = SealKind::none;
  std::vector<uint8_t> key;
};

// The number after `last`; `wall_ns`: since 1970.
uint64_t next_sequence(SealKind kind, uint64_t last, uint64_t wall_ns);

// Fills in number and code. A frame that has no room for them, or is none of IP, is left as it is.
void put_seal(const Seal& seal, uint64_t sequence, uint8_t* frame, size_t bytes);

}  // namespace sluice
