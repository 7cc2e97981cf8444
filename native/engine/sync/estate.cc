// A worker's part of a hand-over to another process, between bursts and in bounded steps: on the
// leaving side what it tells, on the other what it makes of that. See estate.h.
#include "estate.h"

#include <algorithm>

#include "../worker6.h"

namespace sluice {

using sync::Tale;

namespace {

constexpr uint32_t kLooks = 256;   // records and templates a turn
constexpr uint32_t kSkips = 8192;  // of eight clean ones a turn
constexpr uint64_t kPauseMs = 5;   // between two passes that nobody waits for
constexpr uint64_t kEightClean = 0x0808080808080808u;
static_assert(sync::kClean == 0x08);

// Each may be told, and a mark has room beside them.
template <class Family>
uint32_t looks_of(sync::EstateOf<Family>& estate) {
  constexpr uint32_t kReserve = 8;
  const uint32_t room = estate.out.room_now();
  return std::min(kLooks, room > kReserve ? room - kReserve : 0);
}

// But for its ends.
template <class Family>
void fill_template(sync::RecordOf<Family>& told, const TemplateOf<Family>& one,
                   const Service& service, const Server& server, uint64_t now_ms) {
  told.tale = Tale::persistence;
  told.protocol = service.protocol;
  told.mode = server.mode;
  put_part(told, one.part);
  told.idle_ms = static_cast<uint32_t>(one.until_ms - now_ms);
}

}  // namespace

template <class Half, class Family>
void SyncHalf<Half, Family>::leave_estate(std::unique_ptr<sync::EstateOf<Family>>& estate) {
  feed().keep_notes();
  for (uint32_t record = 0; record < table().high_water(); ++record) {
    feed().notes(record) &= static_cast<uint8_t>(~(sync::kClean | sync::kBequeathed));
  }
  std::swap(feed().estate, estate);
}

// True when there is nothing to tell at the moment.
template <class Half, class Family>
bool SyncHalf<Half, Family>::bequeath() {
  sync::EstateOf<Family>& estate = *feed().estate;
  if (estate.is_through) return true;
  if (estate.at == 0 && !estate.templates && !estate.is_last && estate.pass != 0 &&
      now_ms() - estate.passed_ms < kPauseMs) {
    return true;
  }
  if (estate.templates) return bequeath_templates();
  const uint32_t end = table().high_water();
  uint32_t looks = looks_of(estate);
  uint32_t skips = kSkips;
  while (estate.at < end && looks != 0) {
    if (estate.at % 8 == 0 && estate.at + 8 <= end &&
        (load<uint64_t>(&feed().notes(estate.at)) & kEightClean) == kEightClean) {
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
  end_pass();
  if (estate.is_last) estate.is_through = true;
  return true;
}

// After the first one everything has been told once.
template <class Half, class Family>
void SyncHalf<Half, Family>::end_pass() {
  sync::EstateOf<Family>& estate = *feed().estate;
  estate.passed_ms = now_ms();
  if (estate.pass++ != 0) return;
  Told mark{};
  mark.tale = Tale::swept;
  estate.out.push(mark);
}

template <class Half, class Family>
void SyncHalf<Half, Family>::bequeath(uint32_t record) {
  uint8_t& notes = feed().notes(record);
  if (notes & sync::kClean) return;
  const Flow& c = table()[record];
  // The wheel comes by for those that have run out, and a signpost is put up anew.
  if (c.state == State::none || c.is_signpost() || self().is_idle(c)) {
    notes |= sync::kClean;
    return;
  }
  Told told = as_told(record);
  told.tale = Tale::inherited;
  told.told_ms = self().teller();
  told.flags |= sync::kInherited;
  if (notes & sync::kTold) told.flags |= sync::kPeerKnows;
  if (notes & sync::kTheirs) told.flags |= sync::kPeerHas;
  feed().estate->out.push(told);
  sync::tally(feed().estate->told);
  notes |= sync::kBequeathed;
  // What a handshake finds out changes no state.
  if (c.state != State::syn_recv) notes |= sync::kClean;
}

template <class Half, class Family>
bool SyncHalf<Half, Family>::bequeath_templates() {
  sync::EstateOf<Family>& estate = *feed().estate;
  uint32_t looks = looks_of(estate);
  for (; estate.at < templates().places() && looks != 0; ++estate.at, --looks) {
    const TemplateOf<Family>& one = templates()[estate.at];
    // Those with connections come with them.
    if (!one.is_live(now_ms()) || one.until_ms <= now_ms()) continue;
    Told told{};
    if (!self().describe(one, told)) continue;
    told.told_ms = self().teller();
    told.flags = sync::kInherited;
    estate.out.push(told);
  }
  if (estate.at < templates().places() || !self().bequeath_calls(looks)) return false;
  estate.at = 0;
  estate.templates = false;
  end_pass();
  return true;
}

template <class Half, class Family>
void SyncHalf<Half, Family>::bequeath_end(uint32_t record) {
  if (feed().estate == nullptr) return;
  Told told = as_told(record);
  told.tale = Tale::end;
  told.told_ms = self().teller();
  told.flags |= sync::kInherited;
  if (!feed().estate->out.push(told)) sync::tally(feed().estate->lost);
}

template <class Half, class Family>
bool SyncHalf<Half, Family>::settle_half() {
  if (feed().estate == nullptr) return true;
  sync::EstateOf<Family>& estate = *feed().estate;
  if (estate.is_through) return true;
  if (!estate.is_last) {
    // A first pass that is under way finishes first: templates are told by it alone.
    if (estate.pass == 0) return bequeath(), false;
    estate.is_last = true;
    estate.at = 0;
  }
  if (!bequeath() || !estate.is_through) return false;
  Told mark{};
  mark.tale = Tale::last;
  if (estate.out.push(mark)) return true;
  estate.is_through = false;  // the reader is slow: a pass more, which finds nothing
  return false;
}

// --- the other side

// What the process before this one tells is true, whatever is here already.
template <class Half, class Family>
void SyncHalf<Half, Family>::inherit(const Told& told) {
  if (!is_of_service(told) || !is_of_server(told)) {
    return sync::tally(feed().figures.refused_stale);
  }
  if (told.tale == Tale::persistence) return self().inherit_template(told);
  const FlowKey<Family> key{told.request, told.protocol};
  const Found found = table().find(key, table().hash(key));
  if (found && found.direction == Direction::reply) {
    return sync::tally(feed().figures.refused_conflict);
  }
  if (found) {
    Flow& c = table()[found.record];
    const bool same = !c.is_signpost() && c.server == told.server && c.mode() == told.mode &&
                      c.rport == told.reply.source_port && c.laddr == told.reply.destination &&
                      c.lport == told.reply.destination_port;
    if (same && told.tale == Tale::inherited) {
      take_over_figures(c, told);
      if (is_proxied(c)) self().adopt_splice(found.record, told, 0);
      if (c.state != told.state) self().change_state(found.record, told.state);
      return sync::tally(feed().figures.updated);
    }
    end_adopted(found.record, feed().figures.ended);
  }
  if (told.tale == Tale::end || !make_room_for(told, kNone)) return;
  make_adopted(told);
}

// A template as it is told; false when its service or server is gone.
bool Worker::describe(const TemplateOf<V4>& one, sync::Record& told) const {
  const Service* service = snapshot_->service_of_slot(one.service);
  const Server* server = snapshot_->server_of_slot(one.server);
  if (service == nullptr || server == nullptr) return false;
  const be32 virtual_end = service->mark != 0 ? to_be(service->mark) : service->address;
  told.request = {one.network, virtual_end, 0, service->port};
  told.reply = {server->address, 0, server->port, 0};
  fill_template(told, one, *service, *server, now_ms_);
  return true;
}

bool Worker6::describe(const TemplateOf<V6>& one, sync::Record6& told) const {
  const Service6* service = six().service_of_slot(one.service);
  const Server* server = snapshot().server_of_slot(one.server);
  const WideAddress* address =
      service == nullptr || server == nullptr ? nullptr : service->address_of(*server);
  if (address == nullptr) return false;
  told.request = {one.network, service->virtual_end(), 0, service->common->port};
  told.reply = {*address, {}, server->port, 0};
  fill_template(told, one, *service->common, *server, now_ms());
  return true;
}

// Slots are good.
void Worker::inherit_template(const sync::Record& told) {
  const Service& service = *snapshot_->service_of_slot(told.service);
  if (service.persistence_ms == 0 || service.client_part != part_of(told)) return;
  templates_.keep(told.request.source, service.client_part, told.service, told.server, now_ms_,
                  told.idle_ms, false);
}

void Worker6::inherit_template(const sync::Record6& told) {
  const Service& service = *snapshot().service_of_slot(told.service);
  if (service.persistence_ms == 0 || service.client_part != part_of(told)) return;
  templates_.keep(told.request.source, service.client_part, told.service, told.server, now_ms(),
                  told.idle_ms, false);
}

// The other members' are in worker.cc and adopt.cc.
#define SLUICE_INSTANTIATE(Half, Family)                                                        \
  template void SyncHalf<Half, Family>::leave_estate(std::unique_ptr<sync::EstateOf<Family>>&); \
  template bool SyncHalf<Half, Family>::bequeath();                                             \
  template void SyncHalf<Half, Family>::bequeath_end(uint32_t);                                 \
  template bool SyncHalf<Half, Family>::settle_half();                                          \
  template void SyncHalf<Half, Family>::inherit(const sync::RecordOf<Family>&);
SLUICE_INSTANTIATE(Worker, V4)
SLUICE_INSTANTIATE(Worker6, V6)
#undef SLUICE_INSTANTIATE

}  // namespace sluice
