// The counters of all workers in one block of memory that JavaScript reads in place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

// `words` zeroed u64, aligned to 2 MiB so that the kernel can back it with huge pages, pages
// touched on first use. Never freed: a SharedArrayBuffer over it may outlive the engine, and a
// process has one engine. Throws ERR_NATIVE_MEMORY.
uint64_t* make_counter_block(size_t words);

}  // namespace sluice
