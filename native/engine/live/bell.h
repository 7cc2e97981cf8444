// Wakes a thread that waits in poll(), from any other. While that thread is awake a ring costs a
// fence and a load of a line nobody writes; only the first ring of its sleep is a system call.
//
//   sleeper: bell.listen(); unless there is work already: poll(bell.fd()); bell.hush();
//            bell.answer() when poll says that it was rung
//   others:  leave the work where the sleeper looks; bell.ring();
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include "../error.h"

namespace sluice {

class Bell {
 public:
  // Throws ERR_NATIVE_MEMORY when the kernel has no descriptor left.
  Bell() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (fd_ < 0) throw Error("ERR_NATIVE_MEMORY", std::string("eventfd: ") + strerror(errno));
  }
  ~Bell() { close(fd_); }
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  int fd() const { return fd_; }

  // What is left from here on rings; what was left before is seen by a look after this.
  void listen() {
    listening_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  void hush() { listening_.store(false, std::memory_order_relaxed); }
  // A ring that comes late, after hush(), cuts the next sleep short.
  void answer() {
    eventfd_t rings;
    (void)!eventfd_read(fd_, &rings);
  }
  void ring() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!listening_.load(std::memory_order_relaxed)) return;
    if (listening_.exchange(false, std::memory_order_relaxed)) (void)!eventfd_write(fd_, 1);
  }

 private:
  alignas(64) std::atomic<bool> listening_{false};
  const int fd_;
};

}  // namespace sluice
