// The Engine object of src/native.ts.
#include "engine/live/engine.h"

#include <cstdio>
#include <cstring>
#include <memory>

#include "channel.h"
#include "engine/port/dpdk_log.h"
#include "gauges.h"
#include "module.h"
#include "options.h"
#include "shared_engine.h"
#include "sync.h"
#include "watch.h"

namespace sluice {
namespace {

constexpr uint32_t kMostConnectionsAPage = 1u << 16;
constexpr size_t kEventsWaiting = 1024;  // beyond that the event loop hangs, and events are lost

Napi::Error stopped(Napi::Env env) {
  return coded(Napi::Error::New(env, "the engine has been stopped"), "ERR_NATIVE_STOPPED");
}

const char* level_name(Event::Level level) {
  constexpr const char* kNames[] = {"error", "warn", "info", "debug"};
  return kNames[static_cast<size_t>(level)];
}

Napi::Object event_object(Napi::Env env, const Event& event) {
  auto o = Napi::Object::New(env);
  o.Set("type", event.type == Event::Type::link ? "link" : "log");
  o.Set("level", level_name(event.level));
  o.Set("message", event.message);
  if (!event.code.empty()) o.Set("code", event.code);
  if (event.count != 0) o.Set("count", Napi::Number::New(env, event.count));
  if (event.service_slot >= 0) {
    o.Set("serviceSlot", Napi::Number::New(env, static_cast<double>(event.service_slot)));
  }
  return o;
}

// Calls a JavaScript handler; what it throws becomes a warning of the process and stops nothing.
void call_handler(Napi::Env env, Napi::Function handler, const Event& event) {
  try {
    handler.Call({event_object(env, event)});
  } catch (const Napi::Error& error) {
    try {
      auto process = env.Global().Get("process").As<Napi::Object>();
      const std::string text = "sluice: the engine's event handler threw: " + error.Message();
      process.Get("emitWarning").As<Napi::Function>().Call(process, {Napi::String::New(env, text)});
    } catch (const Napi::Error&) {
      // The environment is shutting down.
    }
  }
}

// Listings on their way back to their promises. Shared with them, since the Engine object may be
// collected, and the environment end, while one is still queued.
class Answers : public std::enable_shared_from_this<Answers> {
 public:
  explicit Answers(Napi::Env env)
      : channel_(Channel::open(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}),
                               "sluice answers", 0)) {}
  void close() { channel_->close(); }
  // Ends with the last answer that is still to come.
  void close_when_answered() {
    closing_ = true;
    if (pending_ == 0) close();
  }

  // A promise, and what settles it from any thread; nullptr: the engine has been stopped.
  std::pair<Napi::Promise, PageHandler> expect(Napi::Env env) {
    auto promise = std::make_shared<Napi::Promise::Deferred>(env);
    // An awaited listing is a reason for the process to go on.
    if (pending_++ == 0) channel_->keep_alive(true);
    auto deliver = [self = shared_from_this(), promise](std::unique_ptr<ConnectionPage> page) {
      std::shared_ptr<ConnectionPage> shared(std::move(page));
      self->channel_->post([self, promise, shared](Napi::Env env, Napi::Function) {
        self->settle(env, *promise, shared.get());
      });
    };
    return {promise->Promise(), deliver};
  }

 private:
  void settle(Napi::Env env, Napi::Promise::Deferred& promise, const ConnectionPage* page) {
    if (--pending_ == 0) {
      channel_->keep_alive(false);
      if (closing_) close();
    }
    if (page != nullptr) {
      promise.Resolve(page_object(env, page->cursor, page->records));
    } else {
      promise.Reject(stopped(env).Value());
    }
  }

  std::shared_ptr<Channel> channel_;
  unsigned pending_ = 0;  // both on the JavaScript thread
  bool closing_ = false;
};

// startEngine() and attachEngine() make one: (options or undefined, onEvent).
class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Engine",
                       {InstanceMethod<&EngineObject::publish>("publish"),
                        InstanceMethod<&EngineObject::counters>("counters"),
                        InstanceMethod<&EngineObject::counters_location>("countersLocation"),
                        InstanceMethod<&EngineObject::connections>("connections"),
                        InstanceMethod<&EngineObject::ports>("ports"),
                        InstanceMethod<&EngineObject::worker_lag>("workerLag"),
                        InstanceMethod<&EngineObject::start_sync>("startSync"),
                        InstanceMethod<&EngineObject::stop_sync>("stopSync"),
                        InstanceMethod<&EngineObject::sync>("sync"),
                        InstanceMethod<&EngineObject::gauges>("gauges"),
                        InstanceMethod<&EngineObject::watch_start>("watchStart"),
                        InstanceMethod<&EngineObject::watch_read>("watchRead"),
                        InstanceMethod<&EngineObject::watch_stop>("watchStop"),
                        InstanceMethod<&EngineObject::stop>("stop")});
  }

  explicit EngineObject(const Napi::CallbackInfo& info) : ObjectWrap(info), env_(info.Env()) {
    const Napi::Env env = info.Env();
    const bool starts = !info[0].IsUndefined();
    EngineOptions options;
    if (starts) options = read_engine_options(argument(info, 0, "options"));
    const Napi::Function handler = argument(info, 1, "onEvent").function();
    events_ = Channel::open(env, handler, "sluice events", kEventsWaiting);
    answers_ = std::make_shared<Answers>(env);
    try {
      guarded(env, [&] { starts ? start(options) : attach(); });
    } catch (...) {
      events_->close();
      answers_->close();
      throw;
    }
    guarded(env, [&] {
      engine_->with([&](Engine& engine) {
        workers_ = engine.workers();
        counter_words_ = engine.counter_words();
        counters_ = engine.counters();
      });
    });
    if (!starts) return;
    // The process may end in any way while a worker runs: the engine goes first.
    hooked_ = true;
    napi_add_env_cleanup_hook(env, at_exit, this);
    // Forwarding must not end since somebody dropped a reference: only stop() lets it be collected.
    Ref();
  }

  ~EngineObject() override {
    if (hooked_) {
      shut_down();
    } else {
      leave();
    }
  }

 private:
  void start(const EngineOptions& options) {
    auto listeners = std::make_shared<Listeners>(call_handler);
    listeners->add(events_);
    engine_ = SharedEngine::start(options, std::move(listeners));
  }

  void attach() {
    engine_ = SharedEngine::running();
    engine_->with([](Engine&) {});
    engine_->listeners().add(events_);
  }

  static void at_exit(void* self) {
    auto* object = static_cast<EngineObject*>(self);
    object->hooked_ = false;
    object->shut_down();  // the environment collects the object itself
  }

  void shut_down() {
    engine_->stop();
    leave();
    if (hooked_) napi_remove_env_cleanup_hook(env_, at_exit, this);
    hooked_ = false;
  }

  void leave() {
    if (events_) events_->close();
    if (answers_) answers_->close_when_answered();
  }

  void publish(const Napi::CallbackInfo& info) {
    const auto [bytes, n] = argument(info, 0, "snapshot").bytes();
    guarded(info.Env(), [&, at = bytes, size = n] {
      engine_->with([&](Engine& engine) { engine.publish(at, size); });
    });
  }

  Napi::Value counters(const Napi::CallbackInfo& info) {
    check_running(info);
    auto array = Napi::BigUint64Array::New(info.Env(), counter_words_, napi_biguint64_array);
    // Word by word: each is read whole while its worker goes on writing.
    uint64_t* to = array.Data();
    for (size_t i = 0; i < counter_words_; ++i) {
      to[i] = __atomic_load_n(counters_ + i, __ATOMIC_RELAXED);
    }
    return array;
  }

  Napi::Value counters_location(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto o = Napi::Object::New(env);
    check_running(info);
    o.Set("address", Napi::BigInt::New(env, reinterpret_cast<uint64_t>(counters_)));
    o.Set("bytes", Napi::Number::New(env, static_cast<double>(counter_words_ * sizeof(uint64_t))));
    return o;
  }

  Napi::Value connections(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    check_running(info);
    const auto worker =
        argument(info, 0, "worker").integer<uint32_t>(0, static_cast<uint32_t>(workers_) - 1);
    const auto cursor = argument(info, 1, "cursor").integer<uint32_t>(0, UINT32_MAX);
    const auto limit = argument(info, 2, "limit").integer<uint32_t>(1, kMostConnectionsAPage);
    auto [promise, handler] = answers_->expect(env);
    guarded(env, [&, &deliver = handler] {
      engine_->with(
          [&](Engine& engine) { engine.connections(worker, cursor, limit, std::move(deliver)); });
    });
    return promise;
  }

  Napi::Value ports(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const auto all =
        guarded(env, [&] { return engine_->with([](Engine& engine) { return engine.ports(); }); });
    auto list = Napi::Array::New(env, all.size());
    for (uint32_t i = 0; i < all.size(); ++i) {
      const PortStatus& p = all[i];
      auto o = Napi::Object::New(env);
      auto number = [&](const char* key, uint64_t value) {
        o.Set(key, Napi::Number::New(env, static_cast<double>(value)));
      };
      char mac[18];
      snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", p.mac[0], p.mac[1], p.mac[2],
               p.mac[3], p.mac[4], p.mac[5]);
      o.Set("name", p.name);
      o.Set("device", p.device);
      o.Set("mac", mac);
      number("mtu", p.mtu);
      o.Set("up", Napi::Boolean::New(env, p.up));
      o.Set("twin", p.twin);
      number("rxPackets", p.stats.rx_packets);
      number("txPackets", p.stats.tx_packets);
      number("rxBytes", p.stats.rx_bytes);
      number("txBytes", p.stats.tx_bytes);
      number("rxMissed", p.stats.rx_missed);
      number("txErrors", p.stats.tx_errors);
      number("rxNoMbuf", p.stats.rx_no_mbuf);
      list.Set(i, o);
    }
    return list;
  }

  Napi::Value worker_lag(const Napi::CallbackInfo& info) {
    const auto lags = guarded(info.Env(), [&] {
      return engine_->with([](Engine& engine) { return engine.worker_lag_us(); });
    });
    auto array = Napi::Float64Array::New(info.Env(), lags.size());
    std::copy(lags.begin(), lags.end(), array.Data());
    return array;
  }

  void check_running(const Napi::CallbackInfo& info) {
    guarded(info.Env(), [&] { engine_->with([](Engine&) {}); });
  }

  void start_sync(const Napi::CallbackInfo& info) {
    const SyncOptions options = read_sync_options(argument(info, 0, "options"));
    guarded(info.Env(),
            [&] { engine_->with([&options](Engine& engine) { engine.start_sync(options); }); });
  }

  void stop_sync(const Napi::CallbackInfo& info) {
    guarded(info.Env(), [&] { engine_->with([](Engine& engine) { engine.stop_sync(); }); });
  }

  Napi::Value sync(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      return engine_->with([&](Engine& engine) { return sync_object(info.Env(), engine); });
    });
  }

  Napi::Value gauges(const Napi::CallbackInfo& info) {
    const auto now = guarded(
        info.Env(), [&] { return engine_->with([](Engine& engine) { return engine.gauges(); }); });
    return gauges_object(info.Env(), now);
  }

  // `what(Watches&)`, which answers a request that it has read itself.
  template <class F>
  auto with_watches(const Napi::CallbackInfo& info, F&& what) {
    return guarded(info.Env(), [&] {
      return engine_->with([&](Engine& engine) { return what(engine.watches()); });
    });
  }
  Napi::Value watch_start(const Napi::CallbackInfo& info) {
    return with_watches(
        info, [&](Watches& all) { return start_watch(info, all, Watcher::now().steady); });
  }
  Napi::Value watch_read(const Napi::CallbackInfo& info) {
    return with_watches(info,
                        [&](Watches& all) { return read_watch(info, all, Watcher::now().steady); });
  }
  void watch_stop(const Napi::CallbackInfo& info) {
    with_watches(info, [&](Watches& all) { stop_watch(info, all); });
  }

  void stop(const Napi::CallbackInfo&) {
    const bool held = hooked_;
    shut_down();
    if (held) Unref();
  }

  napi_env env_;
  std::shared_ptr<SharedEngine> engine_;
  std::shared_ptr<Channel> events_;
  std::shared_ptr<Answers> answers_;
  size_t workers_ = 0, counter_words_ = 0;
  const uint64_t* counters_ = nullptr;  // mapped for ever
  bool hooked_ = false;                 // it started the engine, which runs
};

}  // namespace

void register_engine(Napi::Env env, Napi::Object exports) {
  auto* constructor = new Napi::FunctionReference(Napi::Persistent(EngineObject::define(env)));
  env.AddCleanupHook([](Napi::FunctionReference* c) { delete c; }, constructor);
  auto function = [&](const char* name, auto make) {
    exports.Set(name, Napi::Function::New(env, make, name));
  };
  function("startEngine", [constructor](const Napi::CallbackInfo& info) -> Napi::Value {
    if (info[0].IsUndefined()) argument(info, 0, "options").fail("an object");
    return constructor->New({info[0], info[1]});
  });
  function("attachEngine", [constructor](const Napi::CallbackInfo& info) -> Napi::Value {
    return constructor->New({info.Env().Undefined(), info[0]});
  });
}

}  // namespace sluice
