// HMAC (RFC 2104) over libmd's hashes, which is in the process with DPDK's libbsd. For control
// traffic: a message takes a microsecond or two.
#pragma once

#include <md5.h>
#include <sha2.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::net {

struct Md5 {
  static constexpr size_t kBlock = MD5_BLOCK_LENGTH, kDigest = MD5_DIGEST_LENGTH;
  Md5() { MD5Init(&context); }
  void add(std::span<const uint8_t> bytes) { MD5Update(&context, bytes.data(), bytes.size()); }
  void finish(uint8_t* digest) { MD5Final(digest, &context); }
  MD5_CTX context;
};

struct Sha256 {
  static constexpr size_t kBlock = SHA256_BLOCK_LENGTH, kDigest = SHA256_DIGEST_LENGTH;
  Sha256() { SHA256Init(&context); }
  void add(std::span<const uint8_t> bytes) { SHA256Update(&context, bytes.data(), bytes.size()); }
  void finish(uint8_t* digest) { SHA256Final(digest, &context); }
  SHA2_CTX context;
};

template <class Hash>
class Hmac {
 public:
  using Digest = std::array<uint8_t, Hash::kDigest>;

  explicit Hmac(std::span<const uint8_t> key) {
    if (key.size() <= key_.size()) {
      std::ranges::copy(key, key_.begin());
    } else {
      Hash hash;
      hash.add(key);
      hash.finish(key_.data());
    }
    inner_.add(padded(0x36));
  }
  void add(std::span<const uint8_t> bytes) { inner_.add(bytes); }
  Digest finish() {
    Digest digest;
    inner_.finish(digest.data());
    Hash outer;
    outer.add(padded(0x5c));
    outer.add(digest);
    outer.finish(digest.data());
    return digest;
  }

 private:
  using Block = std::array<uint8_t, Hash::kBlock>;
  static_assert(Hash::kDigest <= Hash::kBlock);
  Block padded(uint8_t with) const {
    Block block = key_;
    for (uint8_t& byte : block) byte ^= with;
    return block;
  }

  Block key_{};
  Hash inner_;
};

}  // namespace sluice::net
