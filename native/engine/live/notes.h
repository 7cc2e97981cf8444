// Workers' notes as log lines, each kind at most once in a while with the number of times.
#pragma once

#include <cstdint>

#include "../sink.h"
#include "event.h"

namespace sluice {

class Notes {
 public:
  explicit Notes(EventHandler& handler) : handler_(handler) {}

  void add(Note what, uint32_t count, uint32_t service_slot, uint64_t now_ms);
  // Says what has been held back and is due.
  void tick(uint64_t now_ms);

 private:
  struct Pending {
    uint64_t count = 0;
    uint32_t slot = 0;
    uint64_t said_ms = 0;
    bool said = false;
  };
  static constexpr unsigned kKinds = 8;

  void say_if_due(unsigned kind, uint64_t now_ms);

  EventHandler& handler_;
  Pending pending_[kKinds];
};

}  // namespace sluice
