// The floor: macswap alone on the same port, between two turns of the director's loop and on its
// thread, so that both are measured side by side.
#pragma once

#include "director.h"

namespace sluice::bench {

class Floor {
 public:
  Floor(const BenchPort& port, Director& director) : port_(port), director_(director) {}
  Floor(const Floor&) = delete;

  // What the port receives now is swapped, and nothing the director's.
  bool runs() const { return running_; }
  // Both from the receive callback. enter() takes effect after this turn of the director, leave()
  // after this turn of the floor; until then the callback makes nothing.
  void enter() { director_.post(std::make_unique<Turns>(*this)); }
  void leave() { running_ = false; }

 private:
  struct Turns final : Letter {
    explicit Turns(Floor& floor) : floor(floor) {}
    void read(Worker&) noexcept override {
      floor.running_ = true;
      while (floor.running_) swap_macs(floor.port_.device());
    }
    void answer(bool) override {}
    Floor& floor;
  };

  const BenchPort& port_;
  Director& director_;
  bool running_ = false;
};

}  // namespace sluice::bench
