#include "routing.h"

#include <algorithm>

namespace sluice {
namespace {

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// Each address once.
template <class Address, class Route>
std::vector<Address> with_gateways(std::vector<Address> all,
                                   std::initializer_list<const std::vector<Route>*> parts) {
  for (const std::vector<Route>* part : parts) {
    for (const Route& route : *part) {
      if (route.via != Address{}) all.push_back(route.via);
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

template <class Input>
void append_all(Input& to, const Input& from) {
  append(to.routes, from.routes);
  append(to.neighbours, from.neighbours);
  append(to.addresses, from.addresses);
}

}  // namespace

Routing::Routing(std::vector<FibPort> ports, FibInput own, Publisher& publisher)
    : ports_(std::move(ports)), own_(std::move(own)), publisher_(publisher) {
  const std::lock_guard lock(mutex_);
  publish();
}

void Routing::set_static(const FibInput& snapshot_part, std::vector<be32> wanted,
                         std::vector<WideAddress> wanted6) {
  const std::lock_guard lock(mutex_);
  servers_ = std::move(wanted);
  servers6_ = std::move(wanted6);
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
  return with_gateways(servers_, {&static_.routes, &kernel_.routes});
}

std::vector<WideAddress> Routing::wanted6() const {
  const std::lock_guard lock(mutex_);
  return with_gateways(servers6_, {&static_.six.routes, &kernel_.six.routes});
}

void Routing::publish() {
  FibInput input;
  input.ports = ports_;
  // The last one given wins in the Fib.
  for (const FibInput* part : {&kernel_, &static_}) {
    append_all(input, *part);
    append_all(input.six, part->six);
  }
  append_all(input, own_);
  append_all(input.six, own_.six);
  // 0 is never a generation: a record that has not looked its next hop up yet may hold it.
  if (++generation_ == 0) generation_ = 1;
  fib_ = std::make_shared<const Fib>(input, generation_);
  publisher_.publish(fib_);
}

}  // namespace sluice
