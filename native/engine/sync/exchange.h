// Connection synchronisation without threads, sockets or a clock of its own: workers' records in,
// datagrams out; datagrams in, adoptions into the workers' rings. Live it runs on the sync thread,
// in replay under the virtual clock.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "../table/hash.h"
#include "datagram.h"
#include "feed.h"
#include "ipvs.h"
#include "whereabouts.h"

namespace sluice::sync {

enum class Protocol : uint8_t { sluice, ipvs };

struct Settings {
  Protocol protocol = Protocol::sluice;
  bool tells = true, adopts = true;
  Key key{};                       // sluice
  uint8_t syncid = 0;              // ipvs
  uint64_t session = 1;            // not 0: drawn by whoever starts
  uint32_t rate = 500'000;         // records a second
  uint32_t datagram_bytes = 1472;  // at most
  FeedOptions feed;
};

// FIGURE(name, help)
#define SLUICE_EXCHANGE_FIGURES(FIGURE)                                                      \
  FIGURE(sent_records, "connections sent")                                                   \
  FIGURE(sent_datagrams, "datagrams sent, of any kind")                                      \
  FIGURE(not_sendable, "not sent: FullNAT, ENAT and 6in4 can't be told by IPVS' protocol")   \
  FIGURE(received_datagrams, "datagrams received, of any kind")                              \
  FIGURE(received_records, "connections received from peers that proved themselves")         \
  FIGURE(lost_datagrams, "sequence numbers that never came")                                 \
  FIGURE(refused_malformed, "datagrams refused: not of this protocol, or cut off")           \
  FIGURE(refused_tag, "datagrams refused: wrong key, or tampered with")                      \
  FIGURE(refused_replayed, "datagrams refused: sequence number not above the last")          \
  FIGURE(refused_unproven, "datagrams refused: their sender has not proved to live yet")     \
  FIGURE(refused_syncid, "messages refused: another syncid")                                 \
  FIGURE(refused_templates, "connections refused: persistence templates")                    \
  FIGURE(refused_other, "connections refused: protocol, state or forwarding method unknown") \
  FIGURE(refused_service, "connections refused: no such virtual service here")               \
  FIGURE(refused_server, "connections refused: no such real server here")                    \
  FIGURE(refused_local, "connections refused: local address is not this service's")          \
  FIGURE(refused_busy, "connections refused: worker's ring full; a sweep repairs it")        \
  FIGURE(bulks_asked, "times a peer was asked for everything")                               \
  FIGURE(bulks_given, "times everything was told a peer that asked")                         \
  FIGURE(bulks_done, "times a peer said that it had told everything")                        \
  FIGURE(lag_ms, "age of the latest record when it was sent, ms")                            \
  FIGURE(peers, "peers that are heard now")

struct ExchangeFigures {
#define FIGURE(name, help) std::atomic<uint64_t> name{0};
  SLUICE_EXCHANGE_FIGURES(FIGURE)
#undef FIGURE
};

class Exchange {
 public:
  // A datagram to be sent to the peer or group; the bytes are valid during the call.
  using Send = std::function<void(std::span<const uint8_t>)>;
  // Worker w has something in its ring.
  using Wake = std::function<void(unsigned worker)>;

  // `feeds` by worker; `random` a seed for nonces. All pointers outlive this.
  Exchange(const Settings& settings, std::vector<Feeds> feeds, const Steering* steering,
           uint64_t random, Send send, Wake wake);

  // Sends what workers have told, as the rate allows. How many records.
  unsigned gather(uint64_t now_ms);
  void receive(std::span<const uint8_t> datagram, uint64_t now_ms);
  // What is due by time alone; at least every second, better ten times as often.
  void tick(uint64_t now_ms);
  // What is published now.
  void follow(std::shared_ptr<const Snapshot> snapshot);

  const ExchangeFigures& figures() const { return figures_; }

 private:
  static constexpr unsigned kFamilies = 2;

  struct Peer {
    uint64_t session;
    uint64_t sequence = 0;  // highest seen
    uint64_t nonce = 0;     // of our challenge; 0: it has proved itself
    uint64_t heard_ms = 0, asked_ms = 0, challenged_ms = 0;
    bool complete = false;  // has told everything
  };

  // A datagram of a family's records that is being filled.
  template <class Family>
  struct Filling {
    std::vector<uint8_t> datagram;
    unsigned filled = 0;  // records in it
    unsigned most = 0;    // records a datagram
  };

  // How many records.
  template <class Family>
  unsigned gather_of(uint64_t now_ms);
  unsigned gather_calls();
  void add(const Call& call);
  void flush_calls();
  template <class Family>
  void add(const RecordOf<Family>& record, uint64_t now_ms);
  template <class Family>
  void remind(unsigned worker, RecordOf<Family> record);
  void wake_told();
  template <class Family>
  void flush();
  void flush_all();
  void send(Type type, std::span<const uint64_t> words);
  Peer* peer_of(uint64_t session, uint64_t now_ms);
  void hear(Peer& peer, const Header& header, std::span<const uint8_t> body, uint64_t now_ms);
  template <class Family>
  void take(const Header& header, const uint8_t* body);
  void take_calls(const Header& header, std::span<const uint8_t> body);
  void give(Call& call);
  void receive_ipvs(std::span<const uint8_t> message);
  void answer_challenge(const uint8_t* body);
  void give_everything(uint64_t to);
  void note_mark(unsigned worker, unsigned family, uint32_t number);
  template <class Family>
  void give(RecordOf<Family> record);
  template <class Family>
  bool put(unsigned worker, const RecordOf<Family>& record);
  template <class Family>
  Filling<Family>& filling() {
    if constexpr (std::is_same_v<Family, V4>) {
      return four_;
    } else {
      return six_;
    }
  }
  uint64_t nonce() {
    const uint64_t drawn = mix64(random_);
    return drawn == 0 ? 1 : drawn;
  }

  const Settings settings_;
  const std::vector<Feeds> feeds_;
  Whereabouts whereabouts_;
  uint64_t random_;
  Send send_;
  Wake wake_;
  ExchangeFigures figures_;

  Filling<V4> four_;
  Filling<V6> six_;
  struct {
    std::vector<uint8_t> datagram;
    size_t bytes = 0;  // of the body
    uint16_t filled = 0;
  } calls_;
  bool six_first_ = false;  // of two families that would send all the time each gets its turn
  uint64_t sequence_ = 0;
  uint64_t tokens_ = 0, tokens_at_ms_ = 0;
  uint64_t sent_ms_ = 0;
  unsigned next_feed_[kFamilies]{};
  uint32_t timeouts_s_[kStates]{};

  std::vector<Peer> peers_;
  // The sweep that a peer has asked for.
  uint64_t asker_ = 0;
  uint32_t sweep_ = 0;
  std::vector<uint32_t> marks_;  // by worker and family: number of its last sweep
  std::vector<bool> wake_worker_;
  ipvs::Told told_;
};

}  // namespace sluice::sync
