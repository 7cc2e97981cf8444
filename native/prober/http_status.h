// The status of an HTTP/1 answer (RFC 9112 section 4) once its head is complete; interim answers
// (RFC 9110 section 15.2) are passed over.
#pragma once

#include <cctype>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

struct HeadState {
  bool is_complete, is_wrong;
  uint32_t status;
};

// `received`: all that has come; interim answers are taken off it.
inline HeadState read_head(std::string& received) {
  constexpr std::string_view kProtocol = "HTTP/1.";
  constexpr size_t kStatusLine = 12;  // up to the last digit
  for (;;) {
    const size_t known = received.size() < kProtocol.size() ? received.size() : kProtocol.size();
    if (received.compare(0, known, kProtocol.substr(0, known)) != 0) return {false, true, 0};
    if (received.size() < kStatusLine) return {false, false, 0};
    uint32_t status = 0;
    for (size_t i = 9; i < kStatusLine; ++i) {
      if (std::isdigit(static_cast<unsigned char>(received[i])) == 0) return {false, true, 0};
      status = status * 10 + static_cast<uint32_t>(received[i] - '0');
    }
    if (received[8] != ' ' || status < 100) return {false, true, 0};
    // Lines may end in a bare LF (RFC 9112 section 2.2).
    const size_t crlf = received.find("\r\n\r\n"), lf = received.find("\n\n");
    if (crlf == std::string::npos && lf == std::string::npos) return {false, false, 0};
    if (status >= 200 || status == 101) return {true, false, status};
    received.erase(0, crlf < lf ? crlf + 4 : lf + 2);
  }
}

}  // namespace sluice
