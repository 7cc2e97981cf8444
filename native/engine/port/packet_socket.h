// Corrections to DPDK's af_packet driver, which puts its sockets into a fanout group that has the
// kernel put fragments together: datagrams longer than a ring's frame then arrive cut off, and no
// devargs of 22.11 change it. It also receives what the kernel itself sends on the interface.
#pragma once

#include <functional>
#include <vector>

namespace sluice {

// Runs `probe` while PACKET_FANOUT does nothing: on a thread of its own, whose system call filter
// ends with it. Where the kernel has no such filters `probe` runs without.
int without_fanout(const std::function<int()>& probe);

// This process's packet sockets on an interface, oldest first: the driver makes one a queue, in the
// queues' order.
std::vector<int> packet_sockets_on(unsigned interface_index);

// Has them take frames as they come from outside only, spread by flow if there are several. False:
// a socket refused.
bool spread_packet_sockets(const std::vector<int>& sockets, unsigned interface_index);

// A deaf socket gets no frames; what it has got already stays. Takes effect with the next frame.
void deafen(const std::vector<int>& sockets);
void open_ears(const std::vector<int>& sockets);

}  // namespace sluice
