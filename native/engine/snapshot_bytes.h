// Reading the bytes of a snapshot: its sections, and what is wrong with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "error.h"
#include "snapshot_wire.h"

namespace sluice {

[[noreturn]] inline void reject(size_t offset, const std::string& what) {
  throw Error("ERR_NATIVE_SNAPSHOT", "snapshot, byte " + std::to_string(offset) + ": " + what);
}

template <class Record>
std::span<const Record> section(const uint8_t* bytes, size_t n, const wire::Header& header,
                                wire::Section which) {
  const wire::SectionRef& ref = header.sections[which];
  const size_t at = sizeof(wire::Header) > ref.offset ? n + 1 : ref.offset;
  if (at > n || ref.offset % 4 != 0 || (n - at) / sizeof(Record) < ref.count) {
    reject(offsetof(wire::Header, sections) + which * sizeof ref,
           "section lies outside the buffer");
  }
  return {reinterpret_cast<const Record*>(bytes + at), ref.count};
}

}  // namespace sluice
