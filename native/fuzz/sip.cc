// libFuzzer target: a datagram's payload, whatever it is, is read for a Call-ID. What is found has
// to be a Call-ID that stands in the part that may be looked at, and be the same without the rest.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/net/sip.h"

using namespace sluice::net;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// In memory of its own, so that a byte read too much is found.
std::string_view found_in(const uint8_t* bytes, size_t n, std::unique_ptr<uint8_t[]>& memory) {
  memory = std::make_unique<uint8_t[]>(n);
  if (n != 0) std::memcpy(memory.get(), bytes, n);
  return find_call_id(memory.get(), n);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t n) {
  std::unique_ptr<uint8_t[]> memory, shorter;
  const std::string_view id = found_in(bytes, n, memory);
  if (id.empty()) return 0;
  const auto at = static_cast<size_t>(reinterpret_cast<const uint8_t*>(id.data()) - memory.get());
  require(at < n && at + id.size() < n && at + id.size() < kMostSip, "it lies in the payload");
  require(id.size() <= kMostCallId, "it has a length that one may have");
  const size_t hosts = id.find('@');
  for (size_t i = 0; i < id.size(); ++i) {
    require(i == hosts || sip::kInWord[static_cast<uint8_t>(id[i])], "it is of words");
  }
  require(hosts != 0 && hosts != id.size() - 1, "no word is empty");
  size_t end = at + id.size();
  while (end < n && !sip::ends_line(static_cast<char>(memory[end]))) {
    require(sip::is_blank(static_cast<char>(memory[end])), "nothing else is on its line");
    ++end;
  }
  require(end < n, "its line ends");
  require(found_in(bytes, end + 1, shorter) == id, "what follows doesn't matter");
  return 0;
}
