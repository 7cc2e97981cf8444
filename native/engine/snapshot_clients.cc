// Lists of clients in a snapshot's bytes.
#include <unordered_map>

#include "snapshot.h"
#include "snapshot_bytes.h"

namespace sluice {

namespace {

template <class Number, class Record, class Place>
AddressSet<Number> set_of(std::span<const Record> networks, const Place& place) {
  std::vector<typename AddressSet<Number>::Network> read;
  read.reserve(networks.size());
  for (const Record& network : networks) {
    if (network.length > sizeof network.address * 8) {
      reject(place(network.length), "longer than an address");
    }
    read.push_back({number_of(network.address), network.length});
  }
  return AddressSet<Number>(std::move(read));
}

}  // namespace

// Lists that `previous` has are shared with it: sorting a hundred thousand networks takes longer
// than all the rest.
void Snapshot::take_clients(std::span<const uint8_t> bytes, const wire::Header& header,
                            const Snapshot* previous) {
  const auto lists =
      section<wire::ClientList>(bytes.data(), bytes.size(), header, wire::kClientLists);
  const auto four = section<wire::Client4>(bytes.data(), bytes.size(), header, wire::kClients4);
  const auto six = section<wire::Client6>(bytes.data(), bytes.size(), header, wire::kClients6);
  const auto place = [&](const auto& field) {
    return static_cast<size_t>(reinterpret_cast<const uint8_t*>(&field) - bytes.data());
  };
  std::unordered_map<uint64_t, std::shared_ptr<const ClientList>> known;
  if (previous != nullptr) {
    for (const auto& list : previous->client_lists_) known.emplace(list->fingerprint, list);
  }
  for (const wire::ClientList& w : lists) {
    if (w.family != 4 && w.family != 6) reject(place(w.family), "unknown address family");
    const size_t networks = w.family == 4 ? four.size() : six.size();
    if (uint64_t{w.first} + w.count > networks) {
      reject(place(w.first), "networks outside their section");
    }
    const auto shared = known.find(w.fingerprint);
    if (shared != known.end() && shared->second->family == w.family &&
        shared->second->networks == w.count) {
      client_lists_.push_back(shared->second);
      continue;
    }
    auto list = std::make_shared<ClientList>(ClientList{w.fingerprint, w.count, w.family, {}, {}});
    if (w.family == 4) {
      list->four = set_of<uint32_t>(four.subspan(w.first, w.count), place);
    } else {
      list->six = set_of<unsigned __int128>(six.subspan(w.first, w.count), place);
    }
    client_lists_.push_back(std::move(list));
  }
}

// Number of a list, from 1 on, of a service's record at `place`.
const ClientList* Snapshot::clients(uint32_t number, uint8_t family, size_t place) const {
  if (number == 0) return nullptr;
  if (number > client_lists_.size()) reject(place, "client list outside its section");
  const ClientList& list = *client_lists_[number - 1];
  if (list.family != family) reject(place, "client list of another family");
  return &list;
}

}  // namespace sluice
