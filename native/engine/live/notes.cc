#include "notes.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr uint64_t kSilenceMs = 10'000;

struct Text {
  Note note;
  const char* code;
  const char* message;
  bool of_service;
};

constexpr Text kTexts[] = {
    {Note::table_full, "ERR_TABLE_FULL",
     "connection table full and nothing in it may give way, new connections are dropped: raise "
     "maxConnections",
     true},
    {Note::local_ports_exhausted, "ERR_LOCAL_PORTS_EXHAUSTED",
     "no free local port towards a real server, new connections are dropped: add local addresses",
     true},
    {Note::no_neighbour, "ERR_NO_NEIGHBOUR",
     "packets dropped: a next hop's MAC is not known, does it answer ARP?", true},
    {Note::no_route, "ERR_NO_ROUTE", "packets dropped: no route to a next hop", true},
    {Note::mbufs_exhausted, "ERR_MBUFS_EXHAUSTED",
     "packet buffers exhausted: raise the pool's size", false},
    {Note::tuple_conflict, "ERR_TUPLE_CONFLICT",
     "new connections dropped: others use the same server-side addresses and ports", true},
    {Note::making_room, "ERR_TABLE_PRESSURE",
     "connection table or local ports full: half-open, finished and one-way connections give way "
     "to new ones; a flood, or maxConnections too small",
     true},
};

const Text* text_of(unsigned kind) {
  for (const Text& text : kTexts) {
    if (static_cast<unsigned>(text.note) == kind) return &text;
  }
  return nullptr;
}

}  // namespace

void Notes::add(Note what, uint32_t count, uint32_t service_slot, uint64_t now_ms) {
  const auto kind = static_cast<unsigned>(what);
  if (kind >= kKinds) return;
  if (what == Note::rss_agrees || what == Note::rss_disagrees) {
    return say_of_port(what, service_slot);
  }
  pending_[kind].count += count;
  pending_[kind].slot = service_slot;
  say_if_due(kind, now_ms);
}

void Notes::say_of_port(Note what, uint32_t port) {
  const unsigned bit = 1u << static_cast<unsigned>(what);
  if (port >= ports_.size() || (found_[port] & bit) != 0) return;
  found_[port] |= bit;
  Event event;
  if (what == Note::rss_agrees) {
    event.message = "port '" + ports_[port] + "' brings packets to the workers that own them";
  } else {
    event.level = Event::Level::warn;
    event.code = "ERR_RSS_DISAGREES";
    event.message = "port '" + ports_[port] +
                    "' does not spread packets as it was told: workers hand them to one another";
  }
  handler_(std::move(event));
}

void Notes::tick(uint64_t now_ms) {
  for (unsigned kind = 0; kind < kKinds; ++kind) say_if_due(kind, now_ms);
}

void Notes::say_if_due(unsigned kind, uint64_t now_ms) {
  Pending& p = pending_[kind];
  if (p.count == 0 || (p.said && now_ms - p.said_ms < kSilenceMs)) return;
  if (const Text* text = text_of(kind)) {
    Event event;
    event.level = Event::Level::warn;
    event.message = text->message;
    event.code = text->code;
    event.count = static_cast<uint32_t>(std::min<uint64_t>(p.count, UINT32_MAX));
    if (text->of_service && p.slot != kNone) event.service_slot = p.slot;
    handler_(std::move(event));
  }
  p = {0, 0, now_ms, true};
}

}  // namespace sluice
