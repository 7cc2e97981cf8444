// Where the Fib comes from: the configuration's static part and the kernel's, static entries
// winning. Two threads feed it: the control thread by publish, the slow path by its netlink mirror.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "../table/fib.h"
#include "publisher.h"

namespace sluice {

class Routing {
 public:
  // `ports` in port order; `own`: addresses of ports without a twin, whose kernel part stays empty.
  Routing(std::vector<FibPort> ports, FibInput own, Publisher& publisher);

  // Both make and publish a new Fib where that says something new. `snapshot_part.ports` is empty.
  void set_static(const FibInput& snapshot_part, std::vector<be32> wanted,
                  std::vector<WideAddress> wanted6);
  void set_kernel(FibInput kernel_part);

  std::shared_ptr<const Fib> current() const;
  // Addresses whose next hops should be resolved before a packet needs them: the real servers and
  // every gateway.
  std::vector<be32> wanted() const;
  std::vector<WideAddress> wanted6() const;
  // Differs after each publication of the static part.
  unsigned configurations() const { return configurations_.load(std::memory_order_relaxed); }

 private:
  void publish();

  mutable std::mutex mutex_;
  const std::vector<FibPort> ports_;
  const FibInput own_;
  Publisher& publisher_;
  FibInput static_, kernel_;
  std::vector<be32> servers_;
  std::vector<WideAddress> servers6_;
  std::shared_ptr<const Fib> fib_;
  uint16_t generation_ = 0;
  std::atomic<unsigned> configurations_{0};
};

}  // namespace sluice
