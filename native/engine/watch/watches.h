// Watches by number: the control thread's side. Nobody's environment is referred to; whoever knows
// a number reads, and a watch that nobody stops ends by its own time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../live/mailbox.h"
#include "watch.h"
#include "watcher.h"

namespace sluice {

// What a caller asks for; bounds are checked where it comes in.
struct WatchRequest {
  WatchSpec::Kind kind = WatchSpec::Kind::trace;
  FlowFilter flow;
  std::string expression;
  uint32_t ports = 0;
  bool in = true, out = true;
  uint32_t bytes = 128;
  uint32_t rate = 1000;  // a second, of all workers together
  uint64_t count = 0;
  double seconds = 10;
};

struct WatchPage {
  std::vector<uint8_t> records;  // whole ones
  bool ended = false;            // workers are done, and all is read
  bool machine_code = false;
  // By port, workers summed.
  struct Counts {
    uint64_t seen = 0, matched = 0, taken = 0, over_rate = 0, no_room = 0;
  };
  std::vector<Counts> ports;
};

class Watches {
 public:
  // Sends a letter to a worker.
  using Post = std::function<void(unsigned worker, std::unique_ptr<Letter>)>;

  Watches(std::vector<Watcher*> watchers, size_t ports, Post post)
      : watchers_(std::move(watchers)), ports_(ports), post_(std::move(post)) {}

  // Its number. Throws ERR_NATIVE_FILTER, ERR_NATIVE_WATCH_BUSY.
  unsigned start(const WatchRequest& request, uint64_t steady_ns);
  // Throws ERR_NATIVE_WATCH_GONE for a number that is no watch's.
  WatchPage read(unsigned number, uint64_t steady_ns);
  void stop(unsigned number);

 private:
  struct Open {
    std::shared_ptr<Watch> watch;
    std::vector<std::vector<uint8_t>> rests;  // by worker: a record's beginning
  };
  Open& open(unsigned number);
  void reap(uint64_t steady_ns);

  const std::vector<Watcher*> watchers_;
  const size_t ports_;
  const Post post_;
  std::map<unsigned, Open> open_;
  unsigned last_ = 0;
};

}  // namespace sluice
