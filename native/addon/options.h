// Option objects of src/native.ts as the engine's structs.
#pragma once

#include "arguments.h"
#include "engine/live/engine.h"
#include "engine/replay.h"

namespace sluice {

Limits read_limits(const Argument& limits);
EngineOptions read_engine_options(const Argument& options);
ReplayOptions read_replay_options(const Argument& options);

}  // namespace sluice
