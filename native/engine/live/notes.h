// Workers' notes as log lines, each kind at most once in a while with the number of times.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "../sink.h"
#include "event.h"

namespace sluice {

class Notes {
 public:
  // `ports`: their names.
  Notes(EventHandler& handler, std::vector<std::string> ports)
      : handler_(handler), ports_(std::move(ports)), found_(ports_.size()) {}

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
  static constexpr unsigned kKinds = static_cast<unsigned>(Note::count_);

  void say_if_due(unsigned kind, uint64_t now_ms);
  void say_of_port(Note what, uint32_t port);

  EventHandler& handler_;
  const std::vector<std::string> ports_;
  std::vector<unsigned> found_;  // by port: a bit a kind, since each worker finds out for itself
  Pending pending_[kKinds];
};

}  // namespace sluice
