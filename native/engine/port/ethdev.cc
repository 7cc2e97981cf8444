#include "ethdev.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "../error.h"
#include "dpdk_log.h"
#include "eal.h"
#include "interface.h"
#include "packet_socket.h"

namespace sluice {
namespace {

constexpr uint16_t kDescriptors = 1024;

bool starts_with(const std::string& text, const char* prefix) {
  return text.rfind(prefix, 0) == 0;
}

// Value of `key` in "name,key=value,…".
std::optional<std::string> argument(const std::string& devargs, const std::string& key) {
  const size_t at = devargs.find("," + key + "=");
  if (at == std::string::npos) return std::nullopt;
  const size_t from = at + key.size() + 2;
  return devargs.substr(from, devargs.find(',', from) - from);
}

std::string device_name(const std::string& devargs) {
  return devargs.substr(0, devargs.find(','));
}

// Devargs with what a person can leave out: queue counts, and rings large enough for a burst of a
// local kernel (the driver's own 512 frames overflow within a millisecond).
std::string complete(const PortOptions& options, unsigned workers) {
  std::string devargs = options.device;
  const unsigned queues = options.queues == 0 ? workers : std::min(options.queues, workers);
  auto add = [&devargs](const std::string& key, unsigned value) {
    if (!argument(devargs, key)) devargs += "," + key + "=" + std::to_string(value);
  };
  if (starts_with(devargs, "net_af_packet")) {
    unsigned frame = 2048;  // holds the kernel's own header and an MTU of about 1900
    while (frame < options.mtu + 128u) frame *= 2;
    if (!argument(devargs, "framesz") && !argument(devargs, "blocksz")) {
      add("blocksz", 1u << 20);
      add("framesz", frame);
      add("framecnt", std::max(512u, (8u << 20) / frame));
    }
    if (queues > 1) add("qpairs", queues);
  } else if (starts_with(devargs, "net_af_xdp") && options.queues > 1) {
    // Only when told: a veth has as many queues as it was made with, usually one.
    add("start_queue", 0);
    add("queue_count", queues);
  }
  return devargs;
}

}  // namespace

Port::Port(const PortOptions& options, unsigned workers, rte_mempool* mbufs,
           const net::Toeplitz::Key* rss_key)
    : options_(options) {
  try {
    probe(workers);
    configure(workers, mbufs);
    if (rss_key != nullptr) set_up_rss(*rss_key, workers);
  } catch (...) {
    close();
    throw;
  }
}

Port::~Port() {
  close();
}

void Port::fail(const char* code, const std::string& what) const {
  throw Error(code, "port '" + options_.name + "' (" + options_.device + "): " + what);
}

void Port::probe(unsigned workers) {
  if (options_.device.empty()) fail("ERR_NATIVE_PORT_DEVICE", "no device given");
  const std::string name = device_name(options_.device);
  const bool on_packet = starts_with(name, "net_af_packet");
  const bool on_kernel = on_packet || starts_with(name, "net_af_xdp");
  if (on_kernel) {
    interface_ = argument(options_.device, "iface").value_or("");
    if (interface_.empty()) fail("ERR_NATIVE_PORT_DEVICE", "iface=… is missing");
    if (interface::index_of(interface_) == 0) {
      fail("ERR_NATIVE_PORT_INTERFACE", "there is no interface '" + interface_ + "' here");
    }
    interface::set_up(interface_, "ERR_NATIVE_PORT_INTERFACE");
  }
  if (options_.waits && !on_packet) {
    fail("ERR_UPGRADE_DEVICE", "only af_packet devices can be open in two processes at once");
  }
  const std::vector<int> others =
      on_packet ? packet_sockets_on(interface::index_of(interface_)) : std::vector<int>{};
  const bool on_pci = std::count(name.begin(), name.end(), ':') >= 1;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id_) == 0 && !on_pci) {
    fail("ERR_NATIVE_PORT_DUPLICATE", "device name '" + name + "' is in use");
  }
  dpdk_log::forget();
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id_) != 0) {
    const std::string devargs = complete(options_, workers);
    auto probe = [&devargs] { return rte_dev_probe(devargs.c_str()); };
    const int error = on_packet ? without_fanout(probe) : probe();
    if (error != 0) fail("ERR_NATIVE_PORT_DEVICE", dpdk_reason(error));
    if (rte_eth_dev_get_port_by_name(name.c_str(), &id_) != 0) {
      fail("ERR_NATIVE_PORT_DEVICE", "its driver made no ethernet device");
    }
  }
  probed_ = true;
  // AF_XDP takes the frames away from the kernel, AF_PACKET only copies them.
  if (on_packet) {
    for (const int fd : packet_sockets_on(interface::index_of(interface_))) {
      if (std::ranges::find(others, fd) == others.end()) sockets_.push_back(fd);
    }
    if (options_.waits) deafen(sockets_);
    if (!spread_packet_sockets(sockets_, interface::index_of(interface_))) {
      fail("ERR_NATIVE_PORT_SETUP", "its packet sockets don't share the frames by flow");
    }
    kernel_off_ = std::make_unique<KernelOff>(interface::index_of(interface_), options_.waits);
    if (!kernel_off_->reason().empty()) {
      remarks_.push_back("port '" + options_.name + "': the kernel also handles the frames of '" +
                         interface_ + "': " + kernel_off_->reason());
    }
  }
}

void Port::configure(unsigned workers, rte_mempool* mbufs) {
  rte_eth_dev_info info{};
  if (const int error = rte_eth_dev_info_get(id_, &info); error != 0) {
    fail("ERR_NATIVE_PORT_SETUP", dpdk_reason(error));
  }
  driver_ = info.driver_name;
  const unsigned wanted = options_.queues == 0 ? workers : std::min(options_.queues, workers);
  rx_queues_ = static_cast<uint16_t>(std::min<unsigned>(wanted, info.max_rx_queues));
  tx_queues_ = static_cast<uint16_t>(std::min<unsigned>(workers, info.max_tx_queues));

  rte_eth_conf conf{};
  conf.rxmode.mtu = std::clamp<uint32_t>(options_.mtu, info.min_mtu, info.max_mtu);
  conf.rx_adv_conf.rss_conf.rss_hf =
      (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP) & info.flow_type_rss_offloads;
  // The tap driver claims RSS, and its flow rules then fail on kernels without `flower`.
  if (rx_queues_ > 1 && conf.rx_adv_conf.rss_conf.rss_hf != 0 && driver_ != "net_tap") {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
  } else {
    conf.rx_adv_conf.rss_conf.rss_hf = 0;
  }
  auto done = [this](int error, const char* doing) {
    if (error != 0) fail("ERR_NATIVE_PORT_SETUP", std::string(doing) + ": " + dpdk_reason(error));
  };
  done(rte_eth_dev_configure(id_, rx_queues_, tx_queues_, &conf), "configuring");
  uint16_t rx = kDescriptors, tx = kDescriptors;
  done(rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx), "descriptors");
  for (uint16_t q = 0; q < rx_queues_; ++q) {
    done(rte_eth_rx_queue_setup(id_, q, rx, SOCKET_ID_ANY, nullptr, mbufs), "receive queue");
  }
  for (uint16_t q = 0; q < tx_queues_; ++q) {
    done(rte_eth_tx_queue_setup(id_, q, tx, SOCKET_ID_ANY, nullptr), "transmit queue");
  }
  if (const int error = rte_eth_dev_set_mtu(id_, options_.mtu); error != 0 && error != -ENOTSUP) {
    fail("ERR_NATIVE_PORT_SETUP",
         "MTU " + std::to_string(options_.mtu) + ": " + dpdk_reason(error));
  }
  take_mac();
  done(rte_eth_dev_start(id_), "starting");
  // For VRRP, OSPF and IPv6 neighbour discovery of the twin; many drivers pass everything anyhow.
  rte_eth_allmulticast_enable(id_);
}

void Port::take_mac() {
  rte_ether_addr address{};
  if (options_.mac) {
    mac_ = *options_.mac;
    memcpy(address.addr_bytes, mac_.data(), mac_.size());
    // Where the device cannot change its own it has to accept every frame instead.
    if (rte_eth_dev_default_mac_addr_set(id_, &address) != 0) rte_eth_promiscuous_enable(id_);
    return;
  }
  rte_eth_macaddr_get(id_, &address);
  // net_ring has none of its own.
  if (rte_is_zero_ether_addr(&address)) rte_eth_random_addr(address.addr_bytes);
  memcpy(mac_.data(), address.addr_bytes, mac_.size());
}

void Port::accept_other_macs() {
  rte_eth_promiscuous_enable(id_);
}

bool Port::partial_checksums() const {
  if (options_.partial_checksums) return *options_.partial_checksums;
  return driver_ == "net_af_packet" || driver_ == "net_af_xdp" || driver_ == "net_tap" ||
         driver_ == "net_memif";
}

bool Port::is_up() const {
  if (!interface_.empty()) return interface::is_running(interface_);
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

PortStats Port::stats() const {
  rte_eth_stats s{};
  rte_eth_stats_get(id_, &s);
  return {s.ipackets, s.opackets, s.ibytes, s.obytes, s.imissed, s.oerrors, s.rx_nombuf};
}

void Port::take_on() {
  if (kernel_off_) kernel_off_->take_on();
}

void Port::let_go() {
  if (kernel_off_) kernel_off_->let_go();
}

void Port::close() {
  if (!probed_) return;
  probed_ = false;
  rte_eth_dev_info info{};
  const bool known = rte_eth_dev_info_get(id_, &info) == 0;
  rte_eth_dev_stop(id_);
  // Removing the device closes it too, and frees its name for a next engine.
  if (!known || info.device == nullptr || rte_dev_remove(info.device) != 0) {
    rte_eth_dev_close(id_);
  }
  kernel_off_.reset();
  detach_xdp();
}

// libxdp takes its program off unless an earlier process that was killed had put it there.
void Port::detach_xdp() {
  if (!starts_with(options_.device, "net_af_xdp")) return;
  const int index = static_cast<int>(interface::index_of(interface_));
  uint32_t id = 0;
  if (index == 0 || bpf_xdp_query_id(index, 0, &id) != 0 || id == 0) return;
  const int program = bpf_prog_get_fd_by_id(id);
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  if (program >= 0 && bpf_obj_get_info_by_fd(program, &info, &size) == 0 &&
      strncmp(info.name, "xsk_def_prog", sizeof info.name) == 0) {
    bpf_xdp_detach(index, 0, nullptr);
  }
  if (program >= 0) ::close(program);
}

}  // namespace sluice
