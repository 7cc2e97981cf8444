// An AF_PACKET socket only copies: the kernel's own stack handles every frame of the interface as
// well, and answers those for the twin's addresses a second time. While this object lives the
// kernel drops what comes in on the interface after the sockets have had their copy.
#pragma once

#include <string>

namespace sluice {

class KernelOff {
 public:
  // Never throws: where the kernel lacks the means, `reason` says why and duplicates are possible.
  // `waits`: another process may hold the interface still, and keeps what it has put there.
  explicit KernelOff(unsigned interface_index, bool waits = false);
  ~KernelOff();
  KernelOff(const KernelOff&) = delete;

  // Of a filter that ends with nobody: whose it is when processes take over from one another.
  void take_on() { clsact_ = has_filter_; }
  void let_go() { clsact_ = false; }

  const std::string& reason() const { return reason_; }  // "": in force

 private:
  unsigned interface_;
  int program_ = -1;
  int link_ = -1;        // TCX: goes away with the process, however it ends
  bool clsact_ = false;  // older kernels: a filter that the destructor takes off
  bool made_hook_ = false;
  bool has_filter_ = false;
  std::string reason_;
};

}  // namespace sluice
