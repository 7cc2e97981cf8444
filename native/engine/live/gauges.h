// How full things are that the counters do not tell: packet buffers, and local ports by set. A
// worker surveys its own sets when it gets the letter, some at a time; readers see the last survey
// that came to its end.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "../table/local_ports.h"
#include "mailbox.h"
#include "wiring.h"

namespace sluice {

struct Gauges {
  unsigned mbufs = 0, mbufs_in_use = 0;
  struct Ports {
    LocalPorts::Fill fullest;  // used: 0 where no set has a port taken
    uint32_t a_set = 0;        // ports of the worker's share
  };
  std::vector<Ports> ports;  // by worker
};

class Surveys {
 public:
  explicit Surveys(unsigned workers) : workers_(workers) {
    for (unsigned w = 0; w < workers; ++w) workers_[w] = std::make_shared<Survey>();
  }
  // What is known, and asks each worker on.
  std::vector<Gauges::Ports> read(Wiring& wiring);

 private:
  // Of one worker; touched by its thread only while a letter is on its way.
  struct Survey {
    uint32_t at = 0;
    LocalPorts::Fill so_far;
    bool ended = false;
    std::mutex mutex;  // below: between the slow path and the control thread
    bool asked = false;
    Gauges::Ports known;
  };
  class Letter;

  std::vector<std::shared_ptr<Survey>> workers_;
};

}  // namespace sluice
