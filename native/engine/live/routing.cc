#include "routing.h"

#include <algorithm>

namespace sluice {
namespace {

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

Routing::Routing(std::vector<FibPort> ports, std::vector<FibAddress> addresses,
                 Publisher& publisher)
    : ports_(std::move(ports)), addresses_(std::move(addresses)), publisher_(publisher) {
  const std::lock_guard lock(mutex_);
  publish();
}

void Routing::set_static(const FibInput& snapshot_part, std::vector<be32> wanted) {
  const std::lock_guard lock(mutex_);
  servers_ = std::move(wanted);
  // A new Fib makes every connection look its next hop up again: only when there is a reason.
  if (!(snapshot_part == static_)) {
    static_ = snapshot_part;
    publish();
  }
  configurations_.fetch_add(1, std::memory_order_relaxed);
}

void Routing::set_kernel(FibInput kernel_part) {
  const std::lock_guard lock(mutex_);
  kernel_ = std::move(kernel_part);
  publish();
}

std::shared_ptr<const Fib> Routing::current() const {
  const std::lock_guard lock(mutex_);
  return fib_;
}

std::vector<be32> Routing::wanted() const {
  const std::lock_guard lock(mutex_);
  std::vector<be32> all = servers_;
  for (const FibInput* part : {&static_, &kernel_}) {
    for (const FibRoute& route : part->routes) {
      if (route.via != 0) all.push_back(route.via);
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

void Routing::publish() {
  FibInput input;
  input.ports = ports_;
  // The last one given wins in the Fib.
  for (const FibInput* part : {&kernel_, &static_}) {
    append(input.routes, part->routes);
    append(input.neighbours, part->neighbours);
    append(input.addresses, part->addresses);
  }
  append(input.addresses, addresses_);
  // 0 is never a generation: a record that has not looked its next hop up yet may hold it.
  if (++generation_ == 0) generation_ = 1;
  fib_ = std::make_shared<const Fib>(input, generation_);
  publisher_.publish(fib_);
}

}  // namespace sluice
