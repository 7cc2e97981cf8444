// Connections of one worker: records found through 64-byte buckets of ten 16-bit tags and ten
// references, so a lookup costs one line to decide and one to confirm, both prefetchable.
//
// Size is fixed at start: memory is committed only as it is touched, so a large limit costs
// address space alone, and no packet ever waits for a resize.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "connection.h"
#include "hash.h"
#include "memory.h"

namespace sluice {

// Where a key was found: record and which of its two tuples.
struct Found {
  uint32_t record = kNone;
  Direction direction = Direction::request;
  explicit operator bool() const { return record != kNone; }
};

template <class Family>
class ConnectionTable {
 public:
  using Record = Connection<Family>;
  using Key = FlowKey<Family>;

  // 10 slots a bucket filled to 60 % on average: P(a bucket overflows) is about 4 %, Poisson(6).
  static constexpr unsigned kSlots = 10;
  static constexpr unsigned kPlannedFill = 6;

  ConnectionTable(uint32_t max_records, HashKey secret)
      : records_(max_records),
        buckets_(uint64_t{max_records} * 2 / kPlannedFill + 4),
        bucket_count_(static_cast<uint32_t>(uint64_t{max_records} * 2 / kPlannedFill + 1)),
        secret_(secret) {}

  struct Bucket;

  uint64_t hash(const Key& key) const { return hash_of(key, secret_); }

  // A key's home bucket, to be asked for before it is read; and one that is always empty.
  const Bucket* home_bucket(uint64_t hash) const { return &buckets_[home(hash)]; }
  static const Bucket* empty_bucket() { return &kEmpty; }
  void prefetch_bucket(uint64_t hash) const { __builtin_prefetch(home_bucket(hash)); }
  void prefetch_record(uint32_t record) const { __builtin_prefetch(&records_[record], 1); }

  // First reference (record << 1 | direction) whose tag fits, nullptr when no tag of the home
  // bucket does.
  static const uint32_t* candidate(const Bucket* bucket, uint64_t hash) {
    const unsigned hits = match(*bucket, tag_of(hash));
    return hits == 0 ? nullptr : bucket->reference_at(hits);
  }

  // Is the candidate the key's connection? A record that was released since is not live.
  bool confirm(uint32_t reference, const Key& key) const {
    const Record& record = records_[reference >> 1];
    return record.protocol() == key.protocol && record.state != State::none &&
           tuple_of(record, static_cast<Direction>(reference & 1)) == key.tuple;
  }

  Found find(const Key& key, uint64_t hash) {
    if (waits(hash)) insert_waiting();
    const uint16_t tag = tag_of(hash);
    for (uint32_t at = home(hash);; at = next(at)) {
      const Bucket& bucket = buckets_[at];
      for (unsigned hits = match(bucket, tag); hits != 0; hits = others(hits)) {
        const uint32_t reference = *bucket.reference_at(hits);
        const Record& record = records_[reference >> 1];
        const auto direction = static_cast<Direction>(reference & 1);
        if (record.protocol() == key.protocol && tuple_of(record, direction) == key.tuple) {
          return {reference >> 1, direction};
        }
      }
      if (bucket.overflowed == 0) return {};
    }
  }

  // Both tuples or none. The caller has looked both up and found nothing.
  void insert(uint32_t record, Direction direction, uint64_t hash) {
    const uint16_t tag = tag_of(hash);
    for (uint32_t at = home(hash);; at = next(at)) {
      Bucket& bucket = buckets_[at];
      const unsigned empty = match(bucket, 0);
      if (empty != 0) {
        const unsigned slot = slot_of(empty);
        bucket.tag[slot] = tag;
        bucket.reference[slot] = record << 1 | static_cast<uint32_t>(direction);
        return;
      }
      ++bucket.overflowed;
    }
  }

  // As insert(), once the bucket has come from memory: with one of the next calls, and before
  // anybody looks for it.
  void insert_soon(uint32_t record, Direction direction, uint64_t hash) {
    prefetch_bucket(hash);
    Waiting& oldest = waiting_[waiting_at_++ % kWaiting];
    if (oldest.record != kNone) insert(oldest.record, oldest.direction, oldest.hash);
    oldest = {hash, record, direction};
  }

  void erase(uint32_t record, Direction direction, uint64_t hash) {
    if (waits(hash)) insert_waiting();
    const uint16_t tag = tag_of(hash);
    const uint32_t wanted = record << 1 | static_cast<uint32_t>(direction);
    const uint32_t start = home(hash);
    for (uint32_t at = start;; at = next(at)) {
      Bucket& bucket = buckets_[at];
      for (unsigned hits = match(bucket, tag); hits != 0; hits = others(hits)) {
        const unsigned slot = slot_of(hits);
        if (bucket.reference[slot] != wanted) continue;
        bucket.tag[slot] = 0;
        for (uint32_t back = start; back != at; back = next(back)) --buckets_[back].overflowed;
        return;
      }
    }
  }

  // A fresh record, or kNone when all are taken.
  uint32_t allocate() {
    uint32_t record = free_;
    if (record != kNone) {
      free_ = records_[record].next;
      if (free_ != kNone) __builtin_prefetch(&records_[free_], 1);
    } else if (used_ < records_.size()) {
      record = used_++;
    } else {
      return kNone;
    }
    ++size_;
    return record;
  }
  void release(uint32_t record) {
    records_[record].next = free_;
    records_[record].flags = 0;
    records_[record].state = State::none;
    records_[record].settled = 0;
    records_[record].caddr = {};
    free_ = record;
    --size_;
  }

  Record& operator[](uint32_t record) { return records_[record]; }
  const Record& operator[](uint32_t record) const { return records_[record]; }
  uint32_t size() const { return size_; }
  uint32_t high_water() const { return used_; }  // records ever used: bound of a listing
  bool is_live(uint32_t record) const { return records_[record].state != State::none; }

  struct alignas(64) Bucket {
    uint16_t tag[kSlots];        // 0: empty
    uint32_t reference[kSlots];  // record << 1 | direction
    uint32_t overflowed;         // keys whose home is at or before this and that lie behind it

    // Of the first of match()'s hits. Its bits are pairs, and twice their number is the offset.
    const uint32_t* reference_at(unsigned hits) const {
      const auto* at = reinterpret_cast<const uint8_t*>(reference);
      return reinterpret_cast<const uint32_t*>(at + 2 * static_cast<size_t>(__builtin_ctz(hits)));
    }
  };
  static_assert(sizeof(Bucket) == 64);

 private:
  struct Waiting {
    uint64_t hash = 0;
    uint32_t record = kNone;
    Direction direction{};
  };
  static constexpr unsigned kWaiting = 8;
  bool waits(uint64_t hash) const {
    bool found = false;
    for (const Waiting& one : waiting_) found |= one.hash == hash;
    return found;
  }
  void insert_waiting() {
    for (unsigned i = 0; i < kWaiting; ++i) {
      Waiting& one = waiting_[waiting_at_++ % kWaiting];
      if (one.record != kNone) insert(one.record, one.direction, one.hash);
      one = {};
    }
  }

  static constexpr Bucket kEmpty{};

  // The home bucket comes from the hash's upper bits (Lemire's range reduction: any count works),
  // the tag from its lowest.
  uint32_t home(uint64_t hash) const {
    return static_cast<uint32_t>((static_cast<unsigned __int128>(hash) * bucket_count_) >> 64);
  }
  uint32_t next(uint32_t at) const { return at + 1 == bucket_count_ ? 0 : at + 1; }
  static uint16_t tag_of(uint64_t hash) { return static_cast<uint16_t>(hash); }
  // Bits 2 i and 2 i + 1: tag[i] == tag. Compares 16 lanes, of which the last 6 are references:
  // masked off.
  static unsigned match(const Bucket& bucket, uint16_t tag) {
    const __m256i tags = _mm256_load_si256(reinterpret_cast<const __m256i*>(&bucket));
    const __m256i wanted = _mm256_set1_epi16(static_cast<short>(tag));
    const auto hits = static_cast<unsigned>(_mm256_movemask_epi8(_mm256_cmpeq_epi16(tags, wanted)));
    return hits & ((1u << 2 * kSlots) - 1);
  }
  static unsigned slot_of(unsigned hits) { return static_cast<unsigned>(__builtin_ctz(hits)) / 2; }
  static unsigned others(unsigned hits) {
    hits &= hits - 1;
    return hits & (hits - 1);
  }
  static TupleOf<Family> tuple_of(const Record& record, Direction direction) {
    return direction == Direction::request ? record.request() : record.reply();
  }

  TableMemory<Record> records_;
  TableMemory<Bucket> buckets_;
  uint32_t bucket_count_;
  HashKey secret_;
  uint32_t free_ = kNone;
  uint32_t used_ = 0;
  uint32_t size_ = 0;
  Waiting waiting_[kWaiting];  // a ring, oldest next
  unsigned waiting_at_ = 0;
};

}  // namespace sluice
