// What the engine tells the control plane without being asked: from the slow path's thread, or the
// sync thread, each with a handler of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace sluice {

struct Event {
  enum class Type { log, link };
  enum class Level { error, warn, info, debug };

  Type type = Type::log;
  Level level = Level::info;
  std::string message;
  std::string code;           // "" if it has none
  uint32_t count = 0;         // times it happened, 0: does not apply
  int64_t service_slot = -1;  // of the last time, -1: does not apply
};

using EventHandler = std::function<void(Event)>;

}  // namespace sluice
