// Properties of the tables under native/engine/table, each against a model that is too simple to be
// wrong: sluice_test_tables [seed]. Prints what does not hold, status 1; test/native/tables.test.ts
// runs it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/table/clients.h"
#include "engine/table/connection_table.h"
#include "engine/table/local_ports.h"
#include "engine/table/timing_wheel.h"

namespace sluice {
namespace {

uint64_t random_state = 1;
uint64_t any() {
  return mix64(random_state);
}
uint64_t below(uint64_t n) {
  return any() % n;
}

void require(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

LocalPorts::Set set_of(unsigned i) {
  return {to_be(0xc6336400u + i / 4), to_be(0xcb007100u + i % 4), to_be(uint16_t{8080}), kUdp};
}

// Every port of a worker's share is given out once before any is refused; a port that is given back
// is the only one to be had; the last ones go on being found while the set stays all but full.
void ports_at_any_fill(uint16_t worker, uint16_t workers) {
  const PortShare share(nullptr, worker, workers);
  LocalPorts ports(share, 16, 7);
  const LocalPorts::Set set = set_of(0);
  std::vector<be16> taken;
  std::set<be16> distinct;
  auto take = [&] {
    const be16 port = ports.take(set);
    if (port == 0) return false;
    const uint16_t number = from_be(port);
    require(number >= PortShare::kFirst && number % workers == worker, "a port of another share");
    require(distinct.insert(port).second, "a port is given out twice");
    taken.push_back(port);
    return true;
  };
  auto give = [&](size_t at) {
    ports.give(ports.find(set, taken[at]));
    distinct.erase(taken[at]);
    taken[at] = taken.back();
    taken.pop_back();
  };
  for (uint32_t i = 0; i < share.count(); ++i) require(take(), "ports are refused too early");
  require(!take(), "more ports than there are");
  for (unsigned i = 0; i < 2000; ++i) {
    const size_t at = below(taken.size());
    const be16 port = taken[at];
    give(at);
    require(take() && taken.back() == port, "the only free port is not found");
    require(!take(), "a full set gives more");
  }
  // From full to nearly empty and back, never without what is there.
  for (const size_t fill : {share.count() * 999ul / 1000, share.count() / 2ul, 3ul}) {
    while (taken.size() > fill) give(below(taken.size()));
    for (unsigned i = 0; i < 200'000; ++i) {
      if (below(2) == 0 && taken.size() > 1) give(below(taken.size()));
      if (taken.size() < fill) require(take(), "a port is refused below the limit");
    }
  }
  while (!taken.empty()) give(taken.size() - 1);
  require(ports.sets() == 0, "an empty set is kept");
}

// Many sets that come and go: none mixes its ports with another's, and as many as may be are had.
void sets_come_and_go() {
  constexpr unsigned kSets = 500;
  LocalPorts ports(PortShare(nullptr, 0, 1), kSets, 3);
  std::map<unsigned, std::set<be16>> model;
  for (unsigned i = 0; i < 300'000; ++i) {
    const auto which = static_cast<unsigned>(below(kSets + 20));
    std::set<be16>& held = model[which];
    const bool is_new = held.empty();
    if (!is_new && below(100) < 52) {
      const be16 port = *held.begin();
      ports.give(ports.find(set_of(which), port));
      held.erase(port);
      continue;
    }
    const auto in_use = static_cast<unsigned>(
        std::ranges::count_if(model, [](const auto& each) { return !each.second.empty(); }));
    require(ports.sets() == in_use, "sets are miscounted");
    const be16 port = ports.take(set_of(which));
    require((port == 0) == (is_new && in_use == kSets), "the limit of sets is not kept");
    if (port != 0) require(held.insert(port).second, "a set gives a port twice");
  }
}

// A port that somebody asks for by its number is had exactly if nobody has it, also where the walk
// has just come to and where it will come to next.
void ports_by_number() {
  LocalPorts ports(PortShare(nullptr, 1, 2), 4, 11);
  const LocalPorts::Set set = set_of(2);
  std::set<be16> held;
  uint16_t last = PortShare::kFirst + 1;
  for (unsigned i = 0; i < 300'000; ++i) {
    const uint64_t what = below(5);
    if (what < 2) {
      const be16 port = ports.take(set);
      require(port != 0 && held.insert(port).second, "a port that is held is given out");
      last = from_be(port);
    } else if (what == 2) {
      const bool near = below(2) == 0;
      const auto number = static_cast<uint16_t>(near ? last + 2 * below(100) : below(65536));
      const bool ours = number >= PortShare::kFirst && number % 2 == 1;
      const be16 port = to_be(number);
      require(ports.reserve(set, port) == (ours && !held.contains(port)),
              "a port is reserved that is held, or refused that is free");
      if (ours) held.insert(port);
    } else if (!held.empty()) {
      const auto at = held.lower_bound(static_cast<be16>(any()));
      const be16 port = at == held.end() ? *held.begin() : *at;
      ports.give(ports.find(set, port));
      held.erase(port);
    }
  }
}

using Table = ConnectionTable<V4>;

// A record is visited once its deadline is past, soon afterwards, and as often as it is added;
// steps are as short as they are told to be.
void wheel(unsigned budget) {
  constexpr uint32_t kRecords = 5000;
  Table table(kRecords, {1, 2});
  TimingWheel<Table> wheel(table);
  uint64_t now = 123'456;
  wheel.start(now);
  std::map<uint32_t, uint64_t> deadlines;
  std::vector<uint32_t> idle;
  for (uint32_t i = 0; i < kRecords; ++i) idle.push_back(table.allocate());
  auto add = [&](uint32_t record) {
    // Now and then longer than a lap.
    const uint64_t delay = below(20) == 0 ? below(3'000'000) : below(60'000);
    deadlines[record] = now + delay;
    wheel.add(record, now + delay);
  };
  for (unsigned step = 0; step < 20'000; ++step) {
    for (unsigned i = below(8); i > 0 && !idle.empty(); --i) {
      add(idle.back());
      idle.pop_back();
    }
    auto move_any = [&] {
      const auto at = deadlines.lower_bound(static_cast<uint32_t>(below(kRecords)));
      if (at == deadlines.end()) return;
      const uint32_t record = at->first;
      wheel.remove(record);
      add(record);
    };
    if (below(4) == 0) move_any();
    now += below(2000);
    for (bool done = false; !done;) {
      unsigned visits = 0;
      if (below(4) == 0) move_any();  // also off a slot that is being emptied
      done = wheel.advance(now, budget, [&](uint32_t record) {
        ++visits;
        const auto at = deadlines.find(record);
        require(at != deadlines.end(), "a record is visited that is not on the wheel");
        // Longer than a lap: put back for the rest of it, as the worker does.
        if (at->second > now) return wheel.add(record, at->second);
        deadlines.erase(at);
        idle.push_back(record);
      });
      require(visits <= budget, "a step is longer than its budget");
    }
    for (const auto& [record, deadline] : deadlines) {
      if (step % 100 == 0) require(deadline + 512 > now, "a deadline is missed");
    }
  }
}

FlowKey<V4> key_of(const Connection<V4>& c, Direction direction) {
  return {direction == Direction::request ? c.request() : c.reply(), c.protocol()};
}

// Connections come and go in a table that is full or nearly so: each tuple finds its own record,
// at once after it was put in, and nothing that has gone.
void table_near_full(uint32_t records) {
  Table table(records, {any(), any()});
  std::vector<uint32_t> live;
  uint32_t flow = 0;
  auto connect = [&] {
    const uint32_t record = table.allocate();
    if (record == kNone) return false;
    Connection<V4>& c = table[record];
    c = {};
    c.caddr = static_cast<be32>(any());
    c.cport = static_cast<be16>(flow);
    c.vaddr = 1;
    c.raddr = 2;
    c.laddr = ++flow;
    c.state = State::udp;
    c.flags = kUdpConnection;
    table.insert(record, Direction::request, table.hash(key_of(c, Direction::request)));
    table.insert_soon(record, Direction::reply, table.hash(key_of(c, Direction::reply)));
    live.push_back(record);
    return true;
  };
  auto check = [&](uint32_t record) {
    for (const Direction direction : {Direction::request, Direction::reply}) {
      const FlowKey<V4> key = key_of(table[record], direction);
      const Found found = table.find(key, table.hash(key));
      require(found.record == record && found.direction == direction, "a tuple is not found");
    }
  };
  auto end = [&](size_t at) {
    const uint32_t record = live[at];
    const FlowKey<V4> request = key_of(table[record], Direction::request);
    const FlowKey<V4> reply = key_of(table[record], Direction::reply);
    table.erase(record, Direction::request, table.hash(request));
    table.erase(record, Direction::reply, table.hash(reply));
    table.release(record);
    live[at] = live.back();
    live.pop_back();
    require(!table.find(request, table.hash(request)) && !table.find(reply, table.hash(reply)),
            "a tuple outlives its connection");
  };
  for (uint32_t i = 0; i < records; ++i) require(connect(), "a record is refused too early");
  require(!connect(), "a full table takes more");
  for (unsigned i = 0; i < 200'000; ++i) {
    if (live.size() > records * 97ul / 100 && below(2) == 0) end(below(live.size()));
    if (connect() && below(3) == 0) check(live.back());
    check(live[below(live.size())]);
  }
  require(table.size() == live.size(), "live records are miscounted");
  for (const uint32_t record : live) check(record);
  while (!live.empty()) end(live.size() - 1);
  require(table.size() == 0, "an empty table is not empty");
}

// A set of networks against a loop over them, near their ends above all; as many as fill one node,
// a few, and several levels of them.
template <class Number>
void sets_of_clients(size_t networks, unsigned spread) {
  using Set = AddressSet<Number>;
  constexpr unsigned kBits = sizeof(Number) * 8;
  auto number = [] {
    Number wide = 0;
    for (unsigned i = 0; i < sizeof(Number); i += 4) wide = wide << 31 << 1 | (any() & UINT32_MAX);
    return wide;
  };
  // Few of the bits vary where `spread` is small, so that networks nest, meet and overlap.
  auto address = [&] {
    const unsigned shift = static_cast<unsigned>(below(3)) * (kBits - spread) / 2;
    const Number low = spread >= kBits ? number() : number() & ((Number{1} << spread) - 1);
    return spread >= kBits
               ? low
               : low << shift | (below(4) == 0 ? static_cast<Number>(~Number{0}) << spread : 0);
  };
  std::vector<typename Set::Network> list;
  for (size_t i = 0; i < networks; ++i) {
    const unsigned length = below(5) == 0 ? static_cast<unsigned>(below(kBits + 1))
                                          : kBits - static_cast<unsigned>(below(7));
    list.push_back({address(), below(4) == 0 || length > 8 || networks < 8 ? length : kBits});
  }
  const Set set(list);
  auto is_in = [&](Number one) {
    return std::any_of(list.begin(), list.end(), [&](const auto& network) {
      return network.length == 0 || (one ^ network.first) >> (kBits - network.length) == 0;
    });
  };
  auto check = [&](Number one) {
    require(set.contains(one) == is_in(one), "a client is on the wrong side of its list");
  };
  const unsigned tries = networks > 1000 ? 300 : 3000;
  for (unsigned i = 0; i < tries; ++i) {
    check(address());
    check(number());
    if (list.empty()) continue;
    const auto& network = list[below(list.size())];
    const Number host = network.length == 0 ? static_cast<Number>(~Number{0})
                        : network.length >= kBits
                            ? Number{0}
                            : static_cast<Number>(~Number{0}) >> network.length;
    const Number first = network.first & ~host;
    for (const Number near :
         {first, static_cast<Number>(first - 1), static_cast<Number>(first | host),
          static_cast<Number>((first | host) + 1)}) {
      check(near);
    }
  }
  check(0);
  check(static_cast<Number>(~Number{0}));
  const size_t most = networks * (sizeof(Number) == 4 ? 10 : 40) + 4096;
  require(set.bytes() <= most, "a set of clients takes more than it is said to");
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  using namespace sluice;
  if (argc > 1) random_state = std::strtoull(argv[1], nullptr, 10);
  ports_at_any_fill(0, 1);
  ports_at_any_fill(2, 3);
  sets_come_and_go();
  ports_by_number();
  for (const unsigned budget : {1u, 7u, 64u, 100'000u}) wheel(budget);
  for (const uint32_t records : {9u, 1000u, 30'000u}) table_near_full(records);
  for (const size_t networks : {0u, 1u, 7u, 8u, 9u, 40u, 300u, 5'000u}) {
    for (const unsigned spread : {8u, 16u, 32u}) sets_of_clients<uint32_t>(networks, spread);
    for (const unsigned spread : {8u, 64u, 128u}) {
      sets_of_clients<unsigned __int128>(networks, spread);
    }
  }
  return 0;
}
