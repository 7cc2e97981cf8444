#include "shared_engine.h"

namespace sluice {
namespace {

// Of the process, not of an environment: it outlives those that look at it.
std::mutex running_mutex;
std::weak_ptr<SharedEngine> running_engine;

}  // namespace

void Listeners::add(std::shared_ptr<Channel> channel) {
  const std::lock_guard lock(mutex_);
  channels_.push_back(std::move(channel));
}

void Listeners::tell(Event event) {
  const auto shared = std::make_shared<const Event>(std::move(event));
  const std::lock_guard lock(mutex_);
  while (!channels_.empty()) {
    const auto posted =
        channels_.back()->post([handler = handler_, shared](Napi::Env env, Napi::Function f) {
          handler(env, f, *shared);
        });
    // One that is full hangs: its events are lost rather than told twice.
    if (posted != Channel::Posted::closed) return;
    channels_.pop_back();
  }
}

SharedEngine::SharedEngine(const EngineOptions& options, std::shared_ptr<Listeners> listeners)
    : listeners_(std::move(listeners)),
      engine_(std::make_unique<Engine>(
          options, [to = listeners_](Event event) { to->tell(std::move(event)); })) {}

std::shared_ptr<SharedEngine> SharedEngine::start(const EngineOptions& options,
                                                  std::shared_ptr<Listeners> listeners) {
  std::shared_ptr<SharedEngine> engine(new SharedEngine(options, std::move(listeners)));
  const std::lock_guard lock(running_mutex);
  running_engine = engine;
  return engine;
}

std::shared_ptr<SharedEngine> SharedEngine::running() {
  const std::lock_guard lock(running_mutex);
  auto engine = running_engine.lock();
  if (!engine) throw Error("ERR_NATIVE_STOPPED", "no engine runs in this process");
  return engine;
}

void SharedEngine::stop() noexcept {
  std::unique_ptr<Engine> engine;
  {
    const std::lock_guard lock(mutex_);
    engine = std::move(engine_);
  }
  if (engine) engine->stop();
}

}  // namespace sluice
