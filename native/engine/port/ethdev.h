// One port: a DPDK ethernet device with a queue pair a worker where the driver can.
#pragma once

#include <rte_mempool.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../steering.h"
#include "../types.h"
#include "kernel_off.h"

namespace sluice {

struct PortOptions {
  std::string name;
  std::string device;  // devargs of a virtual device, or a PCI address
  std::optional<Mac> mac;
  uint16_t mtu = 1500;
  std::string twin;                    // "": none
  std::vector<std::string> addresses;  // a.b.c.d/len
  std::optional<bool> partial_checksums;
  unsigned queues = 0;  // 0: one a worker where the driver can
  // Another process has the device: opened without getting a frame until take_on().
  bool waits = false;
  int twin_fd = -1;  // of a twin that is there already
};

struct PortStats {
  uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_missed, tx_errors, rx_no_mbuf;
};

// mbufs that a port's receive rings may hold at once, for sizing the pool.
inline constexpr unsigned kMbufsPerQueue = 4096;

class Port {
 public:
  // Throws ERR_NATIVE_PORT_INTERFACE, ERR_NATIVE_PORT_DEVICE, ERR_NATIVE_PORT_DUPLICATE,
  // ERR_NATIVE_PORT_SETUP, each naming the port and its device. `rss_key`: what to spread packets
  // over the workers' queues by, where the device can; nullptr: as it likes.
  Port(const PortOptions& options, unsigned workers, rte_mempool* mbufs,
       const net::Toeplitz::Key* rss_key = nullptr);
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  uint16_t id() const { return id_; }
  const Mac& mac() const { return mac_; }
  const PortOptions& options() const { return options_; }
  uint16_t rx_queues() const { return rx_queues_; }
  uint16_t tx_queues() const { return tx_queues_; }
  // Readable when the queue has frames; -1 where the driver has nothing of the kind.
  int rx_socket(unsigned queue) const { return queue < sockets_.size() ? sockets_[queue] : -1; }
  // Of af_packet, by queue.
  const std::vector<int>& sockets() const { return sockets_; }
  // The device is this process's alone from now on, or the other one's.
  void take_on();
  void let_go();
  // A local kernel may be at the other end, with checksums it has left to us.
  bool partial_checksums() const;
  bool is_up() const;
  // Frames for a virtual router's MAC as well. From the control thread.
  void accept_other_macs();
  // How it spreads TCP and UDP over a queue for each worker; nothing where it can't.
  const std::optional<RssSetup>& rss() const { return rss_; }
  PortStats stats() const;
  // What could not be set up as wanted but does no harm; for the log.
  const std::vector<std::string>& remarks() const { return remarks_; }

 private:
  [[noreturn]] void fail(const char* code, const std::string& what) const;
  void probe(unsigned workers);
  void configure(unsigned workers, rte_mempool* mbufs);
  void take_mac();
  // port/rss.cc
  void set_up_rss(const net::Toeplitz::Key& key, unsigned workers);
  void detach_xdp();
  void close();

  PortOptions options_;
  std::string interface_;  // kernel interface underneath, "" if none
  std::string driver_;
  uint16_t id_ = 0;
  bool probed_ = false;
  uint16_t rx_queues_ = 0, tx_queues_ = 0;
  std::vector<int> sockets_;  // of af_packet, by queue
  Mac mac_{};
  std::optional<RssSetup> rss_;
  std::unique_ptr<KernelOff> kernel_off_;
  std::vector<std::string> remarks_;
};

}  // namespace sluice
