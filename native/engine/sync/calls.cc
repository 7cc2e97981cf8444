// Templates of persistence engines as they are told to another director or process. See worker.cc,
// estate.cc.
#include <algorithm>
#include <cstring>

#include "../marks.h"
#include "../worker6.h"

namespace sluice {

// False when its service or server is gone, or looks at clients in another way by now.
bool Worker::describe_call(uint32_t place, sync::Call& told) const {
  const TemplateOf<V6>& one = calls_[place];
  const Service* service = snapshot_->service_of_slot(one.service);
  const Server* server = snapshot_->server_of_slot(one.server);
  if (service == nullptr || server == nullptr || service->engine == wire::kNoEngine) return false;
  if (service->client_part != one.part) return false;
  told = {};
  if (const Service6* six = snapshot_->six().service_of_slot(one.service); six != nullptr) {
    const WideAddress* address = six->address_of(*server);
    if (address == nullptr) return false;
    told.six = true;
    told.virtual_end = six->virtual_end();
    told.server = *address;
  } else {
    told.virtual_end = widened(service->mark != 0 ? to_be(service->mark) : service->address);
    told.server = widened(server->address);
  }
  const Call& call = calls_.call(place);
  told.network = call.network;
  told.virtual_port = service->port;
  told.server_port = server->port;
  told.service = one.service;
  told.server_slot = one.server;
  told.part = one.part;
  told.protocol = service->protocol;
  told.mode = server->mode;
  told.bytes = call.bytes;
  std::memcpy(told.id, call.id, call.bytes);
  return true;
}

// While something of it lives it has a minute more, as templates have when the last of it ends.
static uint64_t lasts_until(const TemplateOf<V6>& one, uint64_t now_ms) {
  const uint64_t least = one.controlled == 0 ? 0 : now_ms + Templates6::kAfterwardsMs;
  return std::max(one.until_ms, least);
}

bool Worker::synchronise_calls() {
  const bool adopted = call_feed_.in.empty() || adopt_calls();
  return tell_calls() && adopted;
}

bool Worker::tell_calls() {
  constexpr unsigned kSwept = 128;      // a turn
  constexpr uint64_t kSweepMs = 1'000;  // all of them, and a thousand take at least one
  sync::Feed::Sweep& sweep = call_feed_.sweep;
  if (!feed().options().tells || !snapshot_->has_engines()) {
    sweep.everything = false;
    return true;
  }
  const uint32_t end = calls_.places();
  const uint64_t period = std::max<uint64_t>(kSweepMs, end / 1'000);
  const uint64_t passed = now_ms_ - sweep.started_ms;
  uint32_t target = end;
  if (!sweep.everything && passed < period) target = static_cast<uint32_t>(end * passed / period);
  const uint32_t budget = std::min(kSwept, call_feed_.out.room_now());
  uint32_t seen = 0;
  for (; sweep.at < target && seen < budget; ++sweep.at, ++seen) tell_call(sweep.at);
  if (sweep.at < target) return seen < kSwept;
  if (sweep.at == end && (sweep.everything || passed >= period)) {
    sweep = {0, false, now_ms_, sweep.number};
  }
  return true;
}

// As SyncHalf::tell_template.
void Worker::tell_call(uint32_t place) {
  const TemplateOf<V6>& one = calls_[place];
  if (!one.is_live(now_ms_)) return;
  const Service* service = snapshot_->service_of_slot(one.service);
  if (service == nullptr || service->has(wire::kStandby)) return;
  const uint64_t until_ms = lasts_until(one, now_ms_);
  const uint32_t prolonged = static_cast<uint32_t>(until_ms) - one.told;
  const bool news = one.told == 0 || prolonged > service->persistence_ms / 8;
  sync::Call told;
  if ((!news && !call_feed_.sweep.everything) || !describe_call(place, told)) return;
  told.left_ms = static_cast<uint32_t>(until_ms - now_ms_);
  if (!call_feed_.out.push(told)) return sync::tally(feed().figures.overflowed);
  calls_.note_told(place, until_ms);
  sync::tally(feed().figures.templates_told);
}

bool Worker::adopt_calls() {
  constexpr unsigned kAdoptions = 32;  // a turn
  for (unsigned i = 0; i < kAdoptions; ++i) {
    const sync::Call* told = call_feed_.in.peek();
    if (told == nullptr) return true;
    adopt(*told);
    call_feed_.in.drop();
  }
  return call_feed_.in.peek() == nullptr;
}

void Worker::adopt(const sync::Call& told) {
  const Service* service = snapshot_->service_of_slot(told.service);
  const bool its = told.six ? six_->is_of(told)
                            : is_of_service(sync::as_record<V4>(told)) &&
                                  is_of_server(sync::as_record<V4>(told));
  if (!its || service->engine == wire::kNoEngine || service->client_part != told.part) {
    return sync::tally(feed().figures.refused_stale);
  }
  const uint32_t most = std::max<uint32_t>(service->persistence_ms, Templates::kAfterwardsMs);
  const bool adopted = calls_.adopt(calls_.key(told.network, told.part, told.text()), told.service,
                                    told.server_slot, now_ms_, std::min(told.left_ms, most));
  sync::tally(adopted ? feed().figures.templates_adopted : feed().figures.refused_newer);
}

bool Worker6::is_of(const sync::Call& told) const {
  const sync::Record6 record = sync::as_record<V6>(told);
  return is_of_service(record) && is_of_server(record);
}

// True when all have been told.
bool Worker::bequeath_calls(uint32_t looks) {
  sync::Estate& estate = *feed().estate;
  if (!snapshot_->has_engines()) return true;
  for (; estate.call < calls_.places() && looks != 0; ++estate.call, --looks) {
    const TemplateOf<V6>& one = calls_[estate.call];
    sync::Call told;
    if (!one.is_live(now_ms_) || !describe_call(estate.call, told)) continue;
    told.left_ms = static_cast<uint32_t>(lasts_until(one, now_ms_) - now_ms_);
    told.teller = teller();
    if (!estate.calls.push(told)) return false;
  }
  return estate.call == calls_.places();
}

}  // namespace sluice
