// Watches for JavaScript, of the live engine and of a replay alike: watchStart, watchRead and
// watchStop of src/native.ts.
#pragma once

#include <napi.h>

#include "engine/watch/watches.h"

namespace sluice {

Napi::Value start_watch(const Napi::CallbackInfo& info, Watches& watches, uint64_t steady_ns);
Napi::Value read_watch(const Napi::CallbackInfo& info, Watches& watches, uint64_t steady_ns);
void stop_watch(const Napi::CallbackInfo& info, Watches& watches);

}  // namespace sluice
