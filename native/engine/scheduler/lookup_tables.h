// Tables that the hashing schedulers read, filled when a snapshot is built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

struct Service;

inline constexpr uint32_t kShSize = 256;       // buckets of LVS's sh
inline constexpr uint32_t kMaglevSize = 4093;  // prime; LVS's default for mh (2^12 rounded down)
inline constexpr uint32_t kNoServer = UINT32_MAX;

size_t lookup_table_size(const Service& service);
// `table` has lookup_table_size entries: indices into service.servers, or kNoServer.
void fill_lookup_table(const Service& service, std::span<uint32_t> table);

}  // namespace sluice
