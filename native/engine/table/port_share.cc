#include "port_share.h"

#include <bit>
#include <optional>

#include "../steering.h"

namespace sluice {
namespace {

constexpr unsigned kPortBits = 16;
constexpr unsigned kPrivilegedBits = 10;  // kFirst is 1 << 10
static_assert(PortShare::kFirst == 1u << kPrivilegedBits);

// Vectors that span a class's own directions and the places within it.
struct Basis {
  std::vector<uint16_t> of_class;  // port that contributes bit i alone, all privileged
  std::vector<uint16_t> of_place;  // contribute nothing: the privileged ones first
  unsigned privileged_places;      // how many of those are
};

// Gauss over the ports' bits, lowest first: what a port contributes is reduced by those found
// before, and either shows a new direction or, at nothing, is a place.
std::optional<Basis> basis_of(const net::Toeplitz& hash, size_t entries) {
  const auto bits = static_cast<unsigned>(std::countr_zero(entries));
  const auto mask = static_cast<uint32_t>(entries - 1);
  struct Pair {
    uint32_t contributes;
    uint16_t port;
  };
  std::vector<Pair> found(bits, Pair{0, 0});  // by lowest bit of what is contributed
  Basis basis{std::vector<uint16_t>(bits), {}, 0};
  unsigned directions = 0;
  for (unsigned bit = 0; bit < kPortBits; ++bit) {
    const auto alone = static_cast<uint16_t>(1u << bit);
    Pair pair{hash.of_destination_port(alone) & mask, alone};
    for (unsigned i = 0; i < bits; ++i) {
      if ((pair.contributes >> i & 1) == 0) continue;
      if (found[i].contributes == 0) {
        // Privileged ports must reach every class, or classes would differ in size.
        if (bit >= kPrivilegedBits) return std::nullopt;
        found[i] = pair;
        ++directions;
        break;
      }
      pair.contributes ^= found[i].contributes;
      pair.port ^= found[i].port;
    }
    if (pair.contributes != 0) continue;
    basis.of_place.push_back(pair.port);
    if (bit < kPrivilegedBits) ++basis.privileged_places;
  }
  if (directions != bits) return std::nullopt;
  // Back substitution, from the highest: each direction one bit alone.
  for (unsigned i = bits; i-- > 0;) {
    for (unsigned above = i + 1; above < bits; ++above) {
      if ((found[i].contributes >> above & 1) == 0) continue;
      found[i].contributes ^= found[above].contributes;
      found[i].port ^= found[above].port;
    }
    basis.of_class[i] = found[i].port;
  }
  return basis;
}

// Every sum of a basis, by the bits that choose its vectors.
std::vector<uint16_t> sums(const std::vector<uint16_t>& basis) {
  std::vector<uint16_t> all{0};
  for (const uint16_t vector : basis) {
    const size_t n = all.size();
    for (size_t i = 0; i < n; ++i) all.push_back(all[i] ^ vector);
  }
  return all;
}

}  // namespace

PortShare::PortShare(const Steering* steering, uint16_t worker, uint16_t workers)
    : steering_(steering),
      first_(kFirst + (worker + workers - kFirst % workers) % workers),
      step_(workers),
      per_step_((uint64_t{1} << 32) / workers + 1) {
  count_ = (65536 - first_ + workers - 1) / workers;
  if (steering != nullptr) divide(*steering, worker);
}

bool PortShare::divides(const net::Toeplitz& hash, size_t entries) {
  return basis_of(hash, entries).has_value();
}

void PortShare::divide(const Steering& steering, uint16_t worker) {
  const std::vector<uint16_t>& table = steering.table();
  const Basis basis = *basis_of(steering.toeplitz(), table.size());
  mask_ = static_cast<uint32_t>(table.size() - 1);
  bits_ = static_cast<uint32_t>(std::countr_zero(table.size()));
  position_.resize(table.size());
  for (size_t entry = 0; entry < table.size(); ++entry) {
    if (table[entry] != worker) continue;
    position_[entry] = static_cast<uint16_t>(mine_.size());
    mine_.push_back(static_cast<uint16_t>(entry));
  }
  by_class_ = sums(basis.of_class);
  by_place_ = sums(basis.of_place);
  first_ = 1u << basis.privileged_places;
  step_ = static_cast<uint32_t>(by_place_.size()) - first_;
  count_ = static_cast<uint32_t>(mine_.size()) * step_;

  low_.resize(256);
  high_.resize(256);
  for (uint32_t c = 0; c < by_class_.size(); ++c) {
    for (uint32_t place = 0; place < by_place_.size(); ++place) {
      const uint32_t port = by_class_[c] ^ by_place_[place];
      const auto both = static_cast<uint16_t>(c | place << bits_);
      if (port < 256) low_[port] = both;
      if ((port & 0xff) == 0) high_[port >> 8] = both;
    }
  }
}

uint32_t PortShare::base(be32 local, be32 server, be16 server_port) const {
  if (steering_ == nullptr) return 0;
  return steering_->hash({server, local, server_port, 0}) & mask_;
}

}  // namespace sluice
