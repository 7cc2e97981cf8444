// Requests to a worker: the only way for another thread to look into its tables. Costs the worker
// one relaxed load of a line nobody writes while there is no mail.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

namespace sluice {

class Worker;

class Letter {
 public:
  virtual ~Letter() = default;
  // On the worker's thread, between two turns. Must not block, throw or allocate.
  virtual void read(Worker& worker) noexcept = 0;
  // On the slow path's thread afterwards; `was_read` is false when the worker ended before.
  virtual void answer(bool was_read) = 0;

 private:
  friend class Pile;
  Letter* next_ = nullptr;
};

// Any number of threads put, one at a time takes all.
class Pile {
 public:
  Pile() = default;
  ~Pile() { take(); }
  Pile(const Pile&) = delete;

  void put(std::unique_ptr<Letter> letter) {
    Letter* mine = letter.release();
    mine->next_ = top_.load(std::memory_order_relaxed);
    while (!top_.compare_exchange_weak(mine->next_, mine, std::memory_order_release,
                                       std::memory_order_relaxed)) {
    }
  }
  bool empty() const { return top_.load(std::memory_order_relaxed) == nullptr; }
  // Oldest first.
  std::vector<std::unique_ptr<Letter>> take() {
    std::vector<std::unique_ptr<Letter>> letters;
    for (Letter* at = top_.exchange(nullptr, std::memory_order_acquire); at != nullptr;) {
      Letter* next = at->next_;
      letters.emplace(letters.begin(), at);
      at = next;
    }
    return letters;
  }

 private:
  std::atomic<Letter*> top_{nullptr};
};

struct Mailbox {
  alignas(64) Pile in;        // for the worker
  alignas(64) Pile answered;  // for the slow path

  // False: there was none.
  bool serve(Worker& worker) {
    if (in.empty()) return false;
    for (auto& letter : in.take()) {
      letter->read(worker);
      answered.put(std::move(letter));
    }
    return true;
  }
};

}  // namespace sluice
