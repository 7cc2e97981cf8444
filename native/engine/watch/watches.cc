#include "watches.h"

#include <algorithm>
#include <cmath>

#include "../error.h"

namespace sluice {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
// Whoever has not read the rest by then will not.
constexpr uint64_t kGraceNs = 60 * kSecond;
constexpr uint32_t kTraceSpool = 1u << 18;
constexpr uint32_t kCaptureSpool = 1u << 22;
constexpr size_t kPageBytes = 1u << 20;  // a worker

class Change final : public Letter {
 public:
  Change(Watcher& watcher, std::shared_ptr<const Watch> watch, bool begins)
      : watcher_(watcher), watch_(std::move(watch)), begins_(begins) {}
  void read(Worker&) noexcept override {
    begins_ ? watcher_.add(*watch_) : watcher_.remove(*watch_);
  }
  void answer(bool) override {}

 private:
  Watcher& watcher_;
  const std::shared_ptr<const Watch> watch_;  // lives for as long as a worker may look at it
  const bool begins_;
};

// Bytes of the whole records at the front of `bytes`.
size_t whole_records(const std::vector<uint8_t>& bytes) {
  size_t at = 0;
  while (at + 8 <= bytes.size()) {
    const auto length = load<uint32_t>(bytes.data() + at);
    if (at + length > bytes.size()) break;
    at += length;
  }
  return at;
}

}  // namespace

unsigned Watches::start(const WatchRequest& request, uint64_t steady_ns) {
  reap(steady_ns);
  if (open_.size() >= Watcher::kMostWatches) {
    throw Error("ERR_NATIVE_WATCH_BUSY",
                std::to_string(open_.size()) + " traces or captures are running already");
  }
  const bool trace = request.kind == WatchSpec::Kind::trace;
  const auto workers = static_cast<uint32_t>(watchers_.size());
  WatchSpec spec;
  spec.kind = request.kind;
  spec.flow = request.flow;
  if (!trace) spec.filter = std::make_shared<Filter>(request.expression);
  spec.ports = request.ports;
  spec.in = request.in;
  spec.out = request.out;
  spec.bytes = request.bytes;
  spec.rate = std::max(1u, (request.rate + workers - 1) / workers);
  spec.count = request.count;
  spec.until_ns = steady_ns + static_cast<uint64_t>(std::llround(request.seconds * kSecond));
  spec.spool = trace ? kTraceSpool : kCaptureSpool;
  auto watch = std::make_shared<Watch>(std::move(spec), workers);
  for (unsigned w = 0; w < workers; ++w) {
    post_(w, std::make_unique<Change>(*watchers_[w], watch, true));
  }
  open_[++last_] = {std::move(watch), std::vector<std::vector<uint8_t>>(workers)};
  return last_;
}

Watches::Open& Watches::open(unsigned number) {
  const auto found = open_.find(number);
  if (found == open_.end()) {
    throw Error("ERR_NATIVE_WATCH_GONE", "watch " + std::to_string(number) + " has been stopped");
  }
  return found->second;
}

WatchPage Watches::read(unsigned number, uint64_t steady_ns) {
  Open& one = open(number);
  WatchPage page;
  page.machine_code = one.watch->spec.filter && one.watch->spec.filter->is_machine_code();
  page.ports.resize(ports_);
  // An idle worker finds out with its next packet only.
  page.ended = true;
  for (size_t w = 0; w < one.watch->lanes.size(); ++w) {
    Watch::Lane& lane = *one.watch->lanes[w];
    const bool ended =
        lane.ended.load(std::memory_order_acquire) || steady_ns >= one.watch->spec.until_ns;
    std::vector<uint8_t>& bytes = one.rests[w];
    const bool all = lane.spool.read(bytes, kPageBytes) < kPageBytes;
    if (!ended || !all) page.ended = false;
    const auto whole = bytes.begin() + static_cast<std::ptrdiff_t>(whole_records(bytes));
    page.records.insert(page.records.end(), bytes.begin(), whole);
    bytes.erase(bytes.begin(), whole);
    for (size_t port = 0; port < ports_; ++port) {
      const WatchCounts& from = lane.counts[port];
      WatchPage::Counts& to = page.ports[port];
      to.seen += from.seen.value();
      to.matched += from.matched.value();
      to.taken += from.taken.value();
      to.over_rate += from.over_rate.value();
      to.no_room += from.no_room.value();
    }
  }
  return page;
}

void Watches::stop(unsigned number) {
  const auto found = open_.find(number);
  if (found == open_.end()) return;
  for (unsigned w = 0; w < watchers_.size(); ++w) {
    post_(w, std::make_unique<Change>(*watchers_[w], found->second.watch, false));
  }
  open_.erase(found);
}

void Watches::reap(uint64_t steady_ns) {
  std::vector<unsigned> forgotten;
  for (const auto& [number, one] : open_) {
    if (steady_ns >= one.watch->spec.until_ns + kGraceNs) forgotten.push_back(number);
  }
  for (unsigned number : forgotten) stop(number);
}

}  // namespace sluice
