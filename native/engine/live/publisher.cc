#include "publisher.h"

#include <cstdlib>

#include "../error.h"

namespace sluice {

Publisher::Publisher(unsigned workers) {
  const size_t bytes = (rte_rcu_qsbr_get_memsize(workers) + 63) & ~size_t{63};
  rcu_ = static_cast<rte_rcu_qsbr*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, bytes));
  if (rcu_ == nullptr || rte_rcu_qsbr_init(rcu_, workers) != 0) {
    std::free(rcu_);
    throw Error("ERR_NATIVE_MEMORY", "RCU variable");
  }
  // For good: one that unregisters is not asked again, and what it has read was seen to be over by
  // DPDK's word alone, which the thread sanitizer doesn't hear.
  for (unsigned worker = 0; worker < workers; ++worker) {
    rte_rcu_qsbr_thread_register(rcu_, worker);
  }
}

Publisher::~Publisher() {
  std::free(rcu_);
}

void Publisher::enter(unsigned worker) {
  rte_rcu_qsbr_thread_online(rcu_, worker);
}

void Publisher::leave(unsigned worker) {
  rte_rcu_qsbr_thread_offline(rcu_, worker);
}

template <class T>
void Publisher::exchange(std::atomic<const T*>& pointer, std::shared_ptr<const T>& owner,
                         std::shared_ptr<const T> next) {
  const std::lock_guard lock(mutex_);
  pointer.store(next.get(), std::memory_order_release);
  if (owner) retired_.push_back({rte_rcu_qsbr_start(rcu_), std::move(owner)});
  owner = std::move(next);
}

void Publisher::publish(std::shared_ptr<const Snapshot> snapshot) {
  exchange(snapshot_, snapshot_owner_, std::move(snapshot));
  reclaim();
}

void Publisher::publish(std::shared_ptr<const Fib> fib) {
  exchange(fib_, fib_owner_, std::move(fib));
  reclaim();
}

void Publisher::reclaim() {
  std::vector<Retired> passed;  // before the lock: destroyed after it is given back
  const std::lock_guard lock(mutex_);
  std::erase_if(retired_, [&](Retired& r) {
    if (rte_rcu_qsbr_check(rcu_, r.token, false) != 1) return false;
    passed.push_back(std::move(r));
    return true;
  });
}

std::shared_ptr<const Snapshot> Publisher::current() const {
  const std::lock_guard lock(mutex_);
  return snapshot_owner_;
}

size_t Publisher::waiting() const {
  const std::lock_guard lock(mutex_);
  return retired_.size();
}

}  // namespace sluice
