// One worker: owns its connection table, timing wheel, local ports, scheduler state and counters,
// and runs the pipeline over bursts. Knows nothing of EAL, threads or time: the caller passes
// mbufs and the clock.
//
// A turn of the loop (live in live/lcore.cc, virtual in replay.cc) is
//   worker.begin(now, snapshot, fib); worker.receive(...) for each queue; worker.housekeep();
//   worker.flush(); report quiescence to RCU.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "answer_limit.h"
#include "aside.h"
#include "calibration.h"
#include "counters.h"
#include "mode/mode.h"
#include "net/plain.h"
#include "pipeline/packet.h"
#include "pipeline/proxy_half.h"
#include "scheduler/scheduler.h"
#include "sink.h"
#include "snapshot.h"
#include "steering.h"
#include "sync/half.h"
#include "table/calls.h"
#include "table/connection.h"
#include "table/connection_table.h"
#include "table/expendables.h"
#include "table/fib.h"
#include "table/local_ports.h"
#include "table/sctp_state.h"
#include "table/settled.h"
#include "table/tcp_state.h"
#include "table/templates.h"
#include "table/timing_wheel.h"
#include "types.h"

namespace sluice {

class Worker6;
struct Packet6;

// One record per packet's end when asked for (replay, trace).
struct Verdict {
  uint32_t source;  // mbuf's hash.fdir.hi on arrival
  End end;
  int8_t mode;  // -1: none
  int32_t service, server;
  int32_t out_port;
};

inline constexpr unsigned kMostFragments = 8;  // of one datagram: rte_ip_frag's own limit

struct WorkerOptions {
  uint16_t index = 0;
  uint16_t workers = 1;
  const Steering* steering = nullptr;  // how NICs spread packets over workers; nullptr: they don't
  Limits limits{};
  uint64_t seed = 1;                    // IP IDs, port cursors, hash key
  uint64_t cookie_seed = 1;             // of SYN cookies: all workers' the same
  uint64_t cookie_base_ms = 0;          // wall clock when the workers' clocks began
  bool partial_checksums[kMaxPorts]{};  // by port: complete partial checksums on arrival
  bool spreads[kMaxPorts]{};            // by port: its NIC was told to follow `steering`
  uint64_t* counters = nullptr;         // this worker's block
  uint16_t ports = 0;
  // Of two directors with the same local addresses, the half of their ports that this one gives
  // out: 0 or 1; -1: all of them.
  int port_half = -1;
  rte_mempool* mbufs = nullptr;  // for packets that have to be made
  // For datagrams put together from fragments: elements of kMostFragments times the largest
  // MTU. Without it fragments are dropped.
  rte_mempool* datagrams = nullptr;
  // Health checks that go to VIPs, whose servers answer from there; nullptr: there are none ever.
  const std::atomic<size_t>* vip_checks = nullptr;
};

class Worker : public SyncHalf<Worker, V4>, public ProxyHalf<Worker, V4> {
  friend class SyncHalf<Worker, V4>;
  template <class Half, class Family>
  friend class ProxyHalf;
  friend class Tracing;  // watch/: sees what a packet met
  friend class Watcher;
  friend class Worker6;

 public:
  Worker(const WorkerOptions& options, Sink& sink);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Start of a turn. now_ms: monotonic milliseconds. Both pointers stay valid until the next begin.
  void begin(uint64_t now_ms, const Snapshot* snapshot, const Fib* fib);
  // Takes ownership of n ≤ kBurst mbufs that arrived on `port`.
  [[gnu::flatten]] void receive(uint16_t port, rte_mbuf** packets, uint16_t n);
  // Packets that another worker received and handed off; mbuf->port says where they arrived.
  void receive_handed_off(rte_mbuf** packets, uint16_t n);
  // Expiry in bounded steps: at most `budget` connections are looked at, more than a burst can
  // begin, or the table would grow for as long as one follows another. True when up to date.
  bool housekeep(unsigned budget = 2 * kBurst) {
    // Nothing more is due before the clock goes on.
    if (now_ms_ == expired_at_ms_ && relink_cursor_ == kNone && !feed_.on()) return true;
    return keep_house(budget);
  }
  // Sends what the turn has gathered.
  void flush();

  // Verdicts are appended here while set.
  void set_verdicts(std::vector<Verdict>* verdicts) { verdicts_ = verdicts; }

  // Appends kListRecordBytes for each live connection from record `cursor` on, until `limit` are
  // found or 64 Ki records were seen; returns the next cursor, 0 at the end. Only from the
  // worker's own thread (mailbox).
  static constexpr size_t kListRecordBytes = 96;
  uint32_t list(uint32_t cursor, uint32_t limit, std::vector<uint8_t>& out) const;

  // sync/worker.cc, of both halves. Part of housekeep(); between bursts.
  SLUICE_ASIDE bool synchronise();
  // An end of connection sync of either half.
  sync::Feeds feeds();
  void start_sync(const sync::FeedOptions& options);
  void stop_sync();
  // Notes are kept from now on, whether or not anything is told.
  void keep_notes();
  // SyncHalf's, of both halves.
  void leave_estates(std::unique_ptr<sync::Estate>& four, std::unique_ptr<sync::Estate6>& six);
  // No packet comes any more: tells what is left in steps. True when all of it has been.
  bool settle_estate();
  // Something waits to be adopted.
  bool is_told() const;
  uint64_t now_ms() const { return now_ms_; }

  Counters& counters() { return counters_; }
  // Of the family that has more: each has a table of its own, of the same size.
  uint32_t connections() const;
  const LocalPorts& local_ports() const { return local_ports_; }

 private:
  using Record = Connection<V4>;

  SLUICE_ASIDE void take_note(const Snapshot* snapshot, const Fib* fib, bool new_fib);
  [[gnu::flatten]] bool keep_house(unsigned budget);
  void run(uint16_t port, rte_mbuf** mbufs, uint16_t n, bool handed_off);

  // pipeline/1_parse.cc: frame → headers and key, or an end.
  void parse(const Group& group);
  SLUICE_ASIDE static uint32_t parse_frames(Worker& worker, const Group& group);
  SLUICE_ASIDE void parse_closely(const Group& group);
  bool parse_plain(Packet& packet, rte_mbuf* mbuf, const net::PlainFrame& plain);
  SLUICE_ASIDE static void unfold(Packet& packet, const Group& group);
  SLUICE_ASIDE void parse_other(Packet& packet, rte_mbuf* mbuf, const Group& group);
  bool was_for_virtual_mac(const Packet& packet);
  void parse_packet(Packet& packet, bool handed_off);
  SLUICE_ASIDE void parse_quote(Packet& packet);
  SLUICE_ASIDE void leave_to_six(Packet& packet, bool handed_off);
  SLUICE_ASIDE void run_six();
  SLUICE_ASIDE void complete_partial_checksum(Packet& packet);
  static bool is_martian(be32 source);
  SLUICE_ASIDE static bool has_source_route(const net::Ipv4& ip);

  // pipeline/1_reassemble.cc
  struct Fragments;
  static std::unique_ptr<Fragments, void (*)(Fragments*)> make_fragments();
  SLUICE_ASIDE bool reassemble(Packet& packet);
  SLUICE_ASIDE bool reassemble(Packet6& packet, const uint8_t* at);
  rte_mbuf* in_one_segment(rte_mbuf* whole, unsigned lost, uint16_t& largest);
  SLUICE_ASIDE void expire_fragments();
  SLUICE_ASIDE bool bury_fragments();

  // pipeline/2_owner.cc: packets of other workers' flows are handed off.
  SLUICE_ASIDE void hand_off(const Group& group);
  SLUICE_ASIDE bool hand_off_fragment(Packet& packet);
  void give_to(uint16_t owner, Packet& packet);
  uint16_t owner_of(const Packet& packet) const;
  bool came_to_owner(const Packet& packet);
  SLUICE_ASIDE void calibrate(Calibration& calibration, const Packet& packet);

  // pipeline/3_lookup.cc: prefetches, then each packet's connection.
  void lookup(const Group& group);
  uint32_t find_live(const Packet& packet, Direction& direction);

  // pipeline/4_schedule.cc: first packets.
  void process(const Group& burst);
  SLUICE_ASIDE void process(Packet& packet, const Group& burst);
  SLUICE_ASIDE void first_packet(Packet& packet);
  SLUICE_ASIDE bool refuse(Packet& packet, const Service& service);
  bool leaves_to_director(be32 destination) const;
  static bool begins_anew(const Packet& packet, const Record& c);
  SLUICE_ASIDE bool find_call(const Packet& packet, const Service& service, Calls::Key& call) const;
  SLUICE_ASIDE uint32_t schedule_persistent(const ScheduleContext& context, const Calls::Key* call);
  uint32_t choose(const TupleOf<V4>& tuple, const Service& service, const Calls::Key* call);
  SLUICE_ASIDE void keep_server(be32 client, const Service& service, const Server& server,
                                uint32_t record, const Calls::Key* call);
  SLUICE_ASIDE void leave_template(uint32_t record);
  uint32_t connect(const Packet& packet, const Service& service, const Server& server,
                   End& failure);
  bool take_local_end(Record& record, const Service& service, const Server& server, End& failure);
  bool take_port(Record& record, be32 server, be16 server_port, be32 local);
  static void set_reply(Record& record, be32 server, be16 server_port, be32 local, be16 port);
  SLUICE_ASIDE void forward_once(Packet& packet, const Service& service, const Server& server);

  // pipeline/4_evict.cc: room for first packets.
  SLUICE_ASIDE bool evict();
  SLUICE_ASIDE bool evict_for_port(Record& record, std::span<const be32> locals);
  SLUICE_ASIDE void give_way(uint32_t record);

  // pipeline/5_settled.cc: nearly all of it.
  enum class Takes : uint8_t { requests, replies, both };
  struct Forwarded {
    uint32_t bytes;  // that leave, with Ethernet's header
    uint16_t packets, replies;
    uint32_t ports;  // that they leave by, a bit each
  };
  struct RunKind {
    // By the direction of the first packet, and + 2 when the next one's differs; nullptr: the full
    // way.
    Forwarded (*forward[4])(Worker& worker, const Group& packets);
    End ends[2];
  };
  uint16_t forward_settled(const Group& group);
  template <Mode mode, Wrap wrap, uint8_t protocol, Takes takes>
  SLUICE_ASIDE static Forwarded forward_run(Worker& worker, const Group& packets);
  SLUICE_ASIDE void count_services(const Group& packets, uint16_t n);
  template <Mode mode, Wrap wrap, uint8_t protocol>
  static constexpr RunKind kind_of();
  const NextHop& hop_of(const Packet& packet) const;
  SLUICE_ASIDE void spread(const Group& packets, uint16_t n, const End* ends);
  SLUICE_ASIDE void tell_run(const Group& packets, uint16_t n, const End* ends);

  // pipeline/5_forward.cc: established traffic.
  void forward_request(Packet& packet, uint32_t record);
  void forward_on(Packet& packet, Record& record);
  void forward_reply(Packet& packet, uint32_t record);
  void emit_request(Packet& packet, Record& record, const NextHop& hop, End end);
  void renew_wrap(Record& record) const;
  static unsigned overhead_of(const Record& record);
  bool wrap_up(Packet& packet, const Record& record, const NextHop& hop);
  bool fits(const Packet& packet, uint32_t mtu) const;
  bool server_gone(Packet& packet, uint32_t record);
  SLUICE_ASIDE bool without_server(Packet& packet, uint32_t record);
  SLUICE_ASIDE bool is_denied(Packet& packet, uint32_t record, const Service& service);
  void settle(Record& record);
  const NextHop* next_hop(Record& record, Direction towards, End& failure);
  SLUICE_ASIDE const NextHop* find_next_hop(Record& record, Direction towards, End& failure);
  bool tell_client(Packet& packet, Record& record, const NextHop& hop);
  SLUICE_ASIDE bool replace_client_option(Packet& packet, Record& record, const NextHop& hop,
                                          bool due);
  bool tell_by_ip_option(Packet& packet, const Record& record, const NextHop& hop);
  bool make_room(Packet& packet, unsigned bytes, unsigned head);
  void update_state(uint32_t record, Sight sight, uint8_t flags);
  SLUICE_ASIDE void update_sctp_state(const Packet& packet, uint32_t record, Sight sight);
  SLUICE_ASIDE void change_state(uint32_t record, State state);
  void count(const Record& record, Direction direction, uint16_t bytes);

  // pipeline/5_in_ipv6.cc: tunnels to IPv6 servers.
  SLUICE_ASIDE void emit_in_ipv6(Packet& packet, Record& record, End end);
  const NextHop6* next_hop_v6(const Record& record, End& failure);

  // pipeline/5_handshake.cc: how servers answer SYNs.
  bool is_unanswered(const Record& record) const;
  SLUICE_ASIDE void note_repeated_syn(uint32_t record);
  SLUICE_ASIDE void note_first_answer(uint32_t record, uint8_t flags);
  SLUICE_ASIDE void note_refusal(uint32_t record);
  SLUICE_ASIDE void note_half_open_end(uint32_t record, Extra why);

  // pipeline/6_icmp_error.cc: errors about a connection, translated.
  SLUICE_ASIDE void related_error(Packet& packet);
  SLUICE_ASIDE void translate_error(Packet& packet, uint32_t record, Direction direction);
  SLUICE_ASIDE void relay_tunnel_error(Packet& packet, const Record& record);

  // pipeline/6_across.cc: errors about tunnels between families.
  SLUICE_ASIDE bool give_error_to_six(Packet& packet, const net::Ipv4& outer, const uint8_t* inner);
  SLUICE_ASIDE void take_error(rte_mbuf* mbuf, uint16_t port);

  // pipeline/7_answer.cc: what the director says itself, out of the port the packet came from.
  SLUICE_ASIDE void owned_or_punt(Packet& packet);
  void accept(Packet& packet);
  bool may_answer_check(const Packet& packet) const;
  SLUICE_ASIDE void answer_arp(Packet& packet, net::Arp* arp);
  SLUICE_ASIDE void answer_echo(Packet& packet);
  SLUICE_ASIDE void answer_reset(Packet& packet, End end = End::answered_reset);
  static bool l4_checksum_is_right(const Packet& packet);
  bool may_answer() { return answer_limit_.take(now_ms_, snapshot_->answer_rate()); }
  SLUICE_ASIDE void answer_icmp(Packet& packet, uint8_t type, uint8_t code, be32 rest, be32 source,
                                End end);
  SLUICE_ASIDE bool build_icmp(Packet& packet, uint8_t type, uint8_t code, be32 rest, be32 source,
                               be32 destination);

  // pipeline/8_transmit.cc: ends, counted once a packet.
  SLUICE_ASIDE void reflect(Packet& packet, const Mac& to, End end);
  void send_to(Packet& packet, const NextHop& hop, End end, const Record* record);
  SLUICE_ASIDE void send_fragments(Packet& packet, const NextHop& hop, End end,
                                   const Record* record);
  using Pieces = std::array<rte_mbuf*, 64>;
  unsigned cut(Packet& packet, uint32_t mtu, Pieces& pieces);
  void send_pieces(Packet& packet, unsigned n, const Pieces& pieces, const net::Ethernet& header,
                   uint16_t port, End end, const Record* record);
  SLUICE_ASIDE void punt(Packet& packet, End end);
  SLUICE_ASIDE void drop(Packet& packet, End end, const Record* record = nullptr);
  void tell(const Packet& packet, End end, const Record* record, int port) {
    if (verdicts_ != nullptr) [[unlikely]]
      add_verdict(packet, end, record, port);
  }
  SLUICE_ASIDE void add_verdict(const Packet& packet, End end, const Record* record, int port);
  SLUICE_ASIDE void note(Note what, uint32_t service);
  SLUICE_ASIDE void ask_for(uint16_t port, be32 address);

  // sync/worker.cc: connections that the peer is to know of.
  void tell_soon(uint32_t record) {
    if (feed_.on()) [[unlikely]]
      note_change(record);
  }
  SLUICE_ASIDE bool follow_signpost(Packet& packet, uint32_t record);
  static LocalPorts::Set port_set(const Record& c) {
    return {c.laddr, c.raddr, c.rport, c.protocol()};
  }
  const Snapshot& snapshot() const { return *snapshot_; }
  Worker& whole() { return *this; }
  uint32_t teller() const { return sync::teller(options_.index, options_.workers); }
  // sync/estate.cc
  bool describe(const TemplateOf<V4>& one, sync::Record& told) const;
  void inherit_template(const sync::Record& told);
  // sync/calls.cc
  bool describe_call(uint32_t place, sync::Call& told) const;
  bool synchronise_calls();
  bool adopt_calls();
  void adopt(const sync::Call& told);
  bool tell_calls();
  void tell_call(uint32_t place);
  bool bequeath_calls(uint32_t looks);
  void tell_all_calls(const sync::Feed::Sweep& sweep) { call_feed_.sweep = sweep; }
  bool owes_calls() const { return call_feed_.sweep.everything; }
  bool has_persistence() const { return snapshot_->has_persistence(); }

  unsigned list_connection(uint32_t record, std::vector<uint8_t>& out) const;
  unsigned list_template(const TemplateOf<V4>& one, std::vector<uint8_t>& out) const;
  uint32_t list_calls(uint32_t at, uint32_t limit, std::vector<uint8_t>& out) const;
  unsigned list_call(uint32_t place, std::vector<uint8_t>& out) const;

  // table upkeep, worker.cc
  uint32_t timeout_of(State state) const {
    return snapshot_->timeouts()[static_cast<unsigned>(state)];
  }
  uint32_t idle_ms(const Record& record) const {
    return static_cast<uint32_t>(now_ms_) - record.last_seen_ms;
  }
  bool is_idle(const Record& record) const { return idle_ms(record) >= timeout_of(record.state); }
  SLUICE_ASIDE void destroy(uint32_t record, Extra why);
  SLUICE_ASIDE void relink(unsigned budget);
  // A connection on its way out of the table: where its traces are.
  struct Leaving {
    uint32_t record;
    uint64_t request, reply;  // hashes; 0: no such tuple
    LocalPorts::Place port;
  };
  static constexpr unsigned kLeaving = 8;         // × up to four lines in flight
  void leave(uint32_t record, Leaving& leaving);  // of a record that is off the wheel
  void bury(const Leaving& leaving, Extra why);
  // Thresholds are shared out among the workers, each of which sees its own connections.
  uint64_t connections_of(uint32_t server) {
    const uint64_t* counted = counters_.server(server);
    return (counted[kActive] + counted[kInactive]) * options_.workers;
  }
  SLUICE_ASIDE void relieve(uint32_t server);
  void think_again_of_thresholds();
  void rest(const Server& server) {
    overloaded_[server.slot] = server.upper;
    some_rest_ = true;
  }
  be16 fresh_ip_id() { return to_be(static_cast<uint16_t>(++ip_id_)); }
  // Of a tunnel's outer header; see mode/tunnel.h.
  be16 tunnel_id(const net::Ipv4& inner) { return inner.dont_fragment() ? be16{0} : fresh_ip_id(); }

  // Frames waiting for their port, TAP or worker, with the end they were counted under.
  struct Out {
    uint16_t n = 0;
    uint64_t bytes = 0;
    rte_mbuf* mbufs[2 * kBurst];
    End ends[2 * kBurst];
  };
  void push(Out& out, rte_mbuf* mbuf, End end) {
    out.mbufs[out.n] = mbuf;
    out.ends[out.n++] = end;
    out.bytes += rte_pktmbuf_pkt_len(mbuf);
    if (end != End::hand_off_full) counters_.end(end);
  }
  SLUICE_ASIDE void flush_port(uint16_t port);
  void flush_punt(uint16_t port);
  void flush_hand_off(uint16_t worker);
  void settle(Out& out, uint16_t sent, End instead);

  WorkerOptions options_;
  Sink& sink_;
  Counters counters_;
  Table table_;
  TimingWheel<Table> wheel_;
  LocalPorts local_ports_;
  Expendables expendables_;
  Templates templates_;
  SynCookies<V4> cookies_;
  std::unique_ptr<Splices> splices_;  // from the first one on
  sync::Feed feed_;
  uint32_t port_hand_ = 0;                  // next local port to look at for one that may go
  std::vector<SchedulerState> schedulers_;  // by service slot
  SchedulerOwn scheduler_own_;
  std::vector<uint32_t> overloaded_;    // by server slot, see ScheduleContext
  bool some_rest_ = false;              // of them one may not be 0
  std::vector<uint32_t> local_cursor_;  // by service slot: next LIP to try

  std::unique_ptr<Fragments, void (*)(Fragments*)> fragments_;
  std::unique_ptr<Worker6> six_;
  Calibration calibrations_[kMaxPorts];

  const Snapshot* snapshot_ = nullptr;
  const Fib* fib_ = nullptr;
  uint32_t snapshot_generation_ = 0, fib_generation_ = 0;
  Epoch epoch_;
  net::PlainFrame plain_[kMaxPorts];  // by port
  Record nobody_{};                   // what a packet's record is before it has one
  // Being received. With room behind, as records are asked for ahead: what is there was one's, or
  // is nobody's.
  Packet burst_[kBurst + kRecordsAhead]{};
  uint64_t now_ms_ = 0;
  static constexpr uint64_t kNever = UINT64_MAX;
  uint64_t expired_at_ms_ = kNever;  // when nothing more was due
  bool started_ = false;
  uint32_t timeouts_[kStates]{};    // of the snapshot that the wheel was last in line with
  uint32_t relink_cursor_ = kNone;  // next record to move after they changed
  uint64_t random_;
  uint32_t ip_id_;
  AnswerLimit answer_limit_;  // of both families
  bool six_waits_ = false;    // IPv6 frames of this burst wait for their turn

  std::vector<Verdict>* verdicts_ = nullptr;
  Out to_port_[kMaxPorts];
  Out to_twin_[kMaxPorts];
  Out to_worker_[kMaxWorkers];
  struct NoteState {
    uint64_t last_ms = 0;
    uint32_t count = 0;
  } notes_[static_cast<unsigned>(Note::count_)];
  // Neighbours asked for lately: a small direct-mapped memory, to ask once a second each.
  struct Asked {
    be32 address;
    uint16_t port;
    uint64_t at_ms;
  } asked_[64]{};

  Calls calls_;  // of both families
  sync::CallFeed call_feed_;
  // By record: of a connection to a service with an engine. Nothing else touches it.
  TableMemory<Calls::Held> held_;
};

}  // namespace sluice
