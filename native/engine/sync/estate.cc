// A worker's part of a hand-over to another process, between bursts and in bounded steps: on the
// leaving side what it tells, on the other what it makes of that. See estate.h.
#include "estate.h"

#include <algorithm>

#include "../worker.h"

namespace sluice {

using sync::Estate;
using sync::Tale;

namespace {

constexpr uint32_t kLooks = 256;   // records and templates a turn
constexpr uint32_t kSkips = 8192;  // of eight clean ones a turn
constexpr uint64_t kPauseMs = 5;   // between two passes that nobody waits for
constexpr uint64_t kEightClean = 0x0808080808080808u;
static_assert(sync::kClean == 0x08);

// Each may be told, and a mark has room beside them.
uint32_t looks_of(Estate& estate) {
  constexpr uint32_t kReserve = 8;
  const uint32_t room = estate.out.room_now();
  return std::min(kLooks, room > kReserve ? room - kReserve : 0);
}

}  // namespace

void Worker::leave_estate(std::unique_ptr<Estate>& estate) {
  feed_.keep_notes();
  for (uint32_t record = 0; record < table_.high_water(); ++record) {
    feed_.notes(record) &= static_cast<uint8_t>(~(sync::kClean | sync::kBequeathed));
  }
  std::swap(feed_.estate, estate);
}

// True when there is nothing to tell at the moment.
bool Worker::bequeath() {
  Estate& estate = *feed_.estate;
  if (estate.is_through) return true;
  if (estate.at == 0 && !estate.templates && !estate.is_last && estate.pass != 0 &&
      now_ms_ - estate.passed_ms < kPauseMs) {
    return true;
  }
  if (estate.templates) return bequeath_templates();
  const uint32_t end = table_.high_water();
  uint32_t looks = looks_of(estate);
  uint32_t skips = kSkips;
  while (estate.at < end && looks != 0) {
    if (estate.at % 8 == 0 && estate.at + 8 <= end &&
        (load<uint64_t>(&feed_.notes(estate.at)) & kEightClean) == kEightClean) {
      estate.at += 8;
      if (--skips == 0) return false;
      continue;
    }
    bequeath(estate.at++);
    --looks;
  }
  if (estate.at < end) return false;
  estate.at = 0;
  estate.templates = estate.pass == 0;
  if (estate.templates) return false;
  ++estate.pass;
  estate.passed_ms = now_ms_;
  if (estate.is_last) estate.is_through = true;
  return true;
}

void Worker::bequeath(uint32_t record) {
  uint8_t& notes = feed_.notes(record);
  if (notes & sync::kClean) return;
  const Record& c = table_[record];
  // The wheel comes by for those that have run out, and a signpost is put up anew.
  if (c.state == State::none || c.is_signpost() || is_idle(c)) {
    notes |= sync::kClean;
    return;
  }
  sync::Record told = as_told(record);
  told.tale = Tale::inherited;
  told.told_ms = sync::teller(options_.index, options_.workers);
  told.flags |= sync::kInherited;
  if (notes & sync::kTold) told.flags |= sync::kPeerKnows;
  if (notes & sync::kTheirs) told.flags |= sync::kPeerHas;
  feed_.estate->out.push(told);
  sync::tally(feed_.estate->told);
  notes |= sync::kBequeathed;
  // What a handshake finds out changes no state.
  if (c.state != State::syn_recv) notes |= sync::kClean;
}

bool Worker::bequeath_templates() {
  Estate& estate = *feed_.estate;
  uint32_t looks = looks_of(estate);
  for (; estate.at < templates_.places() && looks != 0; ++estate.at, --looks) {
    const Template& one = templates_[estate.at];
    const Service* service = snapshot_->service_of_slot(one.service);
    const Server* server = snapshot_->server_of_slot(one.server);
    // Those with connections come with them.
    if (!one.is_live(now_ms_) || one.until_ms <= now_ms_) continue;
    if (service == nullptr || server == nullptr) continue;
    sync::Record told{};
    told.request = {one.network, service->address, 0, service->port};
    told.reply = {server->address, 0, server->port, 0};
    told.tale = Tale::persistence;
    told.told_ms = sync::teller(options_.index, options_.workers);
    told.flags = sync::kInherited;
    told.protocol = service->protocol;
    told.mode = server->mode;
    told.packets = static_cast<uint8_t>(one.mask - 1);
    told.idle_ms = static_cast<uint32_t>(one.until_ms - now_ms_);
    estate.out.push(told);
  }
  if (estate.at < templates_.places()) return false;
  estate.at = 0;
  estate.templates = false;
  ++estate.pass;
  estate.passed_ms = now_ms_;
  sync::Record mark{};
  mark.tale = Tale::swept;
  estate.out.push(mark);
  return true;
}

void Worker::bequeath_end(uint32_t record) {
  if (feed_.estate == nullptr) return;
  sync::Record told = as_told(record);
  told.tale = Tale::end;
  told.told_ms = sync::teller(options_.index, options_.workers);
  told.flags |= sync::kInherited;
  if (!feed_.estate->out.push(told)) sync::tally(feed_.estate->lost);
}

bool Worker::settle_estate() {
  if (feed_.estate == nullptr) return true;
  Estate& estate = *feed_.estate;
  if (estate.is_through) return true;
  if (!estate.is_last) {
    // A first pass that is under way finishes first: templates are told by it alone.
    if (estate.pass == 0) return bequeath(), false;
    estate.is_last = true;
    estate.at = 0;
  }
  if (!bequeath() || !estate.is_through) return false;
  sync::Record mark{};
  mark.tale = Tale::last;
  if (estate.out.push(mark)) return true;
  estate.is_through = false;  // the reader is slow: a pass more, which finds nothing
  return false;
}

// --- the other side

// What the process before this one tells is true, whatever is here already.
void Worker::inherit(const sync::Record& told) {
  const Service* service = snapshot_->service_of_slot(told.service);
  const Server* server = snapshot_->server_of_slot(told.server);
  const bool right_service = service != nullptr && service->address == told.request.destination &&
                             service->port == told.request.destination_port &&
                             service->protocol == told.protocol;
  const bool right_server = server != nullptr && server->address == told.reply.source;
  if (!right_service || !right_server) return sync::tally(feed_.figures.refused_stale);
  if (told.tale == Tale::persistence) return inherit_template(told, *service, *server);

  const FlowKey<V4> key{told.request, told.protocol};
  const Found found = table_.find(key, table_.hash(key));
  if (found && found.direction == Direction::reply) {
    return sync::tally(feed_.figures.refused_conflict);
  }
  if (found) {
    Record& c = table_[found.record];
    const bool same = !c.is_signpost() && c.server == told.server && c.mode() == told.mode &&
                      c.rport == told.reply.source_port && c.laddr == told.reply.destination &&
                      c.lport == told.reply.destination_port;
    if (same && told.tale == Tale::inherited) {
      take_over_figures(c, told);
      if (c.state != told.state) change_state(found.record, told.state);
      return sync::tally(feed_.figures.updated);
    }
    end_adopted(found.record, feed_.figures.ended);
  }
  if (told.tale == Tale::end || !make_room_for(told, kNone)) return;
  make_adopted(told);
}

void Worker::inherit_template(const sync::Record& told, const Service& service,
                              const Server& server) {
  if (service.persistence_ms == 0 || service.client_bits != told.packets) return;
  templates_.keep(told.request.source, service.client_bits, service.slot, server.slot, now_ms_,
                  told.idle_ms, false);
}

}  // namespace sluice
