// A mutex whose holder gets the precedence of whoever waits for it. The herald is ahead of ordinary
// threads; one of those that loses its CPU while it holds a plain mutex would keep the herald
// waiting until its next turn, which on a busy machine is longer than a peer's patience.
#pragma once

#include <pthread.h>

#include <cstring>
#include <string>

#include "../error.h"

namespace sluice {

class UrgentMutex {
 public:
  // Throws ERR_NATIVE_MEMORY.
  UrgentMutex() {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    int error = pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    if (error == 0) error = pthread_mutex_init(&mutex_, &attributes);
    pthread_mutexattr_destroy(&attributes);
    if (error != 0) throw Error("ERR_NATIVE_MEMORY", std::string("mutex: ") + strerror(error));
  }
  ~UrgentMutex() { pthread_mutex_destroy(&mutex_); }
  UrgentMutex(const UrgentMutex&) = delete;

  void lock() { pthread_mutex_lock(&mutex_); }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_;
};

}  // namespace sluice
