// The Replay object of src/native.ts.
#include "engine/replay.h"

#include <cstring>
#include <memory>

#include "module.h"
#include "options.h"
#include "sync.h"
#include "watch.h"

namespace sluice {
namespace {

constexpr uint32_t kMostConnectionsAPage = 1u << 16;

template <class T>
auto typed_copy(Napi::Env env, const T* from, size_t n) {
  auto array = Napi::TypedArrayOf<T>::New(env, n);
  if (n != 0) std::memcpy(array.Data(), from, n * sizeof(T));
  return array;
}

Napi::BigUint64Array words_copy(Napi::Env env, const uint64_t* from, size_t n) {
  auto array = Napi::BigUint64Array::New(env, n, napi_biguint64_array);
  if (n != 0) std::memcpy(array.Data(), from, n * sizeof *from);
  return array;
}

// Checked here, since C++ reads by the offsets.
ReplayBatch read_batch(const Argument& batch, size_t ports) {
  ReplayBatch b{};
  const auto [bytes, size] = batch["bytes"].bytes();
  const auto [offsets, edges] =
      batch["offsets"].typed_array<uint32_t>(napi_uint32_array, "a Uint32Array");
  const auto [times, n] =
      batch["times"].typed_array<uint64_t>(napi_biguint64_array, "a BigUint64Array");
  const auto [entered, m] = batch["ports"].bytes();
  if (edges != n + 1) batch["offsets"].fail("one longer than times");
  if (m != n) batch["ports"].fail("as long as times");
  for (size_t i = 0; i < n; ++i) {
    if (offsets[i] > offsets[i + 1]) batch["offsets"].fail("ascending");
    if (entered[i] >= ports) batch["ports"].fail("indices of ports");
  }
  if (offsets[n] > size) batch["offsets"].fail("within bytes");
  b.bytes = bytes;
  b.offsets = offsets;
  b.times = times;
  b.ports = entered;
  b.frames = n;
  return b;
}

class ReplayObject : public Napi::ObjectWrap<ReplayObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Replay",
                       {InstanceMethod<&ReplayObject::publish>("publish"),
                        InstanceMethod<&ReplayObject::run>("run"),
                        InstanceMethod<&ReplayObject::advance>("advance"),
                        InstanceMethod<&ReplayObject::counters>("counters"),
                        InstanceMethod<&ReplayObject::connections>("connections"),
                        InstanceMethod<&ReplayObject::mbufs_in_use>("mbufsInUse"),
                        InstanceMethod<&ReplayObject::start_sync>("startSync"),
                        InstanceMethod<&ReplayObject::sync_send>("syncSend"),
                        InstanceMethod<&ReplayObject::sync_receive>("syncReceive"),
                        InstanceMethod<&ReplayObject::sync>("sync"),
                        InstanceMethod<&ReplayObject::watch_start>("watchStart"),
                        InstanceMethod<&ReplayObject::watch_read>("watchRead"),
                        InstanceMethod<&ReplayObject::watch_stop>("watchStop"),
                        InstanceMethod<&ReplayObject::close>("close")});
  }

  explicit ReplayObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const ReplayOptions options = read_replay_options(argument(info, 0, "options"));
    ports_ = options.ports.size();
    guarded(info.Env(), [&] { replay_ = std::make_unique<ReplayEngine>(options); });
  }

 private:
  ReplayEngine& replay(const Napi::CallbackInfo& info) {
    if (!replay_) {
      throw coded(Napi::Error::New(info.Env(), "the replay has been closed"), "ERR_NATIVE_STOPPED");
    }
    return *replay_;
  }

  void publish(const Napi::CallbackInfo& info) {
    const auto [bytes, n] = argument(info, 0, "snapshot").bytes();
    guarded(info.Env(), [&, at = bytes, size = n] { replay(info).publish(at, size); });
  }

  Napi::Value run(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const ReplayBatch batch = read_batch(argument(info, 0, "batch"), ports_);
    const ReplayResult result = guarded(env, [&] { return replay(info).run(batch); });
    auto o = Napi::Object::New(env);
    o.Set("bytes", typed_copy(env, result.bytes.data(), result.bytes.size()));
    o.Set("offsets", typed_copy(env, result.offsets.data(), result.offsets.size()));
    o.Set("times", words_copy(env, result.times.data(), result.times.size()));
    o.Set("ports", typed_copy(env, result.ports.data(), result.ports.size()));
    o.Set("sources", typed_copy(env, result.sources.data(), result.sources.size()));
    o.Set("verdicts", typed_copy(env, reinterpret_cast<const int32_t*>(result.verdicts.data()),
                                 result.verdicts.size() * sizeof(ReplayVerdict) / 4));
    return o;
  }

  void advance(const Napi::CallbackInfo& info) {
    const uint64_t to = argument(info, 0, "toNs").bigint();
    guarded(info.Env(), [&] { replay(info).advance(to); });
  }

  Napi::Value counters(const Napi::CallbackInfo& info) {
    const auto& words = replay(info).counters();
    return words_copy(info.Env(), words.data(), words.size());
  }

  Napi::Value connections(const Napi::CallbackInfo& info) {
    ReplayEngine& engine = replay(info);
    const auto worker = argument(info, 0, "worker")
                            .integer<uint32_t>(0, static_cast<uint32_t>(engine.workers()) - 1);
    const auto cursor = argument(info, 1, "cursor").integer<uint32_t>(0, UINT32_MAX);
    const auto limit = argument(info, 2, "limit").integer<uint32_t>(1, kMostConnectionsAPage);
    std::vector<uint8_t> records;
    const uint32_t next = engine.list(worker, cursor, limit, records);
    return page_object(info.Env(), next, records);
  }

  Napi::Value mbufs_in_use(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), replay(info).mbufs_in_use());
  }

  void start_sync(const Napi::CallbackInfo& info) {
    const sync::Settings settings = read_sync_settings(argument(info, 0, "settings"));
    guarded(info.Env(), [&] { replay(info).start_sync(settings); });
  }

  Napi::Value sync_send(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const auto datagrams = guarded(env, [&] { return replay(info).sync_send(); });
    auto list = Napi::Array::New(env, datagrams.size());
    for (uint32_t i = 0; i < datagrams.size(); ++i) {
      list.Set(i, typed_copy(env, datagrams[i].data(), datagrams[i].size()));
    }
    return list;
  }

  void sync_receive(const Napi::CallbackInfo& info) {
    const auto [bytes, n] = argument(info, 0, "datagram").bytes();
    guarded(info.Env(), [&, at = bytes, size = n] { replay(info).sync_receive({at, size}); });
  }

  Napi::Value sync(const Napi::CallbackInfo& info) {
    ReplayEngine& engine = replay(info);
    if (engine.sync_figures() == nullptr) return info.Env().Null();
    std::vector<sync::Feeds> workers;
    for (unsigned w = 0; w < engine.workers(); ++w) workers.push_back(engine.feeds(w));
    return sync_figures(info.Env(), *engine.sync_figures(), workers);
  }

  Napi::Value watch_start(const Napi::CallbackInfo& info) {
    return start_watch(info, replay(info).watches(), replay(info).now_ns());
  }
  Napi::Value watch_read(const Napi::CallbackInfo& info) {
    return read_watch(info, replay(info).watches(), replay(info).now_ns());
  }
  void watch_stop(const Napi::CallbackInfo& info) { stop_watch(info, replay(info).watches()); }

  void close(const Napi::CallbackInfo&) { replay_.reset(); }

  size_t ports_ = 0;
  std::unique_ptr<ReplayEngine> replay_;
};

}  // namespace

void register_replay(Napi::Env env, Napi::Object exports) {
  // Kept by the function below, and so by the module's exports.
  auto* constructor = new Napi::FunctionReference(Napi::Persistent(ReplayObject::define(env)));
  env.AddCleanupHook([](Napi::FunctionReference* c) { delete c; }, constructor);
  exports.Set("createReplay", Napi::Function::New(
                                  env,
                                  [constructor](const Napi::CallbackInfo& info) -> Napi::Value {
                                    return constructor->New({info[0]});
                                  },
                                  "createReplay"));
}

}  // namespace sluice
