// The Engine object of src/native.ts.
#include "engine/live/engine.h"

#include <cstdio>
#include <cstring>
#include <memory>

#include "engine/port/dpdk_log.h"
#include "module.h"
#include "options.h"

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
  if (env == nullptr || handler == nullptr) return;
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
// collected while one is still queued.
class Answers : public std::enable_shared_from_this<Answers> {
 public:
  explicit Answers(Napi::Env env)
      : function_(Napi::ThreadSafeFunction::New(
            env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "sluice answers", 0,
            1)) {
    function_.Unref(env);
  }
  void release() {
    released_ = true;
    function_.Release();
  }

  // A promise, and what settles it from any thread; nullptr: the engine has been stopped.
  std::pair<Napi::Promise, PageHandler> expect(Napi::Env env) {
    auto promise = std::make_shared<Napi::Promise::Deferred>(env);
    // An awaited listing is a reason for the process to go on.
    if (pending_++ == 0) function_.Ref(env);
    auto deliver = [self = shared_from_this(), promise](std::unique_ptr<ConnectionPage> page) {
      std::shared_ptr<ConnectionPage> shared(std::move(page));
      self->function_.NonBlockingCall([self, promise, shared](Napi::Env env, Napi::Function) {
        if (env != nullptr) self->settle(env, *promise, shared.get());
      });
    };
    return {promise->Promise(), deliver};
  }

 private:
  void settle(Napi::Env env, Napi::Promise::Deferred& promise, const ConnectionPage* page) {
    if (--pending_ == 0 && !released_) function_.Unref(env);
    if (page != nullptr) {
      promise.Resolve(page_object(env, page->cursor, page->records));
    } else {
      promise.Reject(stopped(env).Value());
    }
  }

  Napi::ThreadSafeFunction function_;
  unsigned pending_ = 0;  // both on the JavaScript thread
  bool released_ = false;
};

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
                        InstanceMethod<&EngineObject::stop>("stop")});
  }

  explicit EngineObject(const Napi::CallbackInfo& info) : ObjectWrap(info), env_(info.Env()) {
    const Napi::Env env = info.Env();
    const EngineOptions options = read_engine_options(argument(info, 0, "options"));
    const Napi::Function handler = argument(info, 1, "onEvent").function();
    events_ = Napi::ThreadSafeFunction::New(env, handler, "sluice events", kEventsWaiting, 1);
    // It doesn't keep the process alive: a director has its sockets, a script may just end.
    events_.Unref(env);
    answers_ = std::make_shared<Answers>(env);
    try {
      guarded(env, [&] {
        engine_ = std::make_unique<Engine>(
            options, [events = events_](Event event) mutable { post(events, std::move(event)); });
      });
    } catch (...) {
      events_.Release();
      answers_->release();
      throw;
    }
    counters_bytes_ = engine_->counter_words() * sizeof(uint64_t);
    // The process may end in any way while a worker runs: the engine goes first.
    hooked_ = true;
    napi_add_env_cleanup_hook(env, at_exit, this);
    // Forwarding must not end since somebody dropped a reference: only stop() lets it be collected.
    Ref();
  }

  ~EngineObject() override { shut_down(); }

 private:
  static void post(Napi::ThreadSafeFunction& events, Event event) {
    auto* copy = new Event(std::move(event));
    const napi_status status =
        events.NonBlockingCall(copy, [](Napi::Env env, Napi::Function handler, Event* event) {
          const std::unique_ptr<Event> owned(event);
          call_handler(env, handler, *owned);
        });
    if (status != napi_ok) delete copy;
  }

  static void at_exit(void* self) {
    auto* object = static_cast<EngineObject*>(self);
    object->hooked_ = false;
    object->shut_down();  // the environment collects the object itself
  }

  void shut_down() {
    if (!engine_) return;
    engine_->stop();
    engine_.reset();
    events_.Release();
    answers_->release();
    if (hooked_) napi_remove_env_cleanup_hook(env_, at_exit, this);
    hooked_ = false;
  }

  Engine& engine(const Napi::CallbackInfo& info) {
    if (!engine_) {
      throw stopped(info.Env());
    }
    return *engine_;
  }

  void publish(const Napi::CallbackInfo& info) {
    const auto [bytes, n] = argument(info, 0, "snapshot").bytes();
    guarded(info.Env(), [&, at = bytes, size = n] { engine(info).publish(at, size); });
  }

  Napi::Value counters(const Napi::CallbackInfo& info) {
    Engine& e = engine(info);
    auto array = Napi::BigUint64Array::New(info.Env(), e.counter_words(), napi_biguint64_array);
    // Word by word: each is read whole while its worker goes on writing.
    const uint64_t* from = e.counters();
    uint64_t* to = array.Data();
    for (size_t i = 0; i < e.counter_words(); ++i) {
      to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
    }
    return array;
  }

  Napi::Value counters_location(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto o = Napi::Object::New(env);
    const auto address = reinterpret_cast<uint64_t>(engine(info).counters());
    o.Set("address", Napi::BigInt::New(env, address));
    o.Set("bytes", Napi::Number::New(env, static_cast<double>(counters_bytes_)));
    return o;
  }

  Napi::Value connections(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Engine& e = engine(info);
    const auto worker =
        argument(info, 0, "worker").integer<uint32_t>(0, static_cast<uint32_t>(e.workers()) - 1);
    const auto cursor = argument(info, 1, "cursor").integer<uint32_t>(0, UINT32_MAX);
    const auto limit = argument(info, 2, "limit").integer<uint32_t>(1, kMostConnectionsAPage);
    auto [promise, handler] = answers_->expect(env);
    guarded(env,
            [&, &deliver = handler] { e.connections(worker, cursor, limit, std::move(deliver)); });
    return promise;
  }

  Napi::Value ports(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const std::vector<PortStatus> all = engine(info).ports();
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
    const std::vector<double> lags = engine(info).worker_lag_us();
    auto array = Napi::Float64Array::New(info.Env(), lags.size());
    std::copy(lags.begin(), lags.end(), array.Data());
    return array;
  }

  void stop(const Napi::CallbackInfo&) {
    if (!engine_) return;
    shut_down();
    Unref();
  }

  napi_env env_;
  std::unique_ptr<Engine> engine_;
  Napi::ThreadSafeFunction events_;
  std::shared_ptr<Answers> answers_;
  size_t counters_bytes_ = 0;
  bool hooked_ = false;
};

}  // namespace

void register_engine(Napi::Env env, Napi::Object exports) {
  auto* constructor = new Napi::FunctionReference(Napi::Persistent(EngineObject::define(env)));
  env.AddCleanupHook([](Napi::FunctionReference* c) { delete c; }, constructor);
  exports.Set("startEngine", Napi::Function::New(
                                 env,
                                 [constructor](const Napi::CallbackInfo& info) -> Napi::Value {
                                   return constructor->New({info[0], info[1]});
                                 },
                                 "startEngine"));
}

}  // namespace sluice
