// A worker's IPv6 half: its own connection table, timing wheel and local ports, and the stages of
// pipeline6/. What is neither family's (counters, snapshot, clock, frames on their way out) is the
// Worker's.
//
// The Worker leaves IPv6 frames here as it meets them and has them forwarded when its burst is
// through, so that nothing of IPv6 lies on the way of IPv4's packets.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "pipeline6/packet6.h"
#include "table/fib6.h"
#include "table/templates.h"
#include "worker.h"

namespace sluice {

// Of a connection of the SYN proxy, whose numbers are shifted: packets of others don't ask for it.
enum class Spliced : bool { no, yes };

class Worker6 : public SyncHalf<Worker6, V6>, public ProxyHalf<Worker6, V6> {
  friend class SyncHalf<Worker6, V6>;
  friend class ProxyHalf<Worker6, V6>;
  friend class Worker;   // synchronises both halves
  friend class Tracing;  // watch/: sees what a packet met

 public:
  explicit Worker6(Worker& worker);

  void start(uint64_t now_ms);  // before anything else
  // Takes a frame with an IPv6 EtherType that is for this station or a group; at most kBurst
  // before each run().
  void take(rte_mbuf* mbuf, uint16_t port, bool handed_off) {
    Packet6& packet = burst_[waiting_++];
    packet.mbuf = mbuf;
    packet.port = port;
    packet.handed_off = handed_off;
  }
  void run();

  // As Worker::housekeep().
  bool housekeep(unsigned budget);
  void timeouts_changed() { relink_cursor_ = 0; }

  // As Worker::list(), of this half; 0 at the end.
  uint32_t list(uint32_t cursor, uint32_t limit, std::vector<uint8_t>& out) const;
  // Something that list() may have.
  bool has_listing() const { return table_.size() != 0 || six().has_persistence(); }
  uint32_t connections() const { return table_.size(); }
  bool is_told() const { return !feed_.in.empty(); }

 private:
  using Record = Connection<V6>;

  // worker6.cc
  void look_ahead(Packet6& packet) const;

  // 1_parse.cc
  void parse(Packet6& packet);
  bool find_upper_layer(Packet6& packet, bool group);
  void parse_upper_layer(Packet6& packet, bool group);
  bool take_fragment(Packet6& packet, const uint8_t* at, bool group);
  bool is_multicast_for_us(const Packet6& packet) const;
  void parse_quote(Packet6& packet);
  void complete_partial_checksum(Packet6& packet);
  static bool is_martian(const WideAddress& source);

  // 2_owner.cc
  uint16_t owner_of(const Packet6& packet) const;
  bool hand_off(Packet6& packet);
  bool hand_off_fragment(Packet6& packet, be32 id);
  void give_to(uint16_t owner, Packet6& packet);

  // 4_schedule.cc
  void process(Packet6& packet);
  uint32_t find_live(const Packet6& packet, Direction& direction);
  void first_packet(Packet6& packet);
  static bool begins_anew(const Packet6& packet, const Record& c);
  uint32_t connect(const Packet6& packet, const Service6& service, uint32_t chosen, End& failure);
  bool take_local_end(Record& c, const Service6& service, uint32_t chosen, End& failure);
  LocalPorts::Set port_set(const Record& c) const;
  void forward_once(Packet6& packet, const Service6& service, uint32_t chosen);
  bool find_call(const Packet6& packet, const Service& service, Calls::Key& call) const;
  uint32_t choose(const TupleOf<V6>& tuple, const Service& service, const Calls::Key* call);
  void keep_server(const WideAddress& client, const Service& service, const Server& server,
                   uint32_t record, const Calls::Key* call);
  void leave_template(uint32_t record);
  bool evict();
  bool evict_for_port(Record& c, const Service6& service);
  void give_way(uint32_t record);

  // 5_forward.cc
  template <Spliced spliced = Spliced::no>
  void forward_request(Packet6& packet, uint32_t record);
  template <Spliced spliced = Spliced::no>
  void forward_on(Packet6& packet, Record& c);
  template <Spliced spliced = Spliced::no>
  void forward_reply(Packet6& packet, uint32_t record);
  template <Spliced spliced = Spliced::no>
  void emit_request(Packet6& packet, Record& c, End end);
  void emit_in_ipv4(Packet6& packet, Record& c, End end);
  template <class Around>
  void send_around(Packet6& packet, const net::Ethernet& header, uint16_t port, uint32_t mtu,
                   End end, Record& c, const Around& around);
  Wrap renewed_wrap(Record& c) const;
  bool tell_client(Packet6& packet, const Record& c, const NextHop6& hop);
  bool without_server(Packet6& packet, uint32_t record);
  bool is_denied(Packet6& packet, uint32_t record, const Service& service);
  const NextHop6* next_hop(Record& c, Direction towards, End& failure);
  const NextHop* next_hop_v4(Record& c, End& failure);
  void update_state(uint32_t record, Sight sight, uint8_t flags);
  void update_sctp_state(const Packet6& packet, uint32_t record, Sight sight);
  void change_state(uint32_t record, State state);
  void count(const Record& c, Direction direction, uint16_t bytes);
  bool is_unanswered(const Record& c) const;
  void note_repeated_syn(Record& c);
  void note_first_answer(uint32_t record, uint8_t flags);

  // 6_icmp_error.cc
  void related_error(Packet6& packet);
  void translate_error(Packet6& packet, uint32_t record, Direction direction);
  void relay_tunnel_error(Packet6& packet, const Record& c);

  // 6_across.cc
  bool give_error_to_four(Packet6& packet, const net::Ipv6& outer, const uint8_t* inner);

  // 7_answer.cc
  void owned_or_punt(Packet6& packet);
  void accept(Packet6& packet);
  void answer_solicitation(Packet6& packet);
  void answer_echo(Packet6& packet);
  void answer_reset(Packet6& packet, End end = End::answered_reset);
  static bool l4_checksum_is_right(const Packet6& packet);
  void answer_icmp(Packet6& packet, uint8_t type, uint8_t code, uint32_t rest,
                   const WideAddress& source, End end);
  bool build_icmp(Packet6& packet, uint8_t type, uint8_t code, uint32_t rest,
                  const WideAddress& source, const WideAddress& destination);

  // 8_transmit.cc
  void reflect(Packet6& packet, const Mac& to, End end);
  void send_to(Packet6& packet, const NextHop6& hop, End end, const Record* record);
  void send(Packet6& packet, const net::Ethernet& header, uint16_t port, End end,
            const Record* record);
  using Pieces = std::array<rte_mbuf*, 64>;
  unsigned cut(const Packet6& packet, uint32_t mtu, Pieces& pieces);
  void send_pieces(Packet6& packet, unsigned n, const Pieces& pieces, const net::Ethernet& header,
                   uint16_t port, End end, const Record* record);
  void punt(Packet6& packet, End end);
  void drop(Packet6& packet, End end, const Record* record = nullptr);
  void tell(const Packet6& packet, End end, const Record* record, int port);
  void ask_for(uint16_t port, const WideAddress& address);

  bool is_of(const sync::Call& told) const;  // sync/calls.cc
  // sync/estate.cc
  bool describe(const TemplateOf<V6>& one, sync::Record6& told) const;
  void inherit_template(const sync::Record6& told);
  bool has_persistence() const { return six().has_persistence(); }
  // Calls of both families are the Worker's.
  bool bequeath_calls(uint32_t) const { return true; }
  void tell_all_calls(const sync::Feed6::Sweep&) const {}
  bool owes_calls() const { return false; }

  // worker6.cc
  unsigned list_connection(uint32_t record, std::vector<uint8_t>& out) const;
  unsigned list_template(const TemplateOf<V6>& one, std::vector<uint8_t>& out) const;
  void destroy(uint32_t record, Extra why);
  void bury(uint32_t record, Extra why);  // off the wheel
  void relink(unsigned budget);
  uint32_t timeout_of(State state) const { return worker_.timeout_of(state); }
  uint32_t idle_ms(const Record& c) const {
    return static_cast<uint32_t>(worker_.now_ms_) - c.last_seen_ms;
  }
  bool is_idle(const Record& c) const { return idle_ms(c) >= timeout_of(c.state); }
  bool owns(const WideAddress& address) const {
    return (six().address_flags(address) & Snapshot::kOwned) != 0;
  }
  Worker& whole() { return worker_; }
  const Snapshot& snapshot() const { return *worker_.snapshot_; }
  const Snapshot6& six() const { return worker_.snapshot_->six(); }
  const Fib6& fib() const { return worker_.fib_->six(); }
  Counters& counters() { return worker_.counters_; }
  Calls& calls() { return worker_.calls_; }
  uint64_t now_ms() const { return worker_.now_ms_; }
  uint32_t teller() const { return worker_.teller(); }

  // sync/worker.cc, as the Worker's.
  void tell_soon(uint32_t record) {
    if (feed_.on()) note_change(record);
  }
  bool follow_signpost(Packet6& packet, uint32_t record);

  Worker& worker_;
  Table6 table_;
  TimingWheel<Table6> wheel_;
  LocalPorts local_ports_;
  Expendables expendables_;
  Templates6 templates_;
  SynCookies<V6> cookies_;
  std::unique_ptr<Splices> splices_;  // from the first one on
  sync::Feed6 feed_;
  TableMemory<Calls::Held> held_;  // as the Worker's
  uint32_t relink_cursor_ = kNone;
  uint32_t port_hand_ = 0;  // next local port to look at for one that may go
  uint16_t waiting_ = 0;
  Packet6 burst_[kBurst];
  struct Asked {
    WideAddress address;
    uint16_t port;
    uint64_t at_ms;
  } asked_[64]{};
};

}  // namespace sluice
