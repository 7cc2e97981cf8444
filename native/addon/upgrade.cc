// One process takes over from another: the functions of src/native.ts for it, all of the engine
// that runs in this process.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "module.h"
#include "options.h"
#include "shared_engine.h"

namespace sluice {
namespace {

constexpr size_t kMostSockets = kMaxPorts * kMaxWorkers;

int read_fd(const Argument& fd) {
  return fd.integer<int>(3, INT32_MAX);
}

const char* phase_name(HandOverPhase phase) {
  constexpr const char* kNames[] = {"copying", "ready", "switching", "done", "broken"};
  return kNames[static_cast<size_t>(phase)];
}

template <class F>
auto with_engine(const Napi::CallbackInfo& info, F&& use) {
  return guarded(info.Env(), [&] { return SharedEngine::running()->with(use); });
}

// Two ends of a stream; both are closed by exec unless they are passed on.
Napi::Value socket_pair(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int ends[2];
  guarded(env, [&] {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0) return;
    throw Error("ERR_UPGRADE_START", std::string("socketpair: ") + strerror(errno));
  });
  auto pair = Napi::Array::New(env, 2);
  for (uint32_t i = 0; i < 2; ++i) pair.Set(i, Napi::Number::New(env, ends[i]));
  return pair;
}

void close_fd(const Napi::CallbackInfo& info) {
  close(read_fd(argument(info, 0, "fd")));
}

// Descriptors that this process was given are not for those that it starts.
void keep_to_itself(const Napi::CallbackInfo& info) {
  for (const Argument& fd : argument(info, 0, "fds").elements(kMostSockets)) {
    fcntl(read_fd(fd), F_SETFD, FD_CLOEXEC);
  }
}

Napi::Value belongings(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Belongings all = with_engine(info, [](Engine& engine) { return engine.belongings(); });
  auto twins = Napi::Object::New(env);
  for (const auto& [name, fd] : all.twins) twins.Set(name, Napi::Number::New(env, fd));
  auto sockets = Napi::Array::New(env, all.sockets.size());
  for (uint32_t i = 0; i < all.sockets.size(); ++i) {
    sockets.Set(i, Napi::Number::New(env, all.sockets[i]));
  }
  auto o = Napi::Object::New(env);
  o.Set("twins", twins);
  o.Set("sockets", sockets);
  return o;
}

void hand_over(const Napi::CallbackInfo& info) {
  const int fd = read_fd(argument(info, 0, "fd"));
  with_engine(info, [fd](Engine& engine) { engine.hand_over(fd); });
}

void take_over(const Napi::CallbackInfo& info) {
  const int fd = read_fd(argument(info, 0, "fd"));
  with_engine(info, [fd](Engine& engine) { engine.take_over(fd); });
}

void switch_over(const Napi::CallbackInfo& info) {
  std::vector<int> theirs;
  for (const Argument& fd : argument(info, 0, "sockets").elements(kMostSockets)) {
    theirs.push_back(read_fd(fd));
  }
  with_engine(info, [&theirs](Engine& engine) {
    if (engine.take_over() != nullptr) engine.take_over()->switch_over(std::move(theirs));
  });
}

// null: there is none.
Napi::Value hand_over_state(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return with_engine(info, [env](Engine& engine) -> Napi::Value {
    const HandOver* one = engine.hand_over();
    if (one == nullptr) return env.Null();
    auto o = Napi::Object::New(env);
    o.Set("phase", phase_name(one->phase()));
    o.Set("told", Napi::Number::New(env, static_cast<double>(one->told())));
    o.Set("lost", Napi::Number::New(env, static_cast<double>(one->lost())));
    return o;
  });
}

Napi::Value take_over_state(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return with_engine(info, [env](Engine& engine) -> Napi::Value {
    const TakeOver* one = engine.take_over();
    if (one == nullptr) return env.Null();
    uint64_t adopted = 0, refused = one->refused();
    for (unsigned w = 0; w < engine.workers(); ++w) {
      const sync::Feeds feeds = engine.feeds(w);
      for (const sync::FeedFigures* figures : {&feeds.four->figures, &feeds.six->figures}) {
        adopted += figures->adopted - figures->ended - figures->replaced;
        refused += figures->refused_stale + figures->refused_conflict + figures->refused_full;
      }
    }
    auto o = Napi::Object::New(env);
    o.Set("phase", phase_name(one->phase()));
    o.Set("gapUs", Napi::Number::New(env, static_cast<double>(one->gap_us())));
    o.Set("received", Napi::Number::New(env, static_cast<double>(one->received())));
    o.Set("adopted", Napi::Number::New(env, static_cast<double>(adopted)));
    o.Set("refused", Napi::Number::New(env, static_cast<double>(refused)));
    return o;
  });
}

}  // namespace

void register_upgrade(Napi::Env env, Napi::Object exports) {
  auto function = [&](const char* name, auto body) {
    exports.Set(name, Napi::Function::New(env, body, name));
  };
  exports.Set("handOverFormat", Napi::Number::New(env, kHandOverFormat));
  function("socketPair", socket_pair);
  function("closeFd", close_fd);
  function("keepToItself", keep_to_itself);
  function("belongings", belongings);
  function("handOver", hand_over);
  function("handOverState", hand_over_state);
  function("endHandOver", [](const Napi::CallbackInfo& info) {
    with_engine(info, [](Engine& engine) { engine.end_hand_over(); });
  });
  function("takeOver", take_over);
  function("takeOverState", take_over_state);
  function("switchOver", switch_over);
  function("goLive", [](const Napi::CallbackInfo& info) {
    with_engine(info, [](Engine& engine) { engine.go_live(); });
  });
  function("letGo", [](const Napi::CallbackInfo& info) {
    with_engine(info, [](Engine& engine) { engine.let_go(); });
  });
}

}  // namespace sluice
