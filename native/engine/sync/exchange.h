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
  FIGURE(not_sendable, "not sent: FullNAT and ENAT can't be told by IPVS' protocol")         \
  FIGURE(received_datagrams, "datagrams received, of any kind")                              \
  FIGURE(received_records, "connections received from peers that proved themselves")         \
  FIGURE(lost_datagrams, "sequence numbers that never came")                                 \
  FIGURE(refused_malformed, "datagrams refused: not of this protocol, or cut off")           \
  FIGURE(refused_tag, "datagrams refused: wrong key, or tampered with")                      \
  FIGURE(refused_replayed, "datagrams refused: sequence number not above the last")          \
  FIGURE(refused_unproven, "datagrams refused: their sender has not proved to live yet")     \
  FIGURE(refused_syncid, "messages refused: another syncid")                                 \
  FIGURE(refused_ipv6, "connections refused: IPv6, which the dataplane has no modes for")    \
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
  Exchange(const Settings& settings, std::vector<Feed*> feeds, const Steering* steering,
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
  struct Peer {
    uint64_t session;
    uint64_t sequence = 0;  // highest seen
    uint64_t nonce = 0;     // of our challenge; 0: it has proved itself
    uint64_t heard_ms = 0, asked_ms = 0, challenged_ms = 0;
    bool complete = false;  // has told everything
  };

  void add(const Record& record, uint64_t now_ms);
  void remind(unsigned worker, Record record);
  void wake_told();
  void flush();
  void send(Type type, std::span<const uint64_t> words);
  Peer* peer_of(uint64_t session, uint64_t now_ms);
  void hear(Peer& peer, const Header& header, const uint8_t* body, uint64_t now_ms);
  void receive_ipvs(std::span<const uint8_t> message);
  void answer_challenge(const uint8_t* body);
  void give_everything(uint64_t to);
  void note_mark(unsigned worker, uint32_t number);
  void give(Record record);
  bool put(unsigned worker, const Record& record);
  uint64_t nonce() {
    const uint64_t drawn = mix64(random_);
    return drawn == 0 ? 1 : drawn;
  }

  const Settings settings_;
  const std::vector<Feed*> feeds_;
  Whereabouts whereabouts_;
  uint64_t random_;
  Send send_;
  Wake wake_;
  ExchangeFigures figures_;

  std::vector<uint8_t> datagram_;  // being filled
  unsigned filled_ = 0;            // records in it
  const unsigned most_;            // records a datagram
  uint64_t sequence_ = 0;
  uint64_t tokens_ = 0, tokens_at_ms_ = 0;
  uint64_t sent_ms_ = 0;
  unsigned next_feed_ = 0;
  uint32_t timeouts_s_[kStates]{};

  std::vector<Peer> peers_;
  // The sweep that a peer has asked for.
  uint64_t asker_ = 0;
  uint32_t sweep_ = 0;
  std::vector<uint32_t> marks_;  // by worker: number of its last sweep
  std::vector<bool> wake_worker_;
  std::vector<ipvs::Told> told_;
};

}  // namespace sluice::sync
