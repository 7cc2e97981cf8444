// Connections of one worker: records found through 64-byte buckets of ten 16-bit tags and ten
// references, so a lookup costs one line to decide and one to confirm, both prefetchable.
//
// Size is fixed at start: memory is committed only as it is touched, so a large limit costs
// address space alone, and no packet ever waits for a resize.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <type_traits>

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
        bucket_count_(uint64_t{max_records} * 2 / kPlannedFill + 1),
        secret_(secret) {}

  struct Bucket;

  uint64_t hash(const Key& key) const { return hash_of(key, secret_); }
  // Of a tuple that a record holds.
  uint64_t hash(const Record& record, Direction direction) const {
    if constexpr (std::is_same_v<Family, V4>) {
      const void* tuple = direction == Direction::request ? &record.caddr : &record.raddr;
      return hash(key_in(tuple, record.protocol()));
    } else {
      return hash(Key{tuple_of(record, direction), record.protocol()});
    }
  }

  // A key's home bucket, to be asked for before it is read; and one that is always empty.
  const Bucket* home_bucket(uint64_t hash) const { return &buckets_[home(hash)]; }
  static const Bucket* empty_bucket() { return &kEmpty; }
  void prefetch_bucket(uint64_t hash) const { __builtin_prefetch(home_bucket(hash)); }
  // Every line of it: IPv6's has its ports and its times in the second.
  void prefetch_record(uint32_t record) const {
    const auto* at = reinterpret_cast<const uint8_t*>(&records_[record]);
    for (size_t line = 0; line < sizeof(Record); line += 64) __builtin_prefetch(at + line, 1);
  }

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
    const Found found = look_for(key, hash);
    if (found || !waits(hash)) return found;
    insert_waiting();
    return look_for(key, hash);
  }

  // True when find() would surely find nothing, told without a look at any record.
  bool is_absent(uint64_t hash) const {
    const Bucket& bucket = buckets_[home(hash)];
    return match(bucket, tag_of(hash)) == 0 && bucket.overflowed == 0 && !waits(hash);
  }

  // Both tuples or none. The caller has looked both up and found nothing.
  [[gnu::always_inline]] void insert(uint32_t record, Direction direction, uint64_t hash) {
    const uint32_t reference = record << 1 | static_cast<uint32_t>(direction);
    Bucket& bucket = buckets_[home(hash)];
    const unsigned empty = match(bucket, 0);
    if (empty == 0) [[unlikely]]
      return insert_behind(reference, hash);
    bucket.put(slot_of(empty), tag_of(hash), reference);
  }

  // As insert(), once the bucket has come from memory: with one of the next calls, and before
  // anybody looks for it.
  [[gnu::always_inline]] void insert_soon(uint32_t record, Direction direction, uint64_t hash) {
    prefetch_bucket(hash);
    const unsigned at = waiting_at_++ % kWaiting;
    const Waiting oldest = waiting_[at];
    waiting_[at] = {hash, record, direction};
    waiting_low_[at] = static_cast<uint32_t>(hash);
    if (oldest.record != kNone) insert(oldest.record, oldest.direction, oldest.hash);
  }

  [[gnu::always_inline]] void erase(uint32_t record, Direction direction, uint64_t hash) {
    const uint32_t reference = record << 1 | static_cast<uint32_t>(direction);
    Bucket& bucket = buckets_[home(hash)];
    const unsigned hits = match(bucket, tag_of(hash));
    if (hits == 0 || *bucket.reference_at(hits) != reference) [[unlikely]] {
      return erase_behind(reference, hash);
    }
    bucket.tag[slot_of(hits)] = 0;
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

    void put(unsigned slot, uint16_t with, uint32_t to) {
      tag[slot] = with;
      reference[slot] = to;
    }
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
  // By the hashes' lower halves, all at once. One that is like it by chance only costs time.
  bool waits(uint64_t hash) const {
    const __m256i wanted = _mm256_set1_epi32(static_cast<int>(hash));
    const __m256i all = _mm256_load_si256(reinterpret_cast<const __m256i*>(waiting_low_));
    const __m256i same = _mm256_cmpeq_epi32(all, wanted);
    return _mm256_testz_si256(same, same) == 0;
  }
  [[gnu::noinline]] void insert_waiting() {
    for (unsigned i = 0; i < kWaiting; ++i, ++waiting_at_) {
      Waiting& one = waiting_[waiting_at_ % kWaiting];
      waiting_low_[waiting_at_ % kWaiting] = 0;
      if (one.record != kNone) insert(one.record, one.direction, one.hash);
      one = {};
    }
  }

  Found look_for(const Key& key, uint64_t hash) const {
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
  // Of a full home bucket.
  [[gnu::noinline]] void insert_behind(uint32_t reference, uint64_t hash) {
    for (uint32_t at = home(hash);; at = next(at)) {
      Bucket& bucket = buckets_[at];
      const unsigned empty = match(bucket, 0);
      if (empty != 0) return bucket.put(slot_of(empty), tag_of(hash), reference);
      ++bucket.overflowed;
    }
  }
  // Whatever is not the first of its tag in its home bucket.
  [[gnu::noinline]] void erase_behind(uint32_t reference, uint64_t hash) {
    if (waits(hash)) insert_waiting();
    const uint16_t tag = tag_of(hash);
    const uint32_t start = home(hash);
    for (uint32_t at = start;; at = next(at)) {
      Bucket& bucket = buckets_[at];
      for (unsigned hits = match(bucket, tag); hits != 0; hits = others(hits)) {
        const unsigned slot = slot_of(hits);
        if (bucket.reference[slot] != reference) continue;
        bucket.tag[slot] = 0;
        for (uint32_t back = start; back != at; back = next(back)) --buckets_[back].overflowed;
        return;
      }
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
  uint64_t bucket_count_;
  HashKey secret_;
  uint32_t free_ = kNone;
  uint32_t used_ = 0;
  uint32_t size_ = 0;
  Waiting waiting_[kWaiting];  // a ring, oldest next
  alignas(32) uint32_t waiting_low_[kWaiting]{};
  unsigned waiting_at_ = 0;
};

}  // namespace sluice
