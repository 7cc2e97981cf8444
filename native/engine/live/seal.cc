#include "seal.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "../net/checksum.h"
#include "../net/headers.h"
#include "../net/hmac.h"
#include "../net/ipv6.h"

namespace sluice {
namespace {

constexpr size_t kEthernet = sizeof(net::Ethernet);

// RFC 4302 section 2, with an integrity check value of 96 bits.
struct [[gnu::packed]] AuthenticationHeader {
  uint8_t next_header, payload_words;
  be16 reserved;
  be32 spi, sequence;
  uint8_t icv[12];
};
static_assert(sizeof(AuthenticationHeader) == 24);

struct Trailer {
  uint8_t magic[4];
  uint8_t sequence[8];
  uint8_t code[16];
};
static_assert(sizeof(Trailer) == 28 && alignof(Trailer) == 1);

constexpr size_t kVrrpChecksum = 6, kVrrpHeader = 8;

bool is_multicast(be32 address) {
  return from_be(address) >> 28 == 0xe;
}

void put_ah(std::span<const uint8_t> key, uint64_t sequence, std::span<uint8_t> packet) {
  auto& ip = *reinterpret_cast<net::Ipv4*>(packet.data());
  auto& ah = *reinterpret_cast<AuthenticationHeader*>(packet.data() + sizeof ip);
  if (packet.size() < sizeof ip + sizeof ah || ip.protocol != net::kAh) return;
  // Without a second round (RFC 4302 section 2.5): the others take what repeats for a replay.
  ah.sequence = to_be(static_cast<uint32_t>(std::min<uint64_t>(sequence, UINT32_MAX)));
  std::memset(ah.icv, 0, sizeof ah.icv);
  // RFC 4302 section 3.3.3.1.1.1, but for the TTL, see the header.
  net::Ipv4 as_signed = ip;
  as_signed.tos = 0;
  as_signed.fragment = as_signed.checksum = 0;
  if (!is_multicast(ip.destination)) as_signed.ttl = 0;
  net::Hmac<net::Md5> hmac(key);
  hmac.add({reinterpret_cast<const uint8_t*>(&as_signed), sizeof as_signed});
  hmac.add(packet.subspan(sizeof ip));
  std::memcpy(ah.icv, hmac.finish().data(), sizeof ah.icv);
}

// `addresses`: source and destination.
void put_trailer(std::span<const uint8_t> key, uint64_t sequence,
                 std::span<const uint8_t> addresses, std::span<uint8_t> vrrp) {
  if (vrrp.size() < kVrrpHeader + sizeof(Trailer)) return;
  const std::span<uint8_t> behind = vrrp.last(sizeof(Trailer));
  auto& trailer = *reinterpret_cast<Trailer*>(behind.data());
  const uint64_t words_before = net::sum_bytes(behind.data(), behind.size());
  for (unsigned i = 0; i < sizeof trailer.sequence; ++i) {
    trailer.sequence[i] = static_cast<uint8_t>(sequence >> (8 * (7 - i)));
  }
  uint8_t* at = vrrp.data() + kVrrpChecksum;
  const auto before = load<uint16_t>(at);
  store(at, uint16_t{0});
  net::Hmac<net::Sha256> hmac(key);
  hmac.add(addresses);
  hmac.add(vrrp.first(vrrp.size() - sizeof trailer.code));
  std::memcpy(trailer.code, hmac.finish().data(), sizeof trailer.code);
  // RFC 1624, of all words of the trailer.
  net::Delta delta;
  delta.change16(net::fold(words_before), net::fold(net::sum_bytes(behind.data(), behind.size())));
  store(at, static_cast<uint16_t>(
                ~net::fold(uint64_t{static_cast<uint16_t>(~before)} + delta.folded())));
}

}  // namespace

uint64_t next_sequence(SealKind kind, uint64_t last, uint64_t wall_ns) {
  // AH's 32 bits hold seconds until 2106, in which version 2 sends an advert or two.
  const uint64_t unit_ns = kind == SealKind::ah ? 1'000'000'000 : 1'000;
  return std::max(last + 1, wall_ns / unit_ns);
}

void put_seal(const Seal& seal, uint64_t sequence, uint8_t* frame, size_t bytes) {
  const auto& ethernet = *reinterpret_cast<const net::Ethernet*>(frame);
  const bool six = bytes > kEthernet && ethernet.type == net::kEtherIpv6;
  const size_t header = six ? sizeof(net::Ipv6) : sizeof(net::Ipv4);
  if (bytes < kEthernet + header) return;
  const std::span<uint8_t> packet(frame + kEthernet, bytes - kEthernet);
  if (seal.kind == SealKind::ah && !six) put_ah(seal.key, sequence, packet);
  if (seal.kind != SealKind::trailer) return;
  // The addresses are the last of either header, without options.
  const size_t addresses = six ? 32 : 8;
  put_trailer(seal.key, sequence, packet.subspan(header - addresses, addresses),
              packet.subspan(header));
}

}  // namespace sluice
