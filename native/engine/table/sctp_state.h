// SCTP's states as a director sees them, with LVS's transitions (RFC 9260 section 4 has an
// endpoint's). A packet is judged by its first chunk; an ABORT may stand behind a COOKIE ECHO or
// COOKIE ACK. Which moves apply depends on what the director sees, as for TCP (tcp_state.h).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "../net/headers.h"
#include "tcp_state.h"

namespace sluice {

namespace sctp_state {

using enum State;

enum Event : uint8_t {
  kData,  // and whatever else leaves an association as it is
  kInit,
  kInitAck,
  kCookieEcho,
  kCookieAck,
  kShutdown,
  kShutdownAck,
  kShutdownComplete,
  kError,
  kAbort,
  kEvents
};

constexpr Event event_of(uint8_t chunk) {
  switch (chunk) {
    case net::kSctpInit:
      return kInit;
    case net::kSctpInitAck:
      return kInitAck;
    case net::kSctpAbort:
      return kAbort;
    case net::kSctpShutdown:
      return kShutdown;
    case net::kSctpShutdownAck:
      return kShutdownAck;
    case net::kSctpError:
      return kError;
    case net::kSctpCookieEcho:
      return kCookieEcho;
    case net::kSctpCookieAck:
      return kCookieAck;
    case net::kSctpShutdownComplete:
      return kShutdownComplete;
    default:
      return kData;
  }
}

inline constexpr unsigned kSights = 3;
inline constexpr unsigned kFirst = static_cast<unsigned>(sctp_init1);
inline constexpr unsigned kOwnStates = kStates - kFirst;
using Table = std::array<std::array<std::array<State, kOwnStates>, kEvents>, kSights>;

// Only what moves is said: from which states to which. Anything else stays where it is.
consteval Table make_table() {
  Table table{};
  for (auto& events : table) {
    for (auto& states : events) {
      for (unsigned i = 0; i < kOwnStates; ++i) states[i] = static_cast<State>(kFirst + i);
    }
  }
  const auto move = [&](Sight sight, Event event, std::initializer_list<State> from, State to) {
    for (const State state : from) {
      table[static_cast<unsigned>(sight)][event][static_cast<unsigned>(state) - kFirst] = to;
    }
  };
  const auto all = {sctp_init1,
                    sctp_init,
                    sctp_cookie_sent,
                    sctp_cookie_replied,
                    sctp_cookie_wait,
                    sctp_cookie,
                    sctp_cookie_echoed,
                    sctp_established,
                    sctp_shutdown_sent,
                    sctp_shutdown_received,
                    sctp_shutdown_ack_sent,
                    sctp_rejected,
                    sctp_closed};
  const auto starting = {sctp_init1,       sctp_init,   sctp_cookie_sent,  sctp_cookie_replied,
                         sctp_cookie_wait, sctp_cookie, sctp_cookie_echoed};

  // What the client says, in either case.
  for (const Sight sight : {Sight::request, Sight::request_only}) {
    move(sight, kInit, {sctp_init1, sctp_rejected, sctp_closed}, sctp_init);
    move(sight, kShutdown, {sctp_established}, sctp_shutdown_received);
    move(sight, kShutdownAck, {sctp_init1}, sctp_init);
    move(sight, kShutdownAck, {sctp_shutdown_sent, sctp_shutdown_ack_sent}, sctp_closed);
    move(sight, kShutdownComplete, {sctp_init1, sctp_init, sctp_shutdown_ack_sent}, sctp_closed);
    move(sight, kAbort, all, sctp_closed);
    move(sight, kAbort, {sctp_cookie_wait}, sctp_rejected);
  }

  // The client, where the server's answers are seen as well.
  constexpr Sight request = Sight::request;
  move(request, kInitAck, {sctp_init1, sctp_init}, sctp_cookie_wait);
  move(request, kInitAck, {sctp_cookie_wait}, sctp_cookie);
  move(request, kCookieEcho, {sctp_init1}, sctp_init);
  move(request, kCookieEcho, {sctp_cookie_sent}, sctp_cookie_replied);
  move(request, kCookieAck, {sctp_cookie_echoed}, sctp_established);
  move(request, kError, {sctp_cookie_echoed}, sctp_closed);

  // The server, which may be the one that begins.
  constexpr Sight reply = Sight::reply;
  move(reply, kInit, all, sctp_cookie_wait);
  move(reply, kInit, {sctp_established}, sctp_established);
  move(reply, kInitAck, {sctp_init1, sctp_init}, sctp_cookie_sent);
  move(reply, kCookieEcho, starting, sctp_cookie_echoed);
  move(reply, kCookieAck, starting, sctp_established);
  move(reply, kShutdown, starting, sctp_shutdown_sent);
  move(reply, kShutdown, {sctp_established}, sctp_shutdown_sent);
  move(reply, kShutdownAck, {sctp_init1, sctp_init, sctp_cookie_sent, sctp_cookie_replied},
       sctp_shutdown_ack_sent);
  move(reply, kShutdownAck, {sctp_shutdown_sent, sctp_shutdown_received}, sctp_shutdown_ack_sent);
  move(reply, kError, {sctp_init1, sctp_init, sctp_cookie_sent, sctp_cookie_replied}, sctp_closed);
  move(reply, kAbort, all, sctp_closed);
  move(reply, kAbort, {sctp_init1}, sctp_rejected);

  // The client alone: a COOKIE ECHO has to do for the whole handshake.
  constexpr Sight alone = Sight::request_only;
  const auto asking = {sctp_init1, sctp_init, sctp_cookie_sent, sctp_cookie_replied,
                       sctp_cookie_wait};
  move(alone, kData, {sctp_cookie_wait}, sctp_established);
  move(alone, kInit, {sctp_cookie_sent, sctp_cookie_replied, sctp_cookie_wait}, sctp_init);
  move(alone, kInitAck, asking, sctp_cookie_echoed);
  move(alone, kCookieEcho, asking, sctp_established);
  move(alone, kCookieAck, {sctp_cookie_sent, sctp_cookie_replied, sctp_cookie, sctp_cookie_echoed},
       sctp_established);
  move(alone, kShutdownAck, {sctp_established}, sctp_closed);
  move(alone, kShutdownComplete, {sctp_cookie_sent, sctp_cookie_replied, sctp_shutdown_received},
       sctp_closed);
  return table;
}

inline constexpr Table kNext = make_table();

}  // namespace sctp_state

// The chunk that a packet's effect on its association is told by. `bytes`: of header and chunks,
// the header's at the least. False: there is none.
inline bool find_sctp_chunk(const uint8_t* packet, uint32_t bytes, uint8_t& type) {
  using namespace net;
  if (bytes < sizeof(Sctp) + sizeof(SctpChunk)) return false;
  const auto first = load<SctpChunk>(packet + sizeof(Sctp));
  type = first.type;
  if (type != kSctpCookieEcho && type != kSctpCookieAck) return true;
  const uint32_t length = from_be(first.length);
  const uint32_t behind = sizeof(Sctp) + ((length + 3) & ~3u);
  const bool whole = length >= sizeof(SctpChunk) && behind + sizeof(SctpChunk) <= bytes;
  if (whole && packet[behind] == kSctpAbort) type = kSctpAbort;
  return true;
}

// State of an association after a packet with this chunk.
inline State next_sctp_state(State state, Sight sight, uint8_t chunk) {
  using namespace sctp_state;
  return kNext[static_cast<unsigned>(sight)][event_of(chunk)]
              [static_cast<unsigned>(state) - kFirst];
}

}  // namespace sluice
