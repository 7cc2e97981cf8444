// The engine as the process's environments share it: one starts it, any may attach to it, and each
// may end without the others noticing. Every other part of the addon reaches it by running().
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "channel.h"
#include "engine/error.h"
#include "engine/live/engine.h"

namespace sluice {

// Events go to whoever came last of those that are still there: the present control plane, and
// while there is none, whoever started the engine. From any thread.
class Listeners {
 public:
  using Handler = std::function<void(Napi::Env, Napi::Function, const Event&)>;
  explicit Listeners(Handler handler) : handler_(std::move(handler)) {}

  void add(std::shared_ptr<Channel> channel);
  void tell(Event event);

 private:
  const Handler handler_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Channel>> channels_;
};

class SharedEngine {
 public:
  // Throws Error: nothing has been started then.
  static std::shared_ptr<SharedEngine> start(const EngineOptions& options,
                                             std::shared_ptr<Listeners> listeners);
  // Of this process; throws ERR_NATIVE_STOPPED when none runs.
  static std::shared_ptr<SharedEngine> running();

  Listeners& listeners() { return *listeners_; }

  // The Engine's methods are for one control thread: environments take turns. Throws
  // ERR_NATIVE_STOPPED.
  template <class F>
  auto with(F&& use) {
    const std::lock_guard lock(mutex_);
    if (!engine_) throw Error("ERR_NATIVE_STOPPED", "the engine has been stopped");
    return use(*engine_);
  }
  // Waits for whoever uses it; may be repeated.
  void stop() noexcept;

 private:
  SharedEngine(const EngineOptions& options, std::shared_ptr<Listeners> listeners);

  std::shared_ptr<Listeners> listeners_;
  std::mutex mutex_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace sluice
