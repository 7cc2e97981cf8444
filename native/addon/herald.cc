// The Herald object of src/native.ts: adverts and frames of VRRP.
#include "engine/live/herald.h"

#include <memory>
#include <string>
#include <utility>

#include "arguments.h"
#include "channel.h"
#include "module.h"
#include "shared_engine.h"

namespace sluice {
namespace {

constexpr uint32_t kMostInstances = 256 * 2 * 256;  // ports x families x router IDs
constexpr size_t kMostPeers = 1024;
constexpr size_t kMostRemarks = 1u << 16;
constexpr uint32_t kShortestUs = 1'000, kLongestUs = 3'600'000'000;
constexpr double kNsAMs = 1e6;
constexpr uint64_t kMostSequence = (uint64_t{1} << 53) - 1;  // Number.MAX_SAFE_INTEGER

Frame read_frame(const Argument& argument) {
  const auto [at, n] = argument.bytes();
  if (n < 14 || n > 1514) argument.fail("an Ethernet frame of at most 1514 bytes");
  return Frame(at, at + n);
}

std::vector<Frame> read_frames(const Argument& argument) {
  std::vector<Frame> frames;
  for (const Argument& one : argument.elements(kMostPeers)) frames.push_back(read_frame(one));
  return frames;
}

Seal read_seal(const Argument& options) {
  const std::string kind = options["kind"].text();
  if (kind != "ah" && kind != "trailer") options["kind"].fail("ah or trailer");
  const auto [key, n] = options["key"].bytes();
  return {kind == "ah" ? SealKind::ah : SealKind::trailer, {key, key + n}};
}

Advert read_advert(const Argument& options) {
  Advert advert;
  advert.port = options["port"].integer<uint16_t>(0, UINT8_MAX);
  advert.interval_ns =
      uint64_t{options["intervalUs"].integer<uint32_t>(kShortestUs, kLongestUs)} * 1000;
  advert.frames = read_frames(options["frames"]);
  advert.farewell = read_frames(options["farewell"]);
  if (const Argument seal = options["seal"]; !seal.is_absent()) advert.seal = read_seal(seal);
  return advert;
}

uint32_t read_instance(const Argument& argument) {
  return argument.integer<uint32_t>(0, kMostInstances - 1);
}

Remark read_remark(const Argument& options) {
  return {read_instance(options["instance"]), options["port"].integer<uint16_t>(0, UINT8_MAX),
          read_frame(options["frame"])};
}

uint64_t read_ms(const Argument& argument) {
  const double ms =
      argument.value().IsNumber() ? argument.value().As<Napi::Number>().DoubleValue() : -1;
  if (!(ms >= 0 && ms < 1e12)) argument.fail("milliseconds of the monotonic clock");
  return static_cast<uint64_t>(ms * kNsAMs);
}

class HeraldObject : public Napi::ObjectWrap<HeraldObject> {
  template <class F>
  auto with(const Napi::CallbackInfo& info, F&& use) {
    return guarded(info.Env(), [&] {
      return engine_->with([&](Engine& engine) { return use(engine.herald()); });
    });
  }

 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "Herald",
        {InstanceMethod<&HeraldObject::repeat>("repeat"),
         InstanceMethod<&HeraldObject::cease>("cease"), InstanceMethod<&HeraldObject::send>("send"),
         InstanceMethod<&HeraldObject::heed>("heed"),
         InstanceMethod<&HeraldObject::wake_at>("wakeAt"),
         InstanceMethod<&HeraldObject::prepare>("prepare"),
         InstanceMethod<&HeraldObject::renew_lease>("renewLease"),
         InstanceMethod<&HeraldObject::take>("take")});
  }

  // Of the engine that runs in this process; it hears what comes from now on.
  explicit HeraldObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const Napi::Env env = info.Env();
    const Napi::Function handler = argument(info, 0, "onNews").function();
    guarded(env, [&] { engine_ = SharedEngine::running(); });
    channel_ = Channel::open(env, handler, "sluice herald", 0);
    with(info, [this](Herald& herald) {
      herald.on_news([channel = channel_] {
        channel->post([](Napi::Env, Napi::Function news) { news.Call({}); });
      });
    });
  }
  ~HeraldObject() override {
    if (channel_) channel_->close();
  }

 private:
  static uint32_t instance(const Napi::CallbackInfo& info) {
    return read_instance(argument(info, 0, "instance"));
  }

  void repeat(const Napi::CallbackInfo& info) {
    Advert advert = read_advert(argument(info, 1, "advert"));
    const uint32_t which = instance(info);
    const bool at_once = argument(info, 2, "atOnce").boolean();
    with(info, [&](Herald& herald) { herald.repeat(which, std::move(advert), at_once); });
  }
  void cease(const Napi::CallbackInfo& info) {
    const uint32_t which = instance(info);
    const bool farewell = argument(info, 1, "farewell").boolean();
    with(info, [&](Herald& herald) { herald.cease(which, farewell); });
  }
  void send(const Napi::CallbackInfo& info) {
    Remark remark = read_remark(argument(info, 0, "remark"));
    with(info, [&](Herald& herald) { herald.send(std::move(remark)); });
  }
  Napi::Value heed(const Napi::CallbackInfo& info) {
    const uint32_t which = instance(info);
    const auto sequence = argument(info, 1, "sequence").integer<uint64_t>(0, kMostSequence);
    const uint64_t last = with(info, [&](Herald& herald) { return herald.heed(which, sequence); });
    return Napi::Number::New(info.Env(), static_cast<double>(last));
  }
  void wake_at(const Napi::CallbackInfo& info) {
    const uint64_t at = read_ms(argument(info, 0, "atMs"));
    const bool decided = argument(info, 1, "decided").boolean();
    with(info, [&](Herald& herald) { herald.wake_at(at, decided); });
  }
  void prepare(const Napi::CallbackInfo& info) {
    if (info[0].IsNull()) return with(info, [](Herald& herald) { herald.prepare({}); });
    const Argument options = argument(info, 0, "succession");
    Succession succession;
    for (const Argument& one : options["adverts"].elements(kMostInstances)) {
      succession.adverts.emplace_back(read_instance(one["instance"]), read_advert(one["advert"]));
    }
    for (const Argument& one : options["remarks"].elements(kMostRemarks)) {
      succession.remarks.push_back(read_remark(one));
    }
    const auto [at, n] = options["snapshot"].bytes();
    guarded(info.Env(), [&, at = at, n = n] {
      engine_->with([&](Engine& engine) { engine.prepare(at, n, std::move(succession)); });
    });
  }
  void renew_lease(const Napi::CallbackInfo& info) {
    const uint64_t until = Herald::now_ns() + read_ms(argument(info, 0, "ms"));
    with(info, [&](Herald& herald) { herald.renew_lease(until); });
  }
  Napi::Value take(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const News news = with(info, [](Herald& herald) { return herald.take(); });
    auto heard = Napi::Array::New(env, news.heard.size());
    for (uint32_t i = 0; i < news.heard.size(); ++i) {
      const Heard& one = news.heard[i];
      auto o = Napi::Object::New(env);
      o.Set("atMs", Napi::Number::New(env, static_cast<double>(one.at_ns) / kNsAMs));
      o.Set("port", Napi::Number::New(env, one.port));
      auto bytes = Napi::Uint8Array::New(env, one.frame.size());
      std::copy(one.frame.begin(), one.frame.end(), bytes.Data());
      o.Set("frame", bytes);
      heard.Set(i, o);
    }
    auto repeating = Napi::Array::New(env, news.repeating.size());
    for (uint32_t i = 0; i < news.repeating.size(); ++i) {
      repeating.Set(i, Napi::Number::New(env, news.repeating[i]));
    }
    auto o = Napi::Object::New(env);
    o.Set("lapsed", Napi::Boolean::New(env, news.lapsed));
    o.Set("succeeded", Napi::Boolean::New(env, news.succeeded));
    o.Set("completeMs", Napi::Number::New(env, static_cast<double>(news.complete_ns) / kNsAMs));
    o.Set("repeating", repeating);
    o.Set("heard", heard);
    o.Set("lost", Napi::Number::New(env, static_cast<double>(news.lost)));
    o.Set("unsent", Napi::Number::New(env, static_cast<double>(news.unsent)));
    o.Set("lateMs", Napi::Number::New(env, static_cast<double>(news.late_ns) / kNsAMs));
    return o;
  }

  std::shared_ptr<SharedEngine> engine_;
  std::shared_ptr<Channel> channel_;
};

}  // namespace

void register_herald(Napi::Env env, Napi::Object exports) {
  auto* constructor = new Napi::FunctionReference(Napi::Persistent(HeraldObject::define(env)));
  env.AddCleanupHook([](Napi::FunctionReference* c) { delete c; }, constructor);
  exports.Set("openHerald", Napi::Function::New(
                                env,
                                [constructor](const Napi::CallbackInfo& info) -> Napi::Value {
                                  return constructor->New({info[0]});
                                },
                                "openHerald"));
}

}  // namespace sluice
