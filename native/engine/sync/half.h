// What the two halves of a worker, IPv4's (worker.h) and IPv6's (worker6.h), do alike about
// connections of another director, or of another process: sync/worker.cc and sync/estate.cc.
//
// `Half` has the tables, names them as the other one does, and calls this a friend.
#pragma once

#include <rte_mbuf.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "../counters.h"
#include "../snapshot.h"
#include "../table/connection.h"
#include "feed.h"

namespace sluice {

template <class Half, class Family>
class SyncHalf {
 public:
  sync::FeedOf<Family>& feed() { return self().feed_; }
  // A hand-over begins: everything is to be told. The estate that was there is given back.
  void leave_estate(std::unique_ptr<sync::EstateOf<Family>>& estate);

 protected:
  using Told = sync::RecordOf<Family>;
  using Flow = Connection<Family>;

  // What a peer has told is adopted, and what it has to know is told, both in bounded steps;
  // between bursts. True when there is nothing left that can be done now.
  bool synchronise_half();
  // At once, and without a cache line of its own: there are no connections of this family.
  bool has_nothing_to_do() const;
  // No packet comes any more: tells what is left in steps. True when all of it has been.
  bool settle_half();

  // sync/worker.cc: connections that the peer is to know of. While the feed is on.
  void note_change(uint32_t record);
  void note_use(const Flow& c);
  void note_end(uint32_t record, Extra why);
  // The worker that a packet has to go to by this signpost; kNone: it leads nowhere, and is gone.
  uint32_t follow(rte_mbuf* mbuf, uint32_t record);
  void end_pass();  // of an estate
  // Of a snapshot ago what was told is no more: slots may be others'.
  bool is_of_service(const Told& told) const;
  bool is_of_server(const Told& told) const;

 private:
  Half& self() { return static_cast<Half&>(*this); }
  const Half& self() const { return static_cast<const Half&>(*this); }
  const sync::FeedOf<Family>& feed() const { return self().feed_; }
  auto& templates() { return self().templates_; }
  auto& table() { return self().table_; }
  const auto& table() const { return self().table_; }
  Counters& counters() { return self().counters(); }
  const Snapshot& snapshot() const { return self().snapshot(); }
  uint64_t now_ms() const { return self().now_ms(); }

  void tell_peer(uint32_t record, sync::Tale tale);
  bool tell_due();
  bool tell_swept();
  bool tell_templates();
  void tell_template(uint32_t place);
  Told as_told(uint32_t record) const;
  bool adopt_told();
  void adopt(const Told& told);
  bool make_room_for(const Told& told, uint32_t except);
  void update_adopted(uint32_t record, const Told& told);
  uint32_t begin_adopted(const Told& told);
  void make_adopted(const Told& told);
  void make_signpost(const Told& told);
  void adopt_template(const Told& told);
  void end_adopted(uint32_t record, std::atomic<uint64_t>& figure);
  uint32_t adopted_last_seen(const Told& told) const;
  void take_over_figures(Flow& c, const Told& told) const;
  // sync/estate.cc: what the process that takes over is left, and what this one was left.
  bool bequeath();
  void bequeath(uint32_t record);
  void bequeath_end(uint32_t record);
  void inherit(const Told& told);
  bool bequeath_templates();
};

}  // namespace sluice
