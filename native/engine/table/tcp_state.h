// TCP's states as a director sees them, with LVS's transitions: what it shows as SYN_RECV,
// FIN_WAIT … is its own view of a flow, not either end's state (RFC 9293 section 3.3.2).
//
// Which table applies depends on what the director sees: both directions (NAT, FullNAT), or only
// the client's (DR, TUN, ENAT), where a FIN or an ACK has to be taken as the whole story.
#pragma once

#include <cstdint>

#include "../net/headers.h"
#include "../types.h"

namespace sluice {

enum class Sight : uint8_t { request, reply, request_only };

namespace tcp_state {

using enum State;

enum Event : unsigned { kSynSeen, kFinSeen, kAckSeen, kRstSeen, kEvents };

// [sight][event][state], states none … synack.
inline constexpr State kNext[3][kEvents][11] = {
    {
        // From the client, replies seen as well.
        {syn_recv, established, established, syn_recv, syn_recv, syn_recv, syn_recv, syn_recv,
         syn_recv, syn_recv, syn_recv},
        {close, close_wait, syn_sent, time_wait, time_wait, time_wait, close, close_wait, last_ack,
         listen, time_wait},
        {established, established, syn_sent, established, fin_wait, time_wait, close, close_wait,
         close, listen, established},
        {close, close, close, syn_recv, close, close, close, close, last_ack, listen, syn_recv},
    },
    {
        // From the real server.
        {syn_sent, established, syn_sent, syn_recv, syn_sent, syn_sent, syn_sent, syn_sent,
         syn_sent, listen, syn_recv},
        {time_wait, fin_wait, syn_sent, time_wait, fin_wait, time_wait, close, time_wait, last_ack,
         listen, time_wait},
        {established, established, syn_sent, established, fin_wait, time_wait, close, close_wait,
         last_ack, established, established},
        {close, close, syn_sent, close, close, time_wait, close, close, close, close, close},
    },
    {
        // From the client, which is all there is to see.
        {syn_recv, established, established, syn_recv, syn_recv, syn_recv, syn_recv, syn_recv,
         syn_recv, syn_recv, syn_recv},
        {close, fin_wait, syn_sent, time_wait, fin_wait, time_wait, close, close_wait, last_ack,
         listen, time_wait},
        {established, established, syn_sent, established, fin_wait, time_wait, close, close_wait,
         close, listen, established},
        {close, close, close, syn_recv, close, close, close, close, last_ack, listen, close},
    },
};

}  // namespace tcp_state

// State after a segment with these flags. A segment with none of SYN FIN ACK RST closes, as in LVS.
inline State next_state(State state, Sight sight, uint8_t flags) {
  using namespace tcp_state;
  const unsigned event = flags & net::kRst   ? kRstSeen
                         : flags & net::kSyn ? kSynSeen
                         : flags & net::kFin ? kFinSeen
                         : flags & net::kAck ? kAckSeen
                                             : static_cast<unsigned>(kEvents);
  if (event == kEvents) return State::close;
  return kNext[static_cast<unsigned>(sight)][event][static_cast<unsigned>(state)];
}

// Counted in ActiveConn (else InActConn)? UDP is not; of SCTP only what is established.
inline bool is_active(State state) {
  return state == State::established || state == State::syn_sent || state == State::syn_recv ||
         state == State::synack || state == State::sctp_established;
}

}  // namespace sluice
