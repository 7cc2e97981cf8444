#include "counter_block.h"

#include <sys/mman.h>

#include "../error.h"

namespace sluice {

uint64_t* make_counter_block(size_t words) {
  constexpr size_t kHuge = size_t{2} << 20;
  const size_t bytes = words * sizeof(uint64_t) + kHuge;
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    throw Error("ERR_NATIVE_MEMORY", std::to_string(bytes >> 20) + " MiB of counters");
  }
  const uintptr_t aligned = (reinterpret_cast<uintptr_t>(at) + kHuge - 1) & ~(kHuge - 1);
  madvise(reinterpret_cast<void*>(aligned), words * sizeof(uint64_t), MADV_HUGEPAGE);
  return reinterpret_cast<uint64_t*>(aligned);
}

}  // namespace sluice
