#include "forward.h"
#include "scenario.h"

namespace sluice::bench {

std::span<const Registered> scenarios() {
  static constexpr Registered kAll[] = {
      {"forward", make_forward},
  };
  return kAll;
}

}  // namespace sluice::bench
