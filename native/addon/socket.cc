// openSocket() of src/native.ts: sockets with what Node does not set, handed to Node by descriptor.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "arguments.h"
#include "engine/live/passage_of.h"
#include "module.h"

namespace sluice {
namespace {

struct SocketOptions {
  int type = SOCK_STREAM, protocol = 0;
  uint32_t mark = 0;
  std::string interface, address;
  uint16_t port = 0;
  // Of a passage (engine/live/passages.h): vip 0 is none.
  be32 server = 0, vip = 0;
  uint32_t tunnel = 0;
  uint32_t ms = 0;
};

be32 read_address(const Argument& address) {
  in_addr parsed{};
  if (inet_pton(AF_INET, address.text().c_str(), &parsed) != 1) address.fail("an IPv4 address");
  return parsed.s_addr;
}

SocketOptions read_options(const Argument& a) {
  SocketOptions o;
  const std::string kind = a["kind"].text();
  if (kind == "udp" || kind == "icmp") {
    o.type = SOCK_DGRAM;
    o.protocol = kind == "icmp" ? IPPROTO_ICMP : 0;
  } else if (kind != "tcp") {
    a["kind"].fail("tcp, udp or icmp");
  }
  o.mark = a["mark"].integer_or<uint32_t>(0, 0, UINT32_MAX);
  o.interface = a["interface"].text_or("");
  if (o.interface.size() >= IFNAMSIZ) a["interface"].fail("an interface name");
  o.address = a["address"].text_or("");
  o.port = a["port"].integer_or<uint16_t>(0, 0, UINT16_MAX);
  if (const Argument passage = a["passage"]; !passage.is_absent()) {
    o.server = read_address(passage["server"]);
    o.vip = read_address(passage["vip"]);
    o.tunnel = passage["tunnel"].integer<uint32_t>(0, UINT32_MAX);
    o.ms = passage["ms"].integer<uint32_t>(1, UINT32_MAX);
  }
  return o;
}

// Errors carry the name of the errno as their code, as Node's own socket errors do.
[[noreturn]] void fail(Napi::Env env, const char* what) {
  const int number = errno;
  throw coded(Napi::Error::New(env, std::string(what) + ": " + std::strerror(number)),
              strerrorname_np(number));
}

void set_up(Napi::Env env, int fd, const SocketOptions& o) {
  if (o.mark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &o.mark, sizeof o.mark) != 0) {
    fail(env, "SO_MARK");
  }
  if (!o.interface.empty() && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o.interface.c_str(),
                                         static_cast<socklen_t>(o.interface.size())) != 0) {
    fail(env, "SO_BINDTODEVICE");
  }
  if (o.address.empty() && o.port == 0 && o.type == SOCK_STREAM && o.vip == 0) return;
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(o.port);
  if (!o.address.empty() && inet_pton(AF_INET, o.address.c_str(), &own.sin_addr) != 1) {
    bad_argument(env, "options.address must be an IPv4 address");
  }
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) fail(env, "bind");
  if (o.vip == 0) return;
  const int protocol = o.protocol != 0         ? o.protocol
                       : o.type == SOCK_STREAM ? IPPROTO_TCP
                                               : IPPROTO_UDP;
  const int number = open_passage(fd, static_cast<uint8_t>(protocol), o.server, o.vip,
                                  PassageTunnel::of(o.tunnel), o.ms);
  if (number == 0) return;
  errno = number;
  fail(env, "passage");
}

Napi::Value open_socket(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const SocketOptions options = read_options(argument(info, 0, "options"));
  const int fd = socket(AF_INET, options.type | SOCK_NONBLOCK | SOCK_CLOEXEC, options.protocol);
  if (fd < 0) fail(env, "socket");
  try {
    set_up(env, fd, options);
  } catch (...) {
    close(fd);
    throw;
  }
  return Napi::Number::New(env, fd);
}

}  // namespace

void register_socket(Napi::Env env, Napi::Object exports) {
  exports.Set("openSocket", Napi::Function::New(env, open_socket, "openSocket"));
}

}  // namespace sluice
