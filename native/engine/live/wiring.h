// What connects the workers with one another and with the slow path: rings with one consumer each
// and mostly one producer, so that no thread ever waits for another. Who has left something in one
// rings its reader's bell, for the reader may be asleep.
//
//   worker w ─ hand_off[w][v] ─▶ worker v       packets whose flow v owns
//   worker w ─ punt[w] ────────▶ slow path      for the TAP twin of mbuf->port
//   worker w ─ words[w] ───────▶ slow path      resolve and note, see word.h
//   slow path ─ inject ────────▶ worker 0       frames of the twins, to be sent on mbuf->port
//   herald ──── said ──────────▶ worker 0       adverts, and what goes with a mastership; a ring of
//                                              its own: in one with several producers a thread that
//                                              is preempted hides what others leave after it
//   worker w ─ adverts ────────▶ herald         VRRP, while anybody wants it
//   worker w ─ relay ──────────▶ worker 0       to be sent on mbuf->port, where w has no queue
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "bell.h"
#include "mailbox.h"
#include "ring.h"

namespace sluice {

struct Wiring {
  static constexpr unsigned kPackets = 1024;
  static constexpr unsigned kWords = 256;
  static constexpr unsigned kAdverts = 1024;

  explicit Wiring(unsigned workers) : workers(workers), mail(workers), worker_bells(workers) {
    for (unsigned w = 0; w < workers; ++w) {
      punt.push_back(std::make_unique<Ring>(kPackets));
      words.push_back(std::make_unique<Ring>(kWords));
      for (unsigned v = 0; v < workers; ++v) {
        hand_off.push_back(w == v ? nullptr : std::make_unique<Ring>(kPackets));
      }
    }
  }
  // After every thread has ended.
  ~Wiring() {
    for (auto& ring : punt) ring->free_packets();
    for (auto& ring : hand_off) {
      if (ring) ring->free_packets();
    }
    inject.free_packets();
    said.free_packets();
    relay.free_packets();
    adverts.free_packets();
  }

  Ring* between(unsigned from, unsigned to) { return hand_off[from * workers + to].get(); }

  const unsigned workers;
  std::vector<std::unique_ptr<Ring>> punt, words, hand_off;
  Ring inject{kPackets, Ring::kMany};
  Ring said{kPackets};
  Ring relay{kPackets, Ring::kMany};
  Ring adverts{kAdverts, Ring::kMany};
  std::atomic<bool> adverts_wanted{false};
  std::vector<Mailbox> mail;
  std::vector<Bell> worker_bells;
  Bell slow_path_bell, herald_bell;
};

}  // namespace sluice
