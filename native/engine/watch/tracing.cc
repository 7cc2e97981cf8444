#include "tracing.h"

#include <algorithm>

#include "../net/encapsulation.h"

namespace sluice {

using namespace net;

namespace {

constexpr uint32_t kKept = 160;  // Ethernet and the largest IP, TCP and outer headers

// Ends that a packet gets when its frame is not taken, behind the verdict's back.
constexpr End kLate[] = {End::transmit_full, End::punt_full, End::hand_off_full};

bool is(const WideAddress& wanted, const WideAddress& address) {
  return is_unspecified(wanted) || wanted == address;
}
bool is_port(be16 wanted, be16 port) {
  return wanted == 0 || wanted == port;
}
bool is_request(const FlowFilter& f, const TupleOf<V6>& t) {
  return is(f.client, t.source) && is_port(f.client_port, t.source_port) &&
         is(f.service, t.destination) && is_port(f.service_port, t.destination_port);
}

TupleOf<V6> turned(const TupleOf<V6>& t) {
  return {t.destination, t.source, t.destination_port, t.source_port};
}

TupleOf<V6> widened(const TupleOf<V4>& t) {
  return {mapped(t.source), mapped(t.destination), t.source_port, t.destination_port};
}

// As stage 1 has it (parse_quote): the reverse of what is quoted, or a tunnelled request itself.
void look_at_quote(Tracing::Sight& sight, const Snapshot& snapshot, const uint8_t* at,
                   const uint8_t* end) {
  for (bool inner = false;; inner = true) {
    if (at + sizeof(Ipv4) > end) return;
    const auto& ip = *reinterpret_cast<const Ipv4*>(at);
    const uint8_t* l4 = at + ip.header_bytes();
    const Inside inside =
        inner || l4 > end ? Inside{nullptr, 0}
                          : look_inside(ip.protocol, const_cast<uint8_t*>(l4), end, [&](be16 port) {
                              return snapshot.is_gue(mapped(ip.destination), port);
                            });
    if (inside.packet != nullptr) {
      if (inside.protocol != kIpip) return;
      at = inside.packet;
      continue;
    }
    if (l4 + 4 > end || !has_ports(ip.protocol)) return;
    const TupleOf<V6> quoted =
        widened(TupleOf<V4>{ip.source, ip.destination, load<be16>(l4), load<be16>(l4 + 2)});
    sight.tuple = inner ? quoted : turned(quoted);
    sight.key_protocol = ip.protocol;
    sight.has_key = sight.icmp_error = true;
    return;
  }
}

// Past IPv6's extension headers, as far as they are there; the fragment header only when asked.
const uint8_t* skip_extensions(uint8_t& next, const uint8_t* at, const uint8_t* end) {
  while (next == kHopByHop || next == kRouting || next == kDestinationOptions) {
    const auto left = static_cast<size_t>(end - at);
    if (left < 8 || (size_t{at[1]} + 1) * 8 > left) return nullptr;
    next = at[0];
    at += (size_t{at[1]} + 1) * 8;
  }
  return at;
}

uint32_t keep(const rte_mbuf* frame, uint8_t* to) {
  const uint32_t kept = std::min(kKept, rte_pktmbuf_pkt_len(frame));
  uint8_t copy[kKept];
  const void* from = rte_pktmbuf_read(frame, 0, kept, copy);
  if (from == nullptr) return 0;
  std::memcpy(to, from, kept);
  return kept;
}

}  // namespace

Tracing::Sight Tracing::look(const rte_mbuf& frame, uint16_t port) const {
  Sight sight;
  sight.port = port;
  const auto* start = rte_pktmbuf_mtod(&frame, const uint8_t*);
  const uint8_t* end = start + rte_pktmbuf_data_len(&frame);
  const auto& ethernet = *reinterpret_cast<const Ethernet*>(start);
  const uint8_t* l3 = start + sizeof(Ethernet);
  if (l3 + sizeof(Arp) <= end && ethernet.type == kEtherArp) {
    const auto& arp = *reinterpret_cast<const Arp*>(l3);
    sight.source = mapped(arp.sender);
    sight.destination = mapped(arp.target);
  } else if (l3 + sizeof(Ipv4) <= end && ethernet.type == kEtherIpv4) {
    look4(sight, l3, end);
  } else if (l3 + sizeof(Ipv6) <= end && ethernet.type == kEtherIpv6) {
    look6(sight, l3, end);
  }
  return sight;
}

void Tracing::look4(Sight& sight, const uint8_t* at, const uint8_t* end) const {
  const auto& ip = *reinterpret_cast<const Ipv4*>(at);
  sight.is_ip = true;
  sight.protocol = sight.key_protocol = ip.protocol;
  sight.is_icmp = ip.protocol == kIcmp;
  sight.source = sight.tuple.source = mapped(ip.source);
  sight.destination = sight.tuple.destination = mapped(ip.destination);
  sight.fragment = ip.is_fragment();
  const bool has_ports = (ip.fragment & to_be(uint16_t{0x1fff})) == 0;
  const uint8_t* l4 = at + ip.header_bytes();
  if (!has_ports || l4 + 4 > end) return;
  if (sluice::has_ports(ip.protocol)) {
    sight.tuple.source_port = load<be16>(l4);
    sight.tuple.destination_port = load<be16>(l4 + 2);
    sight.has_key = true;
  } else if (ip.protocol == kIcmp && l4 + sizeof(Icmp) <= end && is_related_error(l4[0])) {
    look_at_quote(sight, *worker_.snapshot_, l4 + sizeof(Icmp), end);
  }
}

void Tracing::look6(Sight& sight, const uint8_t* at, const uint8_t* end) const {
  const auto& ip = *reinterpret_cast<const Ipv6*>(at);
  sight.is_ip = sight.is_six = true;
  sight.source = sight.tuple.source = ip.source;
  sight.destination = sight.tuple.destination = ip.destination;
  uint8_t next = ip.next;
  const uint8_t* l4 = skip_extensions(next, at + sizeof(Ipv6), end);
  bool has_ports = l4 != nullptr;
  if (has_ports && next == kFragmentHeader && l4 + 8 <= end) {
    sight.fragment = true;
    next = l4[0];
    has_ports = (load<be16>(l4 + 2) & to_be(uint16_t{0xfff8})) == 0;
    l4 += 8;
  }
  sight.protocol = sight.key_protocol = next;
  sight.is_icmp = next == kIcmp6;
  if (!has_ports || l4 + 4 > end) return;
  if (sluice::has_ports(next)) {
    sight.tuple.source_port = load<be16>(l4);
    sight.tuple.destination_port = load<be16>(l4 + 2);
    sight.has_key = true;
  } else if (sight.is_icmp && l4 + sizeof(Icmp) <= end && is_related_error6(l4[0])) {
    look_at_quote6(sight, l4 + sizeof(Icmp), end);
  }
}

void Tracing::look_at_quote6(Sight& sight, const uint8_t* at, const uint8_t* end) const {
  for (bool inner = false;; inner = true) {
    if (at + sizeof(Ipv6) > end) return;
    const auto& ip = *reinterpret_cast<const Ipv6*>(at);
    uint8_t next = ip.next;
    const uint8_t* l4 = skip_extensions(next, at + sizeof(Ipv6), end);
    if (l4 == nullptr) return;
    const Inside inside = inner ? Inside{nullptr, 0}
                                : look_inside(next, const_cast<uint8_t*>(l4), end, [&](be16 port) {
                                    return worker_.snapshot_->is_gue(ip.destination, port);
                                  });
    if (inside.packet != nullptr) {
      if (inside.protocol != kIpv6InIp) return;
      at = inside.packet;
      continue;
    }
    if (l4 + 4 > end || !has_ports(next)) return;
    const TupleOf<V6> quoted{ip.source, ip.destination, load<be16>(l4), load<be16>(l4 + 2)};
    sight.tuple = inner ? quoted : turned(quoted);
    sight.key_protocol = next;
    sight.has_key = sight.icmp_error = true;
    return;
  }
}

// A later fragment tells no ports: it is taken for one of the flow if the addresses fit.
bool Tracing::matches(const FlowFilter& flow, const Sight& sight) const {
  if (!sight.is_ip) {
    const bool whole = flow.protocol == 0 && flow.client_port == 0 && flow.service_port == 0;
    return whole && is(flow.client, sight.source) && is(flow.service, sight.destination);
  }
  if (flow.protocol == kIcmp || (flow.protocol == 0 && sight.is_icmp)) {
    const bool there = is(flow.client, sight.source) && is(flow.service, sight.destination);
    const bool back = is(flow.client, sight.destination) && is(flow.service, sight.source);
    if (sight.is_icmp && flow.client_port == 0 && flow.service_port == 0 && (there || back)) {
      return true;
    }
  }
  if (sight.has_key) {
    if (flow.protocol != 0 && flow.protocol != sight.key_protocol) return false;
    if (is_request(flow, sight.tuple)) return true;
    const bool any = is_unspecified(flow.client) && is_unspecified(flow.service);
    if (!any && is_request(flow, turned(sight.tuple))) return true;
    TupleOf<V6> request;
    return request_of(sight, request) && is_request(flow, request);
  }
  if (!sight.fragment || (flow.protocol != 0 && flow.protocol != sight.protocol)) return false;
  return is(flow.client, sight.source) && is(flow.service, sight.destination);
}

bool Tracing::request_of(const Sight& sight, TupleOf<V6>& request) const {
  if (sight.is_six) {
    Table6& table = worker_.six_->table_;
    const Found found = table.find(sight.key6(), table.hash(sight.key6()));
    if (found) request = table[found.record].request();
    return static_cast<bool>(found);
  }
  const Found found = worker_.table_.find(sight.key4(), worker_.table_.hash(sight.key4()));
  if (found) request = widened(worker_.table_[found.record].request());
  return static_cast<bool>(found);
}

const Service* Tracing::service_of(const Sight& sight) const {
  if (!sight.has_key || sight.icmp_error) return nullptr;
  const Snapshot& snapshot = *worker_.snapshot_;
  if (!sight.is_six) {
    return snapshot.service_for(sight.key4().tuple, sight.key_protocol, sight.port);
  }
  const Service6* service = snapshot.service_for(sight.tuple, sight.key_protocol, sight.port);
  return service == nullptr ? nullptr : service->common;
}

uint32_t Tracing::record_bytes(const Sight& sight) const {
  const Service* service = service_of(sight);
  const size_t servers = service == nullptr ? 0 : service->servers.size();
  const auto candidates = static_cast<uint32_t>(std::min<size_t>(servers, kMostCandidates));
  return sizeof(TraceRecord) + candidates * sizeof(CandidateRecord) + 2 * padded(kKept);
}

struct Tracing::Before {
  bool is_six = false;
  Found found;  // none: no live connection
  Connection<V4> connection{};
  Connection<V6> connection6{};
  const Service* service = nullptr;
  CandidateRecord candidates[kMostCandidates];
  uint64_t extras[kExtraCount];
  uint64_t late[std::size(kLate)];
  uint8_t bytes[padded(kKept)]{};
};

void Tracing::run(const Sight& sight, uint16_t port, rte_mbuf* frame, bool handed_off,
                  Watch::Lane* const* lanes, unsigned n) {
  static_assert(kExtraCount <= kTraceExtras);
  Worker& w = worker_;
  w.flush();  // so that what leaves next is this packet's doing
  TraceRecord record{};
  record.kind = RecordKind::trace;
  record.time_ns = epoch_ns_;
  record.port = handed_off ? frame->port : port;
  record.worker = static_cast<uint8_t>(index_);
  record.generation = w.snapshot_->generation();
  record.service = record.server = kNone;
  record.before_wire = rte_pktmbuf_pkt_len(frame);
  if (handed_off) record.flags |= kFromOtherWorker;
  if (sight.icmp_error) record.flags |= kIcmpError;

  Before before;
  find_connection(sight, before);
  if (before.found) {
    record.idle_ms =
        sight.is_six ? w.six_->idle_ms(before.connection6) : w.idle_ms(before.connection);
  } else {
    before.service = service_of(sight);
  }
  if (before.service != nullptr) weigh_candidates(record, sight, before);
  const uint64_t* extras = w.counters_.block() + w.counters_.offsets().extra;
  const uint64_t* ends = w.counters_.block() + w.counters_.offsets().ends;
  std::copy_n(extras, kExtraCount, before.extras);
  for (size_t i = 0; i < std::size(kLate); ++i) {
    before.late[i] = ends[static_cast<size_t>(kLate[i])];
  }
  record.before_kept = static_cast<uint16_t>(keep(frame, before.bytes));
  const size_t verdicts = w.verdicts_->size();
  if (handed_off) {
    w.receive_handed_off(&frame, 1);
  } else {
    w.receive(port, &frame, 1);
  }

  fill_verdict(record, before, verdicts);
  const rte_mbuf* output = find_output(record);
  uint8_t after[padded(kKept)]{};
  if (output != nullptr) {
    record.after_wire = rte_pktmbuf_pkt_len(output);
    record.after_kept = static_cast<uint16_t>(keep(output, after));
    if (record.end != kNoEnd && kind_of(static_cast<End>(record.end)) == Kind::FORWARDED) {
      fill_next_hop(record, *output);
    }
  }
  if (record.end == kNoEnd && output != nullptr) record.end = kHandedOff;
  // A SYN on a closed connection begins another, as one without any does.
  const auto created = static_cast<size_t>(Extra::connections_created);
  const bool begins = extras[created] != before.extras[created];
  if (before.found && !begins) fill_connection(record, before);
  if (begins) {
    Before now;
    find_connection(sight, now);
    fill_connection(record, now);
    record.flags &= static_cast<uint8_t>(~kHadConnection);
    record.state_before = 0;
  }
  w.flush();
  for (size_t i = 0; i < std::size(kLate); ++i) {
    if (ends[static_cast<size_t>(kLate[i])] == before.late[i]) continue;
    record.end = static_cast<uint8_t>(kLate[i]);
  }
  for (size_t i = 0; i < kExtraCount; ++i) {
    const auto change = static_cast<int64_t>(extras[i] - before.extras[i]);
    record.extras[i] = static_cast<int8_t>(std::clamp<int64_t>(change, INT8_MIN, INT8_MAX));
  }
  const uint32_t kept_before = padded(record.before_kept), kept_after = padded(record.after_kept);
  const auto candidates = static_cast<uint32_t>(record.candidates * sizeof(CandidateRecord));
  record.bytes = static_cast<uint32_t>(sizeof record) + candidates + kept_before + kept_after;
  for (unsigned i = 0; i < n; ++i) {
    Spool& spool = lanes[i]->spool;
    spool.write(&record, sizeof record);
    spool.write(before.candidates, candidates);
    spool.write(before.bytes, kept_before);
    spool.write(after, kept_after);
  }
}

void Tracing::find_connection(const Sight& sight, Before& before) const {
  before.is_six = sight.is_six;
  if (!sight.has_key) return;
  if (sight.is_six) {
    Worker6& w = *worker_.six_;
    before.found = w.table_.find(sight.key6(), w.table_.hash(sight.key6()));
    if (before.found && w.is_idle(w.table_[before.found.record])) before.found = {};
    if (before.found) before.connection6 = w.table_[before.found.record];
    return;
  }
  Worker& w = worker_;
  before.found = w.table_.find(sight.key4(), w.table_.hash(sight.key4()));
  if (before.found && w.is_idle(w.table_[before.found.record])) before.found = {};
  if (before.found) before.connection = w.table_[before.found.record];
}

// What the scheduler will have to choose from.
void Tracing::weigh_candidates(TraceRecord& record, const Sight& sight, Before& before) const {
  Worker& w = worker_;
  const Service& service = *before.service;
  const TupleOf<V6>& t = sight.tuple;
  const TupleOf<V4> tuple = sight.is_six ? TupleOf<V4>{folded(t.source), folded(t.destination),
                                                       t.source_port, t.destination_port}
                                         : sight.key4().tuple;
  const ScheduleContext context{service,     w.schedulers_[service.slot],
                                w.counters_, w.overloaded_.data(),
                                tuple,       w.scheduler_own_};
  record.service = service.slot;
  record.servers = static_cast<uint16_t>(std::min<size_t>(service.servers.size(), UINT16_MAX));
  record.candidates =
      static_cast<uint16_t>(std::min<size_t>(service.servers.size(), kMostCandidates));
  for (unsigned i = 0; i < record.candidates; ++i) {
    const Server& server = service.servers[i];
    before.candidates[i] = {server.slot,
                            server.weight,
                            static_cast<uint32_t>(context.active(server)),
                            static_cast<uint32_t>(context.inactive(server)),
                            server.up,
                            context.usable(server),
                            {}};
  }
}

// The packet ran alone, so the verdicts since are its own; the last one counts.
void Tracing::fill_verdict(TraceRecord& record, const Before& before, size_t verdicts) const {
  record.end = kNoEnd;
  record.out_port = UINT16_MAX;
  const auto& told = *worker_.verdicts_;
  if (told.size() > verdicts) {
    const Verdict& verdict = told.back();
    record.end = static_cast<uint8_t>(verdict.end);
    if (verdict.out_port >= 0) record.out_port = static_cast<uint16_t>(verdict.out_port);
    if (verdict.service >= 0) record.service = static_cast<uint32_t>(verdict.service);
    if (verdict.server >= 0) {
      record.server = static_cast<uint32_t>(verdict.server);
      record.mode = static_cast<uint8_t>(verdict.mode);
      record.flags |= kHasConnection;
    }
  }
  // A choice that came to nothing.
  const auto end = static_cast<End>(record.end);
  const bool chosen =
      end == End::table_full || end == End::local_ports_exhausted || end == End::tuple_conflict;
  if (chosen && record.server == kNone && before.service != nullptr) {
    record.server = worker_.schedulers_[before.service->slot].last_slot;
    const Server* server = worker_.snapshot_->server_of_slot(record.server);
    if (server != nullptr) record.mode = static_cast<uint8_t>(server->mode);
  }
}

void Tracing::fill_connection(TraceRecord& record, const Before& before) const {
  if (!before.found) return;
  record.flags |= kHadConnection | kHasConnection;
  if (before.found.direction == Direction::reply) record.flags |= kIsReply;
  auto fill = [&](const auto& was, State now, const TupleOf<V6>& request,
                  const TupleOf<V6>& reply) {
    record.state_before = static_cast<uint8_t>(was.state);
    record.state_after = static_cast<uint8_t>(now);
    record.mode = static_cast<uint8_t>(was.mode());
    if (record.service == kNone) record.service = was.service;
    if (record.server == kNone) record.server = was.server;
    record.timeout_ms = worker_.timeout_of(now);
    record.caddr = request.source;
    record.vaddr = request.destination;
    record.raddr = reply.source;
    record.cport = request.source_port;
    record.vport = request.destination_port;
    record.rport = reply.source_port;
    if (was.has(kOwnsLocalPort)) {
      record.laddr = reply.destination;
      record.lport = reply.destination_port;
    }
  };
  if (before.is_six) {
    const Connection<V6>& was = before.connection6;
    fill(was, worker_.six_->table_[before.found.record].state, was.request(), was.reply());
  } else {
    const Connection<V4>& was = before.connection;
    fill(was, worker_.table_[before.found.record].state, widened(was.request()),
         widened(was.reply()));
    const WideAddress* tunnel_end = worker_.snapshot_->tunnel_end_of_slot(was.server);
    if (tunnel_end != nullptr) record.raddr = *tunnel_end;
  }
}

const rte_mbuf* Tracing::find_output(TraceRecord& record) const {
  const rte_mbuf* first = nullptr;
  unsigned frames = 0;
  auto take = [&](const auto& out) {
    if (out.n == 0) return false;
    if (first == nullptr) first = out.mbufs[0];
    frames += out.n;
    return true;
  };
  for (uint16_t port = 0; port < worker_.options_.ports; ++port) {
    if (take(worker_.to_port_[port])) record.out_port = port;
    if (take(worker_.to_twin_[port])) record.flags |= kWentToTwin;
  }
  for (uint16_t owner = 0; owner < worker_.options_.workers; ++owner) {
    if (take(worker_.to_worker_[owner])) record.owner = static_cast<uint8_t>(owner);
  }
  record.frames = static_cast<uint8_t>(std::min(frames, 255u));
  return first;
}

void Tracing::fill_next_hop(TraceRecord& record, const rte_mbuf& frame) const {
  const auto& ethernet = *rte_pktmbuf_mtod(&frame, const Ethernet*);
  const Snapshot& snapshot = *worker_.snapshot_;
  const Server* server = snapshot.server_of_slot(record.server);
  const bool direct = server != nullptr && server->mode == Mode::dr;
  if (ethernet.type == kEtherIpv6) {
    const WideAddress* towards = &reinterpret_cast<const Ipv6*>(&ethernet + 1)->destination;
    const Service6* service = snapshot.six().service_of_slot(record.service);
    if (direct && service != nullptr) {
      const WideAddress* own = service->address_of(*server);
      if (own != nullptr) towards = own;
    }
    const Fib6::Answer answer = worker_.fib_->six().lookup(*towards);
    if (answer.next_hop == kNone) return;
    const NextHop6& hop = worker_.fib_->six()[answer.next_hop];
    record.next_hop = hop.address;
    record.mtu = hop.mtu;
    return;
  }
  const be32 towards =
      direct ? server->address : reinterpret_cast<const Ipv4*>(&ethernet + 1)->destination;
  const Fib::Answer answer = worker_.fib_->lookup(towards);
  if (answer.next_hop == kNone) return;
  const NextHop& hop = (*worker_.fib_)[answer.next_hop];
  record.next_hop = mapped(hop.address);
  record.mtu = hop.mtu;
}

}  // namespace sluice
