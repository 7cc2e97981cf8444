// VIPs in accept mode (RFC 9568 section 6.1) on a TAP twin: addresses that programs of this machine
// can be reached at, and that the kernel takes for nothing else. The dataplane goes on answering
// ARP and Neighbour Discovery for them, so the kernel is never asked.
#pragma once

#include <libmnl/libmnl.h>

#include <string>
#include <vector>

namespace sluice {

// Makes `addresses` (without length, of both families) the only such ones of the interface: what is
// there already stays, what an earlier control plane has left goes. Throws ERR_NATIVE_TWIN; then
// some may be missing.
void accept_addresses(const std::string& interface, const std::vector<std::string>& addresses);

// Whether an RTM_NEWADDR is about one of them. They bear no mark of their own, which kernels before
// 5.18 don't keep: IPv4 of host scope, IPv6 deprecated and without a route, each by itself.
bool is_accepted_address(const nlmsghdr* message);

}  // namespace sluice
