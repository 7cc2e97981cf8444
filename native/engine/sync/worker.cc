// The worker's part of connection synchronisation, between bursts and in bounded steps: what a peer
// is to know goes into the ring, see feed.h, and what it has told becomes connections, see
// adopt.cc. The same for both families.
//
// Who carries a connection's traffic tells of it. An adopted one is the peer's until a packet of it
// comes here, which finds no next hop cached and so comes by note_use(): from then on it is told
// from here. Nothing else has to be done when a virtual address moves.
#include <algorithm>
#include <functional>

#include "../table/worth.h"
#include "../worker6.h"

namespace sluice {

using sync::Tale;

namespace {

// Of each kind a turn: some 10 us at the most when every record misses the cache.
constexpr unsigned kTellings = 64;
constexpr unsigned kSwept = 256;
// All templates are looked at in so many ms, and a thousand of them take at least one.
constexpr uint32_t kTemplatesMs = 1'000;
constexpr uint32_t kAhead = 8;  // records asked for before they are read: 8 × 30 ns a record

template <class Family>
uint8_t flags_of(const Connection<Family>& c) {
  uint8_t flags = 0;
  if (c.has(kServerIsnKnown)) flags |= sync::kIsnKnown;
  if (c.answered != 0) flags |= sync::kAnswered;
  return flags;
}

}  // namespace

sync::Feeds Worker::feeds() {
  return {&feed(), &six_->feed(), &call_feed_};
}

void Worker::start_sync(const sync::FeedOptions& options) {
  feed().start(options, now_ms_);
  six_->feed().start(options, now_ms_);
  call_feed_.sweep = feed().templates;
}

void Worker::stop_sync() {
  feed().stop();
  six_->feed().stop();
}

void Worker::keep_notes() {
  feed().keep_notes();
  six_->feed().keep_notes();
}

bool Worker::is_told() const {
  return !feed_.in.empty() || six_->is_told() || !call_feed_.in.empty();
}

bool Worker::synchronise() {
  const bool four = synchronise_half();
  // Most directors have none of IPv6: a look is all that it costs them.
  const bool six = six_->has_nothing_to_do() || six_->synchronise_half();
  const bool calls = synchronise_calls();
  return four && six && calls;
}

void Worker::leave_estates(std::unique_ptr<sync::Estate>& four,
                           std::unique_ptr<sync::Estate6>& six) {
  leave_estate(four);
  six_->leave_estate(six);
}

bool Worker::settle_estate() {
  const bool four = settle_half();
  const bool six = six_->settle_half();
  return four && six;
}

// True when there is nothing left that can be done now.
template <class Half, class Family>
bool SyncHalf<Half, Family>::synchronise_half() {
  const bool adopted = adopt_told();
  const bool told = tell_due();
  const bool kept = tell_templates();
  const bool swept = tell_swept();
  const bool left = feed().estate == nullptr || bequeath();
  return adopted && told && kept && swept && left;
}

// Without any record, ever, nothing is queued or due either.
template <class Half, class Family>
bool SyncHalf<Half, Family>::has_nothing_to_do() const {
  const sync::FeedOf<Family>& own = feed();
  return table().high_water() == 0 && own.in.empty() && own.estate == nullptr &&
         !own.sweep.everything && !own.templates.everything &&
         own.sweep.number == own.sweeps_wanted.load(std::memory_order_acquire);
}

// --- telling

template <class Half, class Family>
void SyncHalf<Half, Family>::note_change(uint32_t record) {
  uint8_t& notes = feed().notes(record);
  notes &= static_cast<uint8_t>(~sync::kClean);
  if (!feed().options().tells || (notes & (sync::kQueued | sync::kTheirs)) != 0) return;
  const State state = table()[record].state;
  // Handshakes that come to nothing are nobody's business.
  if (!(notes & sync::kTold) && !is_established(state) && state != State::udp) return;
  if (feed().soon.add(record, now_ms())) {
    notes |= sync::kQueued;
  } else {
    tell_peer(record, Tale::live);
  }
}

// A packet of the connection is being forwarded, for the first time since it was adopted or since
// next hops changed.
template <class Half, class Family>
void SyncHalf<Half, Family>::note_use(const Flow& c) {
  const Flow* first = &table()[0];
  if (std::less<>{}(&c, first) || !std::less<>{}(&c, first + table().high_water())) return;
  const auto record = static_cast<uint32_t>(&c - first);
  uint8_t& notes = feed().notes(record);
  if ((notes & sync::kTheirs) == 0) return;
  notes &= static_cast<uint8_t>(~sync::kTheirs);
  note_change(record);
}

// Timeouts need not be told: the peer's record has the same one, from the same packet on.
template <class Half, class Family>
void SyncHalf<Half, Family>::note_end(uint32_t record, Extra why) {
  uint8_t& notes = feed().notes(record);
  const bool tell = (notes & (sync::kTold | sync::kTheirs)) == sync::kTold &&
                    why != Extra::connections_expired && feed().options().tells;
  if (tell) tell_peer(record, Tale::end);
  if (notes & sync::kBequeathed) bequeath_end(record);
  notes = 0;
}

template <class Half, class Family>
auto SyncHalf<Half, Family>::as_told(uint32_t record) const -> Told {
  const Flow& c = table()[record];
  Told told{};
  told.request = c.request();
  told.reply = c.reply();
  told.service = c.service;
  told.server = c.server;
  if (c.state == State::udp) {
    told.age_ms = c.last_seen_ms - c.born_ms;
  } else {
    told.server_isn1 = c.server_isn1;
  }
  told.idle_ms = self().idle_ms(c);
  told.protocol = c.protocol();
  told.mode = c.mode();
  told.state = c.state;
  told.flags = flags_of(c);
  told.packets = c.packets;
  if (is_proxied(c)) self().describe_splice(record, told);
  return told;
}

template <class Half, class Family>
void SyncHalf<Half, Family>::tell_peer(uint32_t record, Tale tale) {
  Told told = as_told(record);
  told.told_ms = static_cast<uint32_t>(now_ms());
  told.tale = tale;
  if (!feed().out.push(told)) return sync::tally(feed().figures.overflowed);
  feed().notes(record) |= sync::kTold;
  sync::tally(feed().figures.told);
}

// What was noted `after_ms` ago, as it is now. UDP has to have sent a second packet by then, or by
// the time that worth.h calls lasting; TCP to be still established, unless the peer knows it.
template <class Half, class Family>
bool SyncHalf<Half, Family>::tell_due() {
  const auto ask_for = [this](uint32_t record) {
    if (record == kNone) return;
    table().prefetch_record(record);
    feed().prefetch_notes(record);
  };
  for (sync::Queue* queue : {&feed().soon, &feed().later}) {
    const bool first_time = queue == &feed().soon;
    const uint32_t wait = first_time ? feed().options().after_ms : kLastingMs;
    for (unsigned i = 0;; ++i) {
      if (i == kTellings) return false;
      const uint32_t record = queue->take(now_ms(), wait);
      if (record == kNone) break;
      ask_for(queue->coming(kAhead));
      uint8_t& notes = feed().notes(record);
      if ((notes & sync::kQueued) == 0) continue;  // ended meanwhile
      notes &= static_cast<uint8_t>(~sync::kQueued);
      if (notes & sync::kTheirs || !feed().options().tells) continue;
      const Flow& c = table()[record];
      if ((notes & sync::kTold) == 0) {
        if (c.state == State::udp && c.last_seen_ms == c.born_ms) {
          if (first_time && feed().later.add(record, now_ms())) notes |= sync::kQueued;
          continue;
        }
        if (c.state != State::udp && !is_established(c.state)) continue;
      }
      tell_peer(record, Tale::live);
    }
  }
  return true;
}

template <class Half, class Family>
bool SyncHalf<Half, Family>::tell_swept() {
  const sync::FeedOptions& options = feed().options();
  if (!options.tells) return true;
  typename sync::FeedOf<Family>::Sweep& sweep = feed().sweep;
  const uint32_t wanted = feed().sweeps_wanted.load(std::memory_order_acquire);
  if (wanted != sweep.number) {
    sweep = {0, true, now_ms(), wanted};
    feed().templates = sweep;
    self().tell_all_calls(sweep);
  }
  const uint32_t end = table().high_water();
  const uint32_t period = sync::sweep_ms(options, snapshot().timeouts());
  const uint64_t passed = now_ms() - sweep.started_ms;
  uint32_t target = end;
  if (!sweep.everything && passed < period) {
    target = static_cast<uint32_t>(uint64_t{end} * passed / period);
  }
  // Changes come first: a sweep leaves them room, and can wait.
  const uint32_t reserve = sync::FeedOf<Family>::kRing / (sweep.everything ? 2 : 4);
  const uint32_t room = feed().out.room_now();
  const uint32_t budget = std::min(kSwept, room > reserve ? room - reserve : 0);
  uint32_t seen = 0;
  for (; sweep.at < target && seen < budget; ++sweep.at, ++seen) {
    if (sweep.at + kAhead < end) table().prefetch_record(sweep.at + kAhead);
    const Flow& c = table()[sweep.at];
    const uint8_t notes = feed().notes(sweep.at);
    if (c.state == State::none || c.is_signpost() || notes & sync::kTheirs || self().is_idle(c))
      continue;
    // Its packets go to the other director, which knows better.
    const Service* service = snapshot().service_of_slot(c.service);
    if (service == nullptr || service->has(wire::kStandby)) continue;
    if (notes & sync::kTold) {
      // What has been silent for two sweeps was told so.
      if (!sweep.everything && self().idle_ms(c) > 2 * period) continue;
    } else if (c.state == State::udp ? c.last_seen_ms - c.born_ms < options.after_ms
                                     : !is_established(c.state)) {
      continue;
    } else if (notes & sync::kQueued) {
      continue;
    }
    tell_peer(sweep.at, Tale::live);
    sync::tally(feed().figures.swept);
  }
  if (sweep.at < target) return seen < kSwept;
  if (sweep.everything) {
    if (feed().templates.everything || self().owes_calls()) return false;
    Told mark{};
    mark.tale = Tale::mark;
    mark.told_ms = sweep.number;
    if (!feed().out.push(mark)) return true;
    sweep.everything = false;
  }
  if (passed >= period) sweep = {0, false, now_ms(), sweep.number};
  return true;
}

// A client may come again when it has no connection that the peer knows of.
template <class Half, class Family>
bool SyncHalf<Half, Family>::tell_templates() {
  typename sync::FeedOf<Family>::Sweep& sweep = feed().templates;
  if (!feed().options().tells || !self().has_persistence()) {
    sweep.everything = false;
    return true;
  }
  const uint32_t end = templates().places();
  const uint64_t period = std::max(kTemplatesMs, end / 1'000), passed = now_ms() - sweep.started_ms;
  uint32_t target = end;
  if (!sweep.everything && passed < period) target = static_cast<uint32_t>(end * passed / period);
  const uint32_t reserve = sync::FeedOf<Family>::kRing / 2;
  const uint32_t room = feed().out.room_now();
  const uint32_t budget = std::min(kSwept, room > reserve ? room - reserve : 0);
  uint32_t seen = 0;
  for (; sweep.at < target && seen < budget; ++sweep.at, ++seen) tell_template(sweep.at);
  if (sweep.at < target) return seen < kSwept;
  if (sweep.at == end && (sweep.everything || passed >= period)) {
    sweep = {0, false, now_ms(), sweep.number};
  }
  return true;
}

// New, at another server, or prolonged by so much that it matters; or asked for.
template <class Half, class Family>
void SyncHalf<Half, Family>::tell_template(uint32_t place) {
  const TemplateOf<Family>& one = templates()[place];
  if (one.until_ms <= now_ms()) return;
  const Service* service = snapshot().service_of_slot(one.service);
  if (service == nullptr || service->has(wire::kStandby)) return;
  const uint32_t prolonged = static_cast<uint32_t>(one.until_ms) - one.told;
  const bool news = one.told == 0 || prolonged > service->persistence_ms / 8;
  if (!news && !feed().templates.everything) return;
  Told told{};
  if (!self().describe(one, told)) return;
  told.told_ms = static_cast<uint32_t>(now_ms());
  if (!feed().out.push(told)) return sync::tally(feed().figures.overflowed);
  templates().note_told(place, one.until_ms);
  sync::tally(feed().figures.templates_told);
}

#define SLUICE_INSTANTIATE(Half, Family)                                     \
  template bool SyncHalf<Half, Family>::synchronise_half();                  \
  template bool SyncHalf<Half, Family>::has_nothing_to_do() const;           \
  template void SyncHalf<Half, Family>::note_change(uint32_t);               \
  template void SyncHalf<Half, Family>::note_use(const Connection<Family>&); \
  template void SyncHalf<Half, Family>::note_end(uint32_t, Extra);           \
  template sync::RecordOf<Family> SyncHalf<Half, Family>::as_told(uint32_t) const;
SLUICE_INSTANTIATE(Worker, V4)
SLUICE_INSTANTIATE(Worker6, V6)
#undef SLUICE_INSTANTIATE

}  // namespace sluice
