// Kernel network interfaces by name, as a port's device (af_packet, af_xdp) and as a TAP twin.
#pragma once

#include <cstdint>
#include <string>

#include "../types.h"

namespace sluice::interface {

unsigned index_of(const std::string& name);  // 0: there is none
bool is_running(const std::string& name);    // up and with carrier
Mac mac_of(const std::string& name);
// Throw Error with `code`, naming the interface and the reason.
void set_up(const std::string& name, const char* code);
void set_mac(const std::string& name, const Mac& mac, const char* code);
void set_mtu(const std::string& name, unsigned mtu, const char* code);

}  // namespace sluice::interface
