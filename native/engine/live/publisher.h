// The two pointers that workers read, and when what they replaced may be freed (librte_rcu QSBR).
// A writer never waits for a worker: old objects are kept until every worker has passed a
// quiescent state, and looked at again by reclaim().
#pragma once

#include <rte_rcu_qsbr.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "../snapshot.h"
#include "../table/fib.h"

namespace sluice {

class Publisher {
 public:
  explicit Publisher(unsigned workers);
  ~Publisher();  // after the last worker has ended
  Publisher(const Publisher&) = delete;

  // Workers. What these return stays valid until the worker's next quiescent().
  const Snapshot* snapshot() const { return snapshot_.load(std::memory_order_acquire); }
  const Fib* fib() const { return fib_.load(std::memory_order_acquire); }
  void enter(unsigned worker);
  void quiescent(unsigned worker) { rte_rcu_qsbr_quiescent(rcu_, worker); }
  void leave(unsigned worker);

  // Writers, from any thread.
  void publish(std::shared_ptr<const Snapshot> snapshot);
  void publish(std::shared_ptr<const Fib> fib);
  void reclaim();
  size_t waiting() const;
  // What the last publication was; nullptr before the first.
  std::shared_ptr<const Snapshot> current() const;

 private:
  struct Retired {
    uint64_t token;
    std::shared_ptr<const void> object;
  };
  template <class T>
  void exchange(std::atomic<const T*>& pointer, std::shared_ptr<const T>& owner,
                std::shared_ptr<const T> next);

  std::atomic<const Snapshot*> snapshot_{nullptr};
  std::atomic<const Fib*> fib_{nullptr};
  rte_rcu_qsbr* rcu_;
  mutable std::mutex mutex_;  // of writers
  std::shared_ptr<const Snapshot> snapshot_owner_;
  std::shared_ptr<const Fib> fib_owner_;
  std::vector<Retired> retired_;
};

}  // namespace sluice
