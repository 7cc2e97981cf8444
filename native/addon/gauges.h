// How full things are, for JavaScript: Engine.gauges of src/native.ts.
#pragma once

#include <napi.h>

#include "engine/live/gauges.h"

namespace sluice {

Napi::Object gauges_object(Napi::Env env, const Gauges& gauges);

}  // namespace sluice
