// Where a told connection belongs on this machine: which service and real server it is of, by their
// addresses and not by the other machine's slots, and which worker its packets will arrive at.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "../snapshot.h"
#include "../steering.h"
#include "record.h"

namespace sluice::sync {

enum class Found : uint8_t { here, no_service, no_server, no_local_address };

class Whereabouts {
 public:
  // `steering` outlives this; nullptr: NICs don't spread packets.
  Whereabouts(const Steering* steering, uint16_t workers)
      : steering_(steering), workers_(workers) {}

  // To be called when something may have been published; cheap when nothing was.
  void follow(std::shared_ptr<const Snapshot> snapshot);
  // Writes the slots.
  Found find(Record& record) const;
  Found find(Record6& record) const;
  Found find(Call& call) const;

  struct Owners {
    uint16_t connection;  // whoever gets it
    uint16_t requests;    // where the client's packets arrive
  };
  Owners owners(const Record& record) const;
  Owners owners(const Record6& record) const;
  template <class Family>
  uint16_t owner(const RecordOf<Family>& record) const {
    return owners(record).connection;
  }
  uint16_t owner(const Call& call) const;

 private:
  struct Entry {
    const Server* server = nullptr;
    be16 port = 0;
    uint32_t service = 0;  // slot
  };
  template <class Family>
  Found find_as(Call& call) const;
  void add(const Service& service);
  void add(const Service& service, const Server& server, be16 port);
  // `is_it` tells servers apart whose addresses, folded to 32 bits, are the same.
  template <class IsIt>
  const Server* server_of(const Service& service, be32 address, be16 port, IsIt is_it) const;
  size_t home(uint32_t service, be32 address, be16 port) const;

  const Steering* const steering_;
  const uint16_t workers_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<Entry> index_;  // open addressing
};

}  // namespace sluice::sync
