// What the two halves of a worker, IPv4's (worker.h) and IPv6's (worker6.h), do alike for services
// with a SYN proxy: 4_admit.cc, 5_splice.cc and 7_cookie.cc.
//
// `Half` has the tables, names them and its stages as the other one does, and calls this a friend.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <type_traits>

#include "../aside.h"
#include "../defence/syn_cookie.h"
#include "../mode/splice.h"
#include "../snapshot.h"
#include "../sync/record.h"
#include "../table/connection.h"
#include "../table/fib.h"
#include "../table/memory.h"

namespace sluice {

class Worker;
struct Packet;
struct Packet6;

// By the number of a connection's record. Its memory is committed as it is touched.
using Splices = TableMemory<mode::splice::Splice>;

template <class Half, class Family>
class ProxyHalf {
 protected:
  static constexpr bool kSix = std::is_same_v<Family, V6>;
  using Flow = Connection<Family>;
  using Frame = std::conditional_t<kSix, Packet6, Packet>;
  using Hop = std::conditional_t<kSix, NextHop6, NextHop>;
  using Served = std::conditional_t<kSix, Service6, Service>;
  using Told = sync::RecordOf<Family>;

  // 4_admit.cc: first packets.
  SLUICE_ASIDE void admit(Frame& packet, const Served& service);

  // 5_splice.cc
  SLUICE_ASIDE void forward_proxied(Frame& packet, uint32_t record);
  SLUICE_ASIDE bool meet_server(Frame& packet, uint32_t record);
  SLUICE_ASIDE void shift_request(const Frame& packet, const Flow& c);
  SLUICE_ASIDE void shift_reply(const Frame& packet, const Flow& c);
  SLUICE_ASIDE void shift_quote(const Frame& packet, const Flow& c, bool to_server);
  SLUICE_ASIDE bool ask_again(uint32_t record);
  void describe_splice(uint32_t record, Told& told) const;
  // Returns when the wheel is to come by: `due`, but sooner while the server has not answered.
  uint64_t adopt_splice(uint32_t record, const Told& told, uint64_t due);

 private:
  struct Admission {
    uint32_t cookie, client_isn;
    uint16_t window;
    net::SynOffer offer;
  };

  Half& self() { return static_cast<Half&>(*this); }
  const Half& self() const { return static_cast<const Half&>(*this); }
  Worker& worker() { return self().whole(); }
  const Snapshot& snapshot() const { return self().snapshot(); }
  Counters& counters() { return self().counters(); }
  uint64_t now_ms() const { return self().now_ms(); }
  Flow& connection(uint32_t record) { return self().table_[record]; }
  uint32_t number_of(const Flow& c) { return static_cast<uint32_t>(&c - &self().table_[0]); }

  bool has_cookie(const Frame& packet, Admission& admission) const;
  static bool become_syn(Frame& packet, const Admission& admission);
  static net::Tcp syn_of(const net::SynOffer& offer, uint32_t client_isn, uint16_t window);
  static bool resize(const Frame& packet, uint16_t ip_bytes);

  mode::splice::Splice& splices_at(uint32_t record);
  void give_up(Frame& packet, uint32_t record);
  bool meet_first_answer(Frame& packet, uint32_t record);
  bool splice_together(Frame& packet, uint32_t record);
  rte_mbuf* fresh_mbuf();
  void speak_for_client(Flow& c, const Hop& hop, rte_mbuf* mbuf, const net::Tcp& fields,
                        const net::SynOffer& offer, uint32_t source);
  void speak_for_server(const Flow& c, const Hop& hop);
  void lay_out(Frame& packet, rte_mbuf* mbuf, const TupleOf<Family>& ends, const net::Tcp& fields,
               const net::SynOffer& offer);
  void send_extra(const Frame& packet, const Hop& hop);

  // 7_cookie.cc
  void answer_by_cookie(Frame& packet, const Service& service);
  uint16_t proxy_mss(const Service& service);
};

}  // namespace sluice
