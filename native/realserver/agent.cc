// SPDX-License-Identifier: Apache-2.0
#include "agent.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ifaddrs.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <set>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace sluice::realserver {
namespace {

constexpr uint8_t kPresent = 1;

// Maps all programs share; the first object makes them.
constexpr const char* kMaps[] = {"config", "counters", "directors", "vips",
                                 "locals", "flows",    "reverse",   "fragments"};

sluice_rs_address Mapped(in_addr v4) {
  sluice_rs_address address = {};
  address.words[2] = htonl(0xffff);
  address.words[3] = v4.s_addr;
  return address;
}

bool operator<(const sluice_rs_address& a, const sluice_rs_address& b) {
  return std::memcmp(&a, &b, sizeof a) < 0;
}

struct AddressLess {
  bool operator()(const sluice_rs_address& a, const sluice_rs_address& b) const { return a < b; }
};
using AddressSet = std::set<sluice_rs_address, AddressLess>;

std::string Reason(int error) {
  return std::strerror(error < 0 ? -error : error);
}

// What libbpf had to say last: the verifier's words when a program is refused.
thread_local std::string g_said;

int Listen(enum libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[1024];
  vsnprintf(line, sizeof line, format, args);
  if (g_said.size() < 8192) g_said += line;
  return 0;
}

uint64_t NetnsCookie() {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool known = fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0;
  if (fd >= 0) close(fd);
  if (!known) throw Error("ERR_REALSERVER_KERNEL", "the kernel is too old: Linux 5.14 is needed");
  return cookie;
}

struct ObjectCloser {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, ObjectCloser>;

class LoadedAgent final : public Agent {
 public:
  explicit LoadedAgent(const Options& options) : options_(options) {
    CheckOptions();
    libbpf_set_print(Listen);
    if (!options_.pin_dir.empty()) MakePinFolder();
    // The first one makes the maps.
    Load("client");
    Load("tunnel");
    if (Wants(SLUICE_RS_MODE_TOA | SLUICE_RS_MODE_ENAT)) Load("peername");
    Configure();
    RefreshAddresses();
    AttachAll();
  }

  const std::vector<Attachment>& attachments() const override { return attachments_; }

  std::vector<Counter> Counters() const override {
    static constexpr struct {
      const char* name;
      const char* help;
    } kNames[] = {
#define X(id, name, help) {name, help},
        SLUICE_RS_COUNTERS(X)
#undef X
    };
    const int cpus = libbpf_num_possible_cpus();
    std::vector<uint64_t> values(cpus > 0 ? cpus : 1);
    std::vector<Counter> counters;
    for (uint32_t i = 0; i < SLUICE_RS_COUNTER_COUNT; i++) {
      uint64_t sum = 0;
      if (bpf_map_lookup_elem(Map("counters"), &i, values.data()) == 0)
        for (uint64_t value : values) sum += value;
      counters.push_back({kNames[i].name, kNames[i].help, sum});
    }
    return counters;
  }

  size_t RefreshAddresses() override {
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return locals_.size();
    AddressSet now;
    for (const ifaddrs* at = list; at; at = at->ifa_next) {
      if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET) continue;
      if (at->ifa_flags & IFF_LOOPBACK) continue;
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
      const sluice_rs_address address = Mapped(v4->sin_addr);
      if (!vips_.count(address)) now.insert(address);
    }
    freeifaddrs(list);
    Replace("locals", locals_, now);
    locals_ = std::move(now);
    return locals_.size();
  }

 private:
  bool Wants(uint32_t modes) const {
    return (options_.modes & modes) != 0;
  }

  void CheckOptions() {
    for (const std::string& interface : options_.interfaces)
      if (if_nametoindex(interface.c_str()) == 0)
        throw Error("ERR_REALSERVER_INTERFACE", "there is no interface " + interface + " here");
    if (options_.interfaces.empty())
      throw Error("ERR_REALSERVER_INTERFACE", "no interface was named");
  }

  void MakePinFolder() {
    const std::string& folder = options_.pin_dir;
    const size_t slash = folder.find_last_of('/');
    const std::string parent = slash == std::string::npos ? "." : folder.substr(0, slash + 1);
    struct statfs fs = {};
    if (statfs(parent.c_str(), &fs) != 0 || fs.f_type != BPF_FS_MAGIC)
      throw Error("ERR_REALSERVER_PIN", parent + " is not in a bpf file system");
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
      throw Error("ERR_REALSERVER_PIN", "cannot make " + folder + ": " + Reason(errno));
  }

  std::string PinPath(const std::string& name) const {
    return options_.pin_dir.empty() ? "" : options_.pin_dir + "/" + name;
  }

  int Map(const char* name) const {
    return bpf_map__fd(bpf_object__find_map_by_name(objects_.front().get(), name));
  }

  void Load(const std::string& name) {
    const std::string path = options_.object_dir + "/" + name + ".bpf.o";
    if (access(path.c_str(), R_OK) != 0)
      throw Error("ERR_REALSERVER_OBJECT", "cannot read " + path + ": " + Reason(errno));
    g_said.clear();
    Object object(bpf_object__open(path.c_str()));
    if (!object)
      throw Error("ERR_REALSERVER_OBJECT", path + " is no BPF object: " + Reason(errno) + Said());
    for (const char* map : kMaps) PrepareMap(object.get(), map);
    const int error = bpf_object__load(object.get());
    if (error == -EPERM || error == -EACCES) {
      if (geteuid() != 0 || g_said.find("Operation not permitted") != std::string::npos)
        throw Error("ERR_REALSERVER_PRIVILEGE",
                    "loading BPF programs needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN");
    }
    if (error < 0)
      throw Error("ERR_REALSERVER_LOAD",
                  "the kernel refuses " + name + ".bpf.o: " + Reason(error) + Said());
    objects_.push_back(std::move(object));
  }

  void PrepareMap(bpf_object* object, const char* name) {
    bpf_map* map = bpf_object__find_map_by_name(object, name);
    if (!map) return;
    const std::string_view text = name;
    if (text == "flows" || text == "reverse") bpf_map__set_max_entries(map, options_.max_flows);
    // Pinned maps are taken over when they are alike, and made anew when they are not.
    if (!options_.pin_dir.empty()) bpf_map__set_pin_path(map, PinPath(name).c_str());
    if (!objects_.empty()) {
      bpf_map* first = bpf_object__find_map_by_name(objects_.front().get(), name);
      if (first && bpf_map__reuse_fd(map, bpf_map__fd(first)) < 0)
        throw Error("ERR_REALSERVER_LOAD", std::string("cannot share map ") + name);
    }
  }

  static std::string Said() {
    return g_said.empty() ? "" : "\n" + g_said;
  }

  void Configure() {
    sluice_rs_config config = {};
    config.netns_cookie = NetnsCookie();
    config.tcp_idle = options_.tcp_idle_ms * 1'000'000;
    config.udp_idle = options_.udp_idle_ms * 1'000'000;
    config.modes = options_.modes;
    config.toa_kind = options_.toa_kind;
    const uint32_t zero = 0;
    Update("config", &zero, &config);
    vips_.insert(options_.vips.begin(), options_.vips.end());
    Replace("vips", Keys<sluice_rs_address, AddressSet>("vips"), vips_);
    locals_ = Keys<sluice_rs_address, AddressSet>("locals");
    ReplaceDirectors();
  }

  // Pinned maps may hold what an agent before us was told.
  template <typename Key, typename Set>
  Set Keys(const char* name) const {
    Set keys;
    Key key;
    const void* last = nullptr;
    Key previous;
    while (bpf_map_get_next_key(Map(name), last, &key) == 0) {
      keys.insert(keys.end(), key);
      previous = key;
      last = &previous;
    }
    return keys;
  }

  void ReplaceDirectors() {
    const auto old = Keys<sluice_rs_prefix, std::vector<sluice_rs_prefix>>("directors");
    std::vector<sluice_rs_prefix> now;
    for (const Prefix& prefix : options_.directors) now.push_back({prefix.length, prefix.address});
    for (const sluice_rs_prefix& key : now) Update("directors", &key, &kPresent);
    for (const sluice_rs_prefix& key : old) {
      const bool stays = std::any_of(now.begin(), now.end(), [&](const sluice_rs_prefix& other) {
        return std::memcmp(&key, &other, sizeof key) == 0;
      });
      if (!stays) bpf_map_delete_elem(Map("directors"), &key);
    }
  }

  void Replace(const char* name, const AddressSet& old, const AddressSet& now) {
    for (const sluice_rs_address& address : now)
      if (!old.count(address)) Update(name, &address, &kPresent);
    for (const sluice_rs_address& address : old)
      if (!now.count(address)) bpf_map_delete_elem(Map(name), &address);
  }

  void Update(const char* name, const void* key, const void* value) {
    if (bpf_map_update_elem(Map(name), key, value, BPF_ANY) < 0)
      throw Error("ERR_REALSERVER_LOAD",
                  std::string("cannot fill map ") + name + ": " + Reason(errno));
  }

  int Program(const char* name) const {
    for (const Object& object : objects_)
      if (const bpf_program* program = bpf_object__find_program_by_name(object.get(), name))
        return bpf_program__fd(program);
    throw Error("ERR_REALSERVER_OBJECT", std::string("there is no program ") + name);
  }

  void AttachAll() {
    const bool rewriting = Wants(SLUICE_RS_MODE_TOA | SLUICE_RS_MODE_ENAT);
    for (const std::string& interface : options_.interfaces) {
      // Egress first: no reply may leave before its way back is known.
      OnInterface("client_egress", interface, Direction::kEgress, 0);
      // Tunnels are opened before their contents are looked at.
      if (Wants(SLUICE_RS_MODE_TUN))
        OnInterface("tunnel_ingress", interface, Direction::kIngress, 0);
      if (rewriting) OnInterface("client_ingress", interface, Direction::kIngress, 1);
    }
    if (!rewriting) return;
    const int cgroup = OpenCgroup(options_.cgroup);
    try {
      OnCgroup("getpeername4", BPF_CGROUP_INET4_GETPEERNAME, cgroup);
      OnCgroup("getpeername6", BPF_CGROUP_INET6_GETPEERNAME, cgroup);
    } catch (...) {
      close(cgroup);
      throw;
    }
    close(cgroup);
  }

  void OnInterface(const char* program, const std::string& interface, Direction direction,
                   int order) {
    const std::string pin = PinPath(std::string(program) + "_" + interface);
    hooks_.push_back(
        AttachInterface(Program(program), {interface, direction, order, options_.means, pin}));
    attachments_.push_back({program, interface, hooks_.back()->how()});
  }

  void OnCgroup(const char* program, int attach_type, int cgroup) {
    hooks_.push_back(AttachCgroup(Program(program), attach_type, cgroup, PinPath(program)));
    attachments_.push_back(
        {program, options_.cgroup.empty() ? "/" : options_.cgroup, hooks_.back()->how()});
  }

  Options options_;
  std::vector<Object> objects_;
  AddressSet vips_;
  AddressSet locals_;
  std::vector<Attachment> attachments_;
  std::vector<std::unique_ptr<Hook>> hooks_;  // last: taken off before their programs are closed
};

}  // namespace

Prefix ParsePrefix(const std::string& text) {
  const size_t slash = text.find('/');
  in_addr v4 = {};
  uint32_t length = 32;
  bool good = inet_pton(AF_INET, text.substr(0, slash).c_str(), &v4) == 1;
  if (slash != std::string::npos) {
    const std::string digits = text.substr(slash + 1);
    good = good && !digits.empty() && digits.size() <= 2 &&
           digits.find_first_not_of("0123456789") == std::string::npos;
    if (good) length = std::stoul(digits);
    good = good && length <= 32;
  }
  if (!good) throw Error("ERR_REALSERVER_ADDRESS", "'" + text + "' is no IPv4 address or prefix");
  v4.s_addr &= length == 0 ? 0 : htonl(~uint32_t{0} << (32 - length));
  return {Mapped(v4), 96 + length};
}

std::unique_ptr<Agent> Agent::Attach(const Options& options) {
  return std::make_unique<LoadedAgent>(options);
}

}  // namespace sluice::realserver
