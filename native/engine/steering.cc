#include "steering.h"

#include <algorithm>
#include <bit>

#include "table/hash.h"
#include "table/port_share.h"

namespace sluice {
namespace {

using net::Toeplitz;

Toeplitz toeplitz_of(const Toeplitz::Key& key) {
  return Toeplitz(std::span<const uint8_t, Toeplitz::kKey>(key.data(), Toeplitz::kKey));
}

// The first half again and again: it says as much.
std::vector<uint16_t> shortest(std::vector<uint16_t> table) {
  while (table.size() > 1) {
    const auto half = table.begin() + static_cast<ptrdiff_t>(table.size() / 2);
    if (!std::equal(table.begin(), half, half)) break;
    table.erase(half, table.end());
  }
  return table;
}

}  // namespace

std::vector<uint16_t> Steering::even_table(unsigned size, uint16_t workers) {
  std::vector<uint16_t> table(size);
  for (unsigned i = 0; i < size; ++i) table[i] = static_cast<uint16_t>(i % kEntries % workers);
  return table;
}

net::Toeplitz::Key Steering::make_key(uint64_t seed) {
  for (;;) {
    Toeplitz::Key key;
    for (size_t i = 0; i < key.size(); i += 8) store(key.data() + i, mix64(seed));
    if (PortShare::divides(toeplitz_of(key), kEntries)) return key;
  }
}

std::shared_ptr<const Steering> Steering::of(const std::vector<RssSetup>& ports, uint16_t workers,
                                             std::string& why) {
  const RssSetup& first = ports.front();
  const std::vector<uint16_t> table = shortest(first.table);
  for (const RssSetup& port : ports) {
    if (!std::equal(port.key.begin(), port.key.begin() + Toeplitz::kKey, first.key.begin())) {
      why = "ports hash with different keys";
      return nullptr;
    }
    if (shortest(port.table) != table) {
      why = "ports have different redirection tables";
      return nullptr;
    }
  }
  for (uint16_t worker = 0; worker < workers; ++worker) {
    if (std::find(table.begin(), table.end(), worker) == table.end()) {
      why = "queue " + std::to_string(worker) + " is not in the redirection table";
      return nullptr;
    }
  }
  const Toeplitz hash = toeplitz_of(first.key);
  const bool in_range = std::all_of(table.begin(), table.end(),
                                    [workers](uint16_t queue) { return queue < workers; });
  if (!in_range || !std::has_single_bit(table.size()) || !PortShare::divides(hash, table.size())) {
    why = "its hash does not divide local ports among the queues";
    return nullptr;
  }
  return std::shared_ptr<const Steering>(new Steering(hash, table));
}

}  // namespace sluice
