// Keeps the calling thread off CPUs that others need all of, where there are more.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <vector>

namespace sluice {

inline void keep_off(const std::vector<unsigned>& cpus) {
  cpu_set_t set;
  if (pthread_getaffinity_np(pthread_self(), sizeof set, &set) != 0) return;
  for (const unsigned cpu : cpus) CPU_CLR(cpu, &set);
  if (CPU_COUNT(&set) != 0) pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

}  // namespace sluice
