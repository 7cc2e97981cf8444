// What is lost if a connection has to give way to a new one.
//
// As in netfilter, TCP and SCTP have proved themselves once their handshake is through, and UDP
// once it has gone both ways for two seconds; where the director sees the client's packets only,
// these have to do.
#pragma once

#include "connection.h"

namespace sluice {

enum class Worth : uint8_t {
  nothing,  // no connection at all
  least,    // nobody has answered it yet, or both ends are done with it
  little,   // UDP of a moment, or TCP that one end has closed: goes where nothing less is at hand
  assured,  // never gives way
};

inline constexpr uint32_t kLastingMs = 2000;  // UDP: from the first packet to the latest

template <class Family>
inline Worth worth_of(const Connection<Family>& c) {
  switch (c.state) {
    case State::none:
      return Worth::nothing;
    case State::syn_sent:
    case State::syn_recv:
    case State::synack:
    case State::close:
    case State::time_wait:
    case State::sctp_init1:
    case State::sctp_init:
    case State::sctp_cookie_sent:
    case State::sctp_cookie_replied:
    case State::sctp_cookie_wait:
    case State::sctp_cookie:
    case State::sctp_cookie_echoed:
    case State::sctp_rejected:
    case State::sctp_closed:
      return Worth::least;
    case State::fin_wait:
    case State::close_wait:
    case State::last_ack:
    case State::sctp_shutdown_sent:
    case State::sctp_shutdown_received:
    case State::sctp_shutdown_ack_sent:
      return Worth::little;
    case State::established:
    case State::listen:
    case State::sctp_established:
      return Worth::assured;
    case State::udp:
      break;
  }
  const bool lasts = c.last_seen_ms - c.born_ms >= kLastingMs;
  const bool sees_replies = c.mode() == Mode::nat || c.mode() == Mode::fullnat;
  if (c.answered != 0) return lasts ? Worth::assured : Worth::little;
  if (!lasts) return Worth::least;
  return sees_replies ? Worth::little : Worth::assured;
}

}  // namespace sluice
