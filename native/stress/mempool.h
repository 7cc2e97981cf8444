// mbufs change threads through their pool as well as through rings, but DPDK's driver of pools lies
// in a library that the thread sanitizer has not instrumented: it would take every reuse of an mbuf
// for a race. Operations compiled here are seen.
#pragma once

namespace sluice::stress {

// Before the first pool is made. False when this DPDK has no such driver.
bool use_visible_pools();

}  // namespace sluice::stress
