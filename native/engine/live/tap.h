// The TAP twin of a port: an ordinary Linux interface with the port's MAC, through which the
// kernel's stack sends and receives on the port. Gone when closed, or when the process is.
#pragma once

#include <rte_mbuf.h>

#include <string>
#include <vector>

#include "../types.h"

namespace sluice {

class Tap {
 public:
  // Makes it, gives it `addresses` (a.b.c.d/len) and sets it up. Throws ERR_NATIVE_TWIN.
  Tap(const std::string& name, const Mac& mac, unsigned mtu,
      const std::vector<std::string>& addresses);
  // One that is there, by its descriptor, which becomes this one's; what it lacks of `addresses` it
  // is given. Throws ERR_NATIVE_TWIN.
  Tap(const std::string& name, int fd, unsigned mtu, const std::vector<std::string>& addresses);
  ~Tap();
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  int fd() const { return fd_; }
  unsigned index() const { return index_; }
  const std::string& name() const { return name_; }

  // A frame to the kernel; false when it takes none. Doesn't take ownership.
  bool write(const rte_mbuf& packet);
  // A frame from the kernel into an empty mbuf; false when there is none.
  bool read(rte_mbuf& packet);

 private:
  std::string name_;
  int fd_ = -1;
  unsigned index_ = 0;
};

}  // namespace sluice
