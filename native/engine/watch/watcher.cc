#include "watcher.h"

#include <time.h>

#include <algorithm>

#include "tracing.h"

namespace sluice {
namespace {

constexpr unsigned kKnown = 1024;  // packets of bursts before, a power of two
constexpr uint32_t kIdsAWorker = 1u << 27;

uint64_t read_clock(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace

Watcher::Watcher(unsigned worker) : worker_(worker), known_(kKnown) {
  verdicts_.reserve(size_t{4} * kBurst);
  arrived_.reserve(size_t{kMostWatches} * kBurst);
  leaving_.reserve(size_t{kMostWatches} * 2 * (kBurst + kGroup));
}

Watcher::Now Watcher::now() {
  return {read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_REALTIME)};
}

void Watcher::add(const Watch& watch) {
  if (count_ < kMostWatches) watches_[count_++] = &watch;
}

void Watcher::remove(const Watch& watch) {
  for (unsigned i = 0; i < count_; ++i) {
    if (watches_[i] == &watch) watches_[i] = watches_[--count_];
  }
}

void Watcher::end_if_due(const Now& now) {
  for (unsigned i = 0; i < count_;) {
    const Watch& watch = *watches_[i];
    Watch::Lane& lane = *watch.lanes[worker_];
    const bool enough = watch.spec.count != 0 && lane.written >= watch.spec.count;
    if (!enough && now.steady < watch.spec.until_ns) {
      ++i;
      continue;
    }
    lane.ended.store(true, std::memory_order_release);
    watches_[i] = watches_[--count_];
  }
}

void Watcher::receive(Worker& worker, uint16_t port, rte_mbuf** packets, uint16_t n,
                      const Now& now) {
  end_if_due(now);
  for (unsigned i = 0; i < count_; ++i) {
    const Watch& watch = *watches_[i];
    if (watch.spec.kind == WatchSpec::Kind::capture && watch.spec.in) {
      capture(watch, port, packets, n, false, now);
    }
  }
  run(worker, port, packets, n, false, now);
}

void Watcher::receive_handed_off(Worker& worker, rte_mbuf** packets, uint16_t n, const Now& now) {
  end_if_due(now);
  run(worker, 0, packets, n, true, now);
}

// Packets that nobody traces go through together, in order.
void Watcher::run(Worker& worker, uint16_t port, rte_mbuf** packets, uint16_t n, bool handed_off,
                  const Now& now) {
  const bool live = worker.verdicts_ == nullptr;  // replay has verdicts and numbers of its own
  if (live) {
    verdicts_.clear();
    worker.set_verdicts(&verdicts_);
    for (uint16_t i = 0; i < n; ++i) packets[i]->hash.fdir.hi = id_of(next_id_ + i);
    next_id_ += n;
  }
  is_running_ = true;
  auto together = [&](uint16_t from, uint16_t to) {
    if (from == to) return;
    if (handed_off) {
      worker.receive_handed_off(packets + from, static_cast<uint16_t>(to - from));
    } else {
      worker.receive(port, packets + from, static_cast<uint16_t>(to - from));
    }
  };
  Tracing tracing(worker, worker_, now.epoch);
  uint16_t done = 0;
  for (uint16_t i = 0; i < n; ++i) {
    Watch::Lane* lanes[kMostWatches];
    const Tracing::Sight sight = tracing.look(*packets[i], handed_off ? packets[i]->port : port);
    const unsigned wanted = wanted_by(tracing, sight, sight.port, now, lanes);
    if (wanted == 0) continue;
    together(done, i);
    tracing.run(sight, port, packets[i], handed_off, lanes, wanted);
    done = static_cast<uint16_t>(i + 1);
  }
  together(done, n);
  is_running_ = false;
  if (live) {
    worker.set_verdicts(nullptr);
    for (const Verdict& verdict : verdicts_) {
      known_[verdict.source % kKnown] = {verdict.source, static_cast<uint8_t>(verdict.end)};
    }
    verdicts_.clear();
  }
  settle_arrived();
  publish();
}

unsigned Watcher::wanted_by(const Tracing& tracing, const Tracing::Sight& sight, uint16_t port,
                            const Now& now, Watch::Lane** lanes) {
  unsigned n = 0;
  for (unsigned i = 0; i < count_; ++i) {
    const Watch& watch = *watches_[i];
    if (watch.spec.kind != WatchSpec::Kind::trace) continue;
    Watch::Lane& lane = *watch.lanes[worker_];
    lane.counts[port].seen.add();
    if (!tracing.matches(watch.spec.flow, sight)) continue;
    if (lane.admit(watch.spec, now.steady, port, tracing.record_bytes(sight))) lanes[n++] = &lane;
  }
  return n;
}

void Watcher::capture(const Watch& watch, uint16_t port, rte_mbuf** packets, uint16_t n, bool out,
                      const Now& now) {
  if ((watch.spec.ports >> port & 1) == 0) return;
  Watch::Lane& lane = *watch.lanes[worker_];
  for (uint16_t i = 0; i < n; ++i) {
    rte_mbuf* const frame = packets[i];
    lane.counts[port].seen.add();
    if (!watch.spec.filter->takes(frame)) continue;
    const uint32_t wire = rte_pktmbuf_pkt_len(frame);
    const uint32_t kept = std::min(wire, watch.spec.bytes);
    const uint32_t filled = padded(kept);
    const auto bytes = static_cast<uint32_t>(sizeof(FrameRecord)) + filled;
    if (!lane.admit(watch.spec, now.steady, port, bytes)) continue;
    const FrameRecord record{bytes, RecordKind::frame, now.epoch, port, out, kNoEnd, wire, kept, 0};
    const uint32_t id = out ? frame->hash.fdir.hi : id_of(next_id_ + i);
    const Sighting sighting{&watch, lane.spool.at(), port, i, id};
    lane.spool.write(&record, sizeof record);
    uint32_t left = kept;
    for (const rte_mbuf* part = frame; part != nullptr && left != 0; part = part->next) {
      const uint32_t here = std::min<uint32_t>(left, part->data_len);
      lane.spool.write(rte_pktmbuf_mtod(part, const void*), here);
      left -= here;
    }
    constexpr uint8_t kZero[8]{};
    lane.spool.write(kZero, filled - kept + left);
    (out ? leaving_ : arrived_).push_back(sighting);
  }
}

void Watcher::settle_arrived() {
  for (const Sighting& one : arrived_) {
    const uint8_t end = end_of(one.id);
    patch_end(one, end == kNoEnd ? kHandedOff : end);
  }
  arrived_.clear();
}

void Watcher::patch_end(const Sighting& one, uint8_t end) {
  one.watch->lanes[worker_]->spool.patch(one.at + offsetof(FrameRecord, end), &end, 1);
}

// Also while its own burst is still on its way.
uint8_t Watcher::end_of(uint32_t id) const {
  if (id == 0) return kNoEnd;
  for (auto at = verdicts_.rbegin(); at != verdicts_.rend(); ++at) {
    if (at->source == id) return static_cast<uint8_t>(at->end);
  }
  const Known& known = known_[id % kKnown];
  return known.id == id ? known.end : kNoEnd;
}

void Watcher::leaving(uint16_t port, rte_mbuf** packets, uint16_t n, const Now& now) {
  for (unsigned i = 0; i < count_; ++i) {
    const Watch& watch = *watches_[i];
    if (watch.spec.kind == WatchSpec::Kind::capture && watch.spec.out) {
      capture(watch, port, packets, n, true, now);
    }
  }
  for (const Sighting& one : leaving_) patch_end(one, end_of(one.id));
}

// Frames that the device has not taken were the last of theirs: their records go back.
void Watcher::left(uint16_t n) {
  for (auto one = leaving_.rbegin(); one != leaving_.rend(); ++one) {
    if (one->index >= n) one->watch->lanes[worker_]->take_back(one->port, one->at);
  }
  leaving_.clear();
  if (!is_running_) publish();
}

void Watcher::publish() {
  for (unsigned i = 0; i < count_; ++i) watches_[i]->lanes[worker_]->spool.publish();
}

uint32_t Watcher::id_of(uint32_t number) const {
  return (worker_ + 1) * kIdsAWorker + number % kIdsAWorker;
}

}  // namespace sluice
