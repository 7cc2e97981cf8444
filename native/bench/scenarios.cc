#include "apply.h"
#include "connect.h"
#include "forward.h"
#include "scale.h"
#include "scenario.h"

namespace sluice::bench {

std::span<const Registered> scenarios() {
  static constexpr Registered kAll[] = {
      {"apply", make_apply},
      {"connect", make_connect},
      {"forward", make_forward},
      {"scale", make_scale},
  };
  return kAll;
}

}  // namespace sluice::bench
