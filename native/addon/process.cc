// What Node has no function for, of the process as a whole: notifyManager(), reap(), becomeUser()
// and forgetAmbient() of src/native.ts.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "module.h"
#include "options.h"

namespace sluice {
namespace {

constexpr size_t kMostChildren = 65'536;

[[noreturn]] void refuse(const std::string& what) {
  throw Error("ERR_PRIVILEGE", what + ": " + strerror(errno));
}

// sd_notify(3): one datagram. True when it was sent.
bool notify(const std::string& text) {
  const char* path = getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = path == nullptr ? 0 : strlen(path);
  if (length < 2 || length >= sizeof address.sun_path) return false;
  memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // abstract
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  const ssize_t sent = sendto(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&address), size);
  close(fd);
  return sent == static_cast<ssize_t>(text.size());
}

// Those of the children that still run.
Napi::Value reap(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto running = Napi::Array::New(env);
  uint32_t count = 0;
  for (const Argument& pid : argument(info, 0, "pids").elements(kMostChildren)) {
    if (waitpid(pid.integer<int>(1, INT32_MAX), nullptr, WNOHANG) == 0) {
      running.Set(count++, pid.value());
    }
  }
  return running;
}

struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

Account account_of(const std::string& name) {
  errno = 0;
  const passwd* entry = getpwnam(name.c_str());
  if (entry == nullptr) {
    if (errno != 0) refuse("user " + name);
    throw Error("ERR_PRIVILEGE", "there is no user " + name);
  }
  Account account{name, entry->pw_uid, entry->pw_gid, {}};
  int count = 0;
  getgrouplist(name.c_str(), account.gid, nullptr, &count);
  account.groups.resize(static_cast<size_t>(count));
  getgrouplist(name.c_str(), account.gid, account.groups.data(), &count);
  return account;
}

void set_capabilities(uint64_t mask) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  for (unsigned i = 0; i < 2; ++i) {
    const auto half = static_cast<uint32_t>(mask >> (32 * i));
    data[i] = {half, half, half};
  }
  if (syscall(SYS_capset, &header, data) != 0) refuse("capset");
}

// Arguments are kept as the kernel has them, Node's own included.
std::vector<std::string> command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> arguments;
  for (size_t at = 0; at < all.size();) {
    arguments.emplace_back(all.c_str() + at);
    at += arguments.back().size() + 1;
  }
  return arguments;
}

// Capabilities are a thread's, and Node has threads before it runs a line of ours: the one way to
// give them up in all of them is to begin again. Doesn't return.
void become(const Account& account, uint64_t capabilities) {
  for (unsigned one = 0; prctl(PR_CAPBSET_READ, one, 0, 0, 0) >= 0; ++one) {
    const bool kept = one < 64 && (capabilities >> one & 1) != 0;
    if (!kept && prctl(PR_CAPBSET_DROP, one, 0, 0, 0) != 0) refuse("bounding set");
  }
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) refuse("PR_SET_KEEPCAPS");
  if (setgroups(account.groups.size(), account.groups.data()) != 0) refuse("setgroups");
  if (setresgid(account.gid, account.gid, account.gid) != 0) refuse("setresgid");
  if (setresuid(account.uid, account.uid, account.uid) != 0) refuse("setresuid");
  set_capabilities(capabilities);
  for (unsigned one = 0; one < 64; ++one) {
    if ((capabilities >> one & 1) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, one, 0, 0) != 0) refuse("ambient set");
  }
  std::vector<std::string> arguments = command_line();
  std::vector<char*> argv;
  for (std::string& one : arguments) argv.push_back(one.data());
  argv.push_back(nullptr);
  // What Node opens it marks to be closed by exec: its log's descriptors as well.
  for (int fd = 0; fd <= 2; ++fd) fcntl(fd, F_SETFD, 0);
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  execv(program.c_str(), argv.data());
  refuse(program);
}

void become_user(const Napi::CallbackInfo& info) {
  const std::string name = argument(info, 0, "user").text();
  const uint64_t capabilities = argument(info, 1, "capabilities").bigint();
  guarded(info.Env(), [&] { become(account_of(name), capabilities); });
}

}  // namespace

void register_process(Napi::Env env, Napi::Object exports) {
  auto function = [&](const char* name, auto body) {
    exports.Set(name, Napi::Function::New(env, body, name));
  };
  function("notifyManager", [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Boolean::New(info.Env(), notify(argument(info, 0, "text").text()));
  });
  function("reap", reap);
  function("becomeUser", become_user);
  // For a program that is to start with what this thread may do.
  function("raiseAmbient", [](const Napi::CallbackInfo&) {
    for (unsigned one = 0; one < 64; ++one) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, one, 0, 0);
  });
  function("forgetAmbient", [](const Napi::CallbackInfo&) {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  });
}

}  // namespace sluice
