#include "exchange.h"

#include <algorithm>
#include <cstring>

namespace sluice::sync {
namespace {

constexpr uint64_t kAliveMs = 500;         // something is sent at least so often
constexpr uint64_t kSilentMs = 5'000;      // a peer not heard for so long is none
constexpr uint64_t kChallengeMs = 100;     // at least, between two challenges of one session
constexpr uint64_t kCutMs = 2 * kAliveMs;  // silence that hid something: more than a lost datagram
constexpr uint64_t kAskAgainMs = 2'000;    // an asked peer that says nothing is asked again
constexpr size_t kMostPeers = 8;           // sessions at once, proven or not
constexpr unsigned kBurstMs = 20;          // what the rate lets pass at once
constexpr unsigned kRecordsAGather = 8192;

template <class Family>
constexpr unsigned kIndex = std::is_same_v<Family, V6> ? 1 : 0;

template <class Family>
unsigned most_records(const Settings& settings) {
  if (settings.protocol == Protocol::sluice) {
    return static_cast<unsigned>(records_in<Family>(settings.datagram_bytes));
  }
  const size_t fit = (settings.datagram_bytes - ipvs::kHeaderBytes) / ipvs::kRecordBytes<Family>;
  return static_cast<unsigned>(std::min<size_t>(fit, UINT8_MAX));
}

}  // namespace

Exchange::Exchange(const Settings& settings, std::vector<Feeds> feeds, const Steering* steering,
                   uint64_t random, Send send, Wake wake)
    : settings_(settings),
      feeds_(std::move(feeds)),
      whereabouts_(steering, static_cast<uint16_t>(feeds_.size())),
      random_(random),
      send_(std::move(send)),
      wake_(std::move(wake)),
      four_{std::vector<uint8_t>(settings.datagram_bytes), 0, most_records<V4>(settings)},
      six_{std::vector<uint8_t>(settings.datagram_bytes), 0, most_records<V6>(settings)},
      calls_{std::vector<uint8_t>(settings.datagram_bytes)},
      marks_(feeds_.size() * kFamilies),
      wake_worker_(feeds_.size()) {
  for (const Feeds& feeds : feeds_) {
    sweep_ = std::max({sweep_, feeds.four->sweeps_wanted.load(), feeds.six->sweeps_wanted.load()});
  }
}

void Exchange::follow(std::shared_ptr<const Snapshot> snapshot) {
  for (unsigned i = 0; i < kStates; ++i) timeouts_s_[i] = snapshot->timeouts()[i] / 1000;
  whereabouts_.follow(std::move(snapshot));
}

// --- sending

unsigned Exchange::gather(uint64_t now_ms) {
  if (!settings_.tells) return 0;
  const uint64_t burst = std::max<uint64_t>(four_.most, uint64_t{settings_.rate} * kBurstMs / 1000);
  const uint64_t earned = (now_ms - tokens_at_ms_) * settings_.rate / 1000;
  if (earned != 0) {
    tokens_ = std::min(burst, tokens_ + earned);
    tokens_at_ms_ = now_ms;
  }
  six_first_ = !six_first_;
  // Before the records, whose marks say that everything has been told.
  unsigned taken = gather_calls();
  taken += six_first_ ? gather_of<V6>(now_ms) : 0;
  taken += gather_of<V4>(now_ms);
  if (!six_first_) taken += gather_of<V6>(now_ms);
  flush_all();
  if (taken != 0) sent_ms_ = now_ms;
  wake_told();
  return taken;
}

template <class Family>
unsigned Exchange::gather_of(uint64_t now_ms) {
  unsigned& next = next_feed_[kIndex<Family>];
  const unsigned most = filling<Family>().most;
  unsigned taken = 0, empty = 0;
  while (taken < kRecordsAGather && tokens_ != 0 && empty < feeds_.size()) {
    const unsigned worker = next;
    next = next + 1 == feeds_.size() ? 0 : next + 1;
    Spsc<RecordOf<Family>>& ring = feeds_[worker].template of<Family>().out;
    unsigned from_this = 0;
    for (; from_this < most && tokens_ != 0; ++from_this) {
      const RecordOf<Family>* record = ring.peek();
      if (record == nullptr) break;
      if (record->tale == Tale::mark) {
        note_mark(worker, kIndex<Family>, record->told_ms);
      } else {
        add(*record, now_ms);
        remind(worker, *record);
        --tokens_;
        ++taken;
      }
      ring.drop();
    }
    empty = from_this == 0 ? empty + 1 : 0;
  }
  return taken;
}

unsigned Exchange::gather_calls() {
  constexpr unsigned kAtOnce = 256;  // of a worker
  unsigned taken = 0;
  for (const Feeds& feeds : feeds_) {
    for (unsigned i = 0; i < kAtOnce && tokens_ != 0; ++i) {
      const Call* call = feeds.calls->out.peek();
      if (call == nullptr) break;
      add(*call);
      feeds.calls->out.drop();
      --tokens_;
      ++taken;
    }
  }
  flush_calls();
  return taken;
}

void Exchange::add(const Call& call) {
  if (settings_.protocol == Protocol::ipvs) return tally(figures_.not_sendable);
  const size_t room = calls_.datagram.size() - kHeaderBytes - kTagBytes - calls_.bytes;
  if (room < kCallBytes + call.bytes) flush_calls();
  calls_.bytes += write_call(calls_.datagram.data() + kHeaderBytes + calls_.bytes, call);
  ++calls_.filled;
}

void Exchange::flush_calls() {
  if (calls_.filled == 0) return;
  const Header header{Type::calls, calls_.filled, settings_.session, ++sequence_};
  const size_t n = seal(calls_.datagram.data(), header, calls_.bytes, settings_.key);
  tally(figures_.sent_records, calls_.filled);
  tally(figures_.sent_datagrams);
  calls_.filled = 0;
  calls_.bytes = 0;
  send_({calls_.datagram.data(), n});
}

// A connection that came from the other director, and whose requests arrive at another worker than
// its replies: while only the server speaks the signpost sees no packet, and would time out before
// the connection does.
template <class Family>
void Exchange::remind(unsigned worker, RecordOf<Family> record) {
  if (feeds_.size() == 1 || record.tale != Tale::live) return;
  const Whereabouts::Owners owners = whereabouts_.owners(record);
  if (owners.requests == worker || owners.connection != worker) return;
  record.tale = Tale::signpost;
  record.server = worker;
  put(owners.requests, record);
}

void Exchange::wake_told() {
  for (unsigned worker = 0; worker < feeds_.size(); ++worker) {
    if (!wake_worker_[worker]) continue;
    wake_worker_[worker] = false;
    wake_(worker);
  }
}

template <class Family>
void Exchange::add(const RecordOf<Family>& record, uint64_t now_ms) {
  Filling<Family>& into = filling<Family>();
  const uint32_t lag = static_cast<uint32_t>(now_ms) - record.told_ms;
  // Clocks of worker and sync thread start within moments of one another.
  figures_.lag_ms.store(lag < INT32_MAX ? lag : 0, std::memory_order_relaxed);
  if (settings_.protocol == Protocol::ipvs) {
    if (!ipvs::tellable(record)) return tally(figures_.not_sendable);
    uint8_t* at =
        into.datagram.data() + ipvs::kHeaderBytes + into.filled * ipvs::kRecordBytes<Family>;
    ipvs::write_record(at, record, timeouts_s_[static_cast<unsigned>(record.state)]);
  } else {
    write_record(into.datagram.data() + kHeaderBytes + into.filled * kRecordBytes<Family>, record);
  }
  if (++into.filled == into.most) flush<Family>();
}

template <class Family>
void Exchange::flush() {
  Filling<Family>& from = filling<Family>();
  if (from.filled == 0) return;
  uint8_t* const datagram = from.datagram.data();
  size_t n = 0;
  if (settings_.protocol == Protocol::ipvs) {
    n = ipvs::kHeaderBytes + from.filled * ipvs::kRecordBytes<Family>;
    ipvs::write_header(datagram, settings_.syncid, static_cast<uint16_t>(n),
                       static_cast<uint8_t>(from.filled));
  } else {
    const Header header{kRecordsOf<Family>, static_cast<uint16_t>(from.filled), settings_.session,
                        ++sequence_};
    n = seal(datagram, header, from.filled * kRecordBytes<Family>, settings_.key);
  }
  tally(figures_.sent_records, from.filled);
  tally(figures_.sent_datagrams);
  from.filled = 0;
  send_({datagram, n});
}

void Exchange::flush_all() {
  flush<V4>();
  flush<V6>();
}

// Only between datagrams of records: both are sealed in one place.
void Exchange::send(Type type, std::span<const uint64_t> words) {
  uint8_t small[kHeaderBytes + 16 + kTagBytes];
  size_t body = 0;
  for (const uint64_t word : words) {
    write_u64(small + kHeaderBytes + body, word);
    body += sizeof word;
  }
  const size_t n = seal(small, {type, 0, settings_.session, ++sequence_}, body, settings_.key);
  tally(figures_.sent_datagrams);
  send_({small, n});
}

// --- receiving

void Exchange::receive(std::span<const uint8_t> datagram, uint64_t now_ms) {
  tally(figures_.received_datagrams);
  if (settings_.protocol == Protocol::ipvs) return receive_ipvs(datagram);
  Header header{};
  switch (unseal(datagram.data(), datagram.size(), settings_.key, header)) {
    case Unsealed::malformed:
      return tally(figures_.refused_malformed);
    case Unsealed::bad_tag:
      return tally(figures_.refused_tag);
    case Unsealed::good:
      break;
  }
  if (header.session == settings_.session) return tally(figures_.refused_replayed);
  const auto body = datagram.subspan(kHeaderBytes, datagram.size() - kHeaderBytes - kTagBytes);
  // Answered whoever asks: it proves nothing but that this session lives.
  if (header.type == Type::challenge) return answer_challenge(body.data());
  if (Peer* peer = peer_of(header.session, now_ms)) hear(*peer, header, body, now_ms);
}

// Sessions are few: a peer that starts anew has another one, and the old one falls silent. One that
// hasn't proved itself may be a recording, so it never takes a proven one's place.
Exchange::Peer* Exchange::peer_of(uint64_t session, uint64_t now_ms) {
  for (Peer& peer : peers_) {
    if (peer.session == session) return &peer;
  }
  if (peers_.size() == kMostPeers) {
    const auto unproven = std::ranges::find_if(peers_, [](const Peer& p) { return p.nonce != 0; });
    if (unproven == peers_.end()) {
      tally(figures_.refused_unproven);
      return nullptr;
    }
    peers_.erase(unproven);
  }
  Peer peer{};
  peer.session = session;
  peer.nonce = nonce();
  peer.heard_ms = now_ms;
  peers_.push_back(peer);
  return &peers_.back();
}

void Exchange::hear(Peer& peer, const Header& header, std::span<const uint8_t> body,
                    uint64_t now_ms) {
  if (peer.nonce != 0) {
    if (header.type != Type::proof || read_u64(body.data()) != peer.nonce) {
      tally(figures_.refused_unproven);
      if (peer.challenged_ms != 0 && now_ms - peer.challenged_ms < kChallengeMs) return;
      peer.challenged_ms = now_ms;
      const uint64_t words[] = {peer.session, peer.nonce};
      return send(Type::challenge, words);
    }
    // What came before the proof was refused: everything has to be told anyway.
    peer.nonce = 0;
    peer.sequence = header.sequence;
    peer.heard_ms = now_ms;
    return tick(now_ms);
  }
  if (header.sequence <= peer.sequence) return tally(figures_.refused_replayed);
  const uint64_t lost = header.sequence - peer.sequence - 1;
  tally(figures_.lost_datagrams, lost);
  // A link that was away: what was told meanwhile is asked for, rather than waited for.
  if (lost != 0 && now_ms - peer.heard_ms > kCutMs) {
    peer.complete = false;
    peer.asked_ms = 0;
  }
  peer.sequence = header.sequence;
  peer.heard_ms = now_ms;
  switch (header.type) {
    case Type::records:
      take<V4>(header, body.data());
      break;
    case Type::records6:
      take<V6>(header, body.data());
      break;
    case Type::calls:
      take_calls(header, body);
      break;
    case Type::ask:
      if (read_u64(body.data()) == settings_.session && settings_.tells)
        give_everything(peer.session);
      break;
    case Type::done:
      if (read_u64(body.data()) != settings_.session) break;
      peer.complete = true;
      tally(figures_.bulks_done);
      break;
    default:
      break;
  }
  wake_told();
}

template <class Family>
void Exchange::take(const Header& header, const uint8_t* body) {
  tally(figures_.received_records, header.count);
  for (unsigned i = 0; i < header.count; ++i) {
    if (const auto record = read_record<Family>(body + i * kRecordBytes<Family>)) {
      give(*record);
    } else {
      tally(figures_.refused_other);
    }
  }
}

void Exchange::take_calls(const Header& header, std::span<const uint8_t> body) {
  tally(figures_.received_records, header.count);
  for (unsigned i = 0; i < header.count; ++i) {
    Call call;
    const size_t bytes = read_call(body.data(), body.size(), call);
    // Where the next one begins is not known then.
    if (bytes == 0) return tally(figures_.refused_other, header.count - i);
    give(call);
    body = body.subspan(bytes);
  }
}

void Exchange::give(Call& call) {
  if (!settings_.adopts) return;
  switch (whereabouts_.find(call)) {
    case Found::no_service:
      return tally(figures_.refused_service);
    case Found::no_server:
      return tally(figures_.refused_server);
    case Found::no_local_address:
    case Found::here:
      break;
  }
  const uint16_t worker = whereabouts_.owner(call);
  if (!feeds_[worker].calls->in.push(call)) return tally(figures_.refused_busy);
  wake_worker_[worker] = true;
}

void Exchange::answer_challenge(const uint8_t* body) {
  if (read_u64(body) != settings_.session) return;
  const uint64_t words[] = {read_u64(body + 8)};
  send(Type::proof, words);
}

void Exchange::receive_ipvs(std::span<const uint8_t> message) {
  ipvs::Refused refused;
  told_.four.clear();
  told_.six.clear();
  ipvs::read(message, settings_.syncid, told_, refused);
  tally(figures_.refused_malformed, refused.malformed);
  tally(figures_.refused_templates, refused.templates);
  tally(figures_.refused_other, refused.other);
  if (refused.other_syncid) tally(figures_.refused_syncid);
  tally(figures_.received_records, told_.four.size() + told_.six.size());
  for (const Record& record : told_.four) give(record);
  for (const Record6& record : told_.six) give(record);
  wake_told();
}

template <class Family>
void Exchange::give(RecordOf<Family> record) {
  if (!settings_.adopts) return;
  switch (whereabouts_.find(record)) {
    case Found::no_service:
      return tally(figures_.refused_service);
    case Found::no_server:
      return tally(figures_.refused_server);
    case Found::no_local_address:
      return tally(figures_.refused_local);
    case Found::here:
      break;
  }
  const Whereabouts::Owners owners = whereabouts_.owners(record);
  if (!put(owners.connection, record) || owners.requests == owners.connection) return;
  // An end is the signpost's end as well.
  if (record.tale == Tale::live) {
    record.tale = Tale::signpost;
    record.server = owners.connection;
  }
  put(owners.requests, record);
}

template <class Family>
bool Exchange::put(unsigned worker, const RecordOf<Family>& record) {
  if (!feeds_[worker].template of<Family>().in.push(record)) {
    tally(figures_.refused_busy);
    return false;
  }
  wake_worker_[worker] = true;
  return true;
}

// --- everything at once

void Exchange::give_everything(uint64_t to) {
  if (asker_ == to) return;  // under way
  asker_ = to;
  ++sweep_;
  for (const Feeds& feeds : feeds_) {
    feeds.four->sweeps_wanted.store(sweep_, std::memory_order_release);
    feeds.six->sweeps_wanted.store(sweep_, std::memory_order_release);
  }
  for (unsigned worker = 0; worker < feeds_.size(); ++worker) wake_worker_[worker] = true;
}

// What a sweep has told lies before its mark.
void Exchange::note_mark(unsigned worker, unsigned family, uint32_t number) {
  marks_[worker * kFamilies + family] = number;
  const bool through = std::ranges::all_of(marks_, [this](uint32_t m) { return m == sweep_; });
  if (asker_ == 0 || !through) return;
  flush_all();
  const uint64_t words[] = {asker_};
  send(Type::done, words);
  tally(figures_.bulks_given);
  asker_ = 0;
}

void Exchange::tick(uint64_t now_ms) {
  if (settings_.protocol == Protocol::ipvs) return;
  std::erase_if(peers_, [&](const Peer& peer) { return now_ms - peer.heard_ms > kSilentMs; });
  uint64_t proven = 0;
  for (Peer& peer : peers_) {
    if (peer.nonce != 0) continue;
    ++proven;
    if (peer.complete || !settings_.adopts) continue;
    if (peer.asked_ms != 0 && now_ms - peer.asked_ms < kAskAgainMs) continue;
    peer.asked_ms = now_ms;
    const uint64_t words[] = {peer.session};
    send(Type::ask, words);
    tally(figures_.bulks_asked);
    sent_ms_ = now_ms;
  }
  figures_.peers.store(proven, std::memory_order_relaxed);
  if (now_ms - sent_ms_ < kAliveMs) return;
  sent_ms_ = now_ms;
  send(Type::alive, {});
}

}  // namespace sluice::sync
