// Connection sync for the Engine and Replay objects: options in, figures out.
#pragma once

#include "arguments.h"
#include "engine/live/engine.h"
#include "engine/sync/exchange.h"

namespace sluice {

sync::Settings read_sync_settings(const Argument& settings);
SyncOptions read_sync_options(const Argument& options);

// Null: it doesn't run.
Napi::Value sync_object(Napi::Env env, const Engine& engine);
// The figures by name, workers' summed.
Napi::Object sync_figures(Napi::Env env, const sync::ExchangeFigures& exchange,
                          const std::vector<sync::Feeds>& workers);

}  // namespace sluice
