// createProber() of src/native.ts. One order and one result are a few words of a typed array.
#include "prober/prober.h"

#include <net/if.h>

#include <array>
#include <cstring>
#include <memory>

#include "arguments.h"
#include "channel.h"
#include "module.h"

namespace sluice {
namespace {

// PROBE_WORDS and RESULT_WORDS in src/native.ts.
enum OrderWord {
  kId,
  kAddress,  // four words, as they lie in memory
  kOwnAddress = kAddress + 4,
  kPorts = kOwnAddress + 4,
  kMark,
  kVip,
  kTunnel,
  kTimeout,
  kPatience,
  kInterfaceBytes,
  kQuestionBytes,
  kOrderWords
};
constexpr size_t kResultWords = 4;

class ProberObject : public Napi::ObjectWrap<ProberObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Prober",
                       {InstanceMethod<&ProberObject::start>("start"),
                        InstanceMethod<&ProberObject::cancel>("cancel"),
                        InstanceMethod<&ProberObject::hold>("hold"),
                        InstanceMethod<&ProberObject::cpu_ns>("cpuNs"),
                        InstanceMethod<&ProberObject::close>("close")});
  }

  explicit ProberObject(const Napi::CallbackInfo& info) : ObjectWrap(info), env_(info.Env()) {
    const Napi::Function handler = argument(info, 0, "onResults").function();
    results_ = Channel::open(env_, handler, "sluice probes", 0);
    try {
      guarded(env_, [&] { *prober_ = std::make_unique<Prober>([this] { announce(); }); });
    } catch (...) {
      results_->close();
      throw;
    }
    hooked_ = true;
    napi_add_env_cleanup_hook(env_, at_exit, this);
  }

  ~ProberObject() override { shut_down(); }

 private:
  static void at_exit(void* self) {
    auto* object = static_cast<ProberObject*>(self);
    object->hooked_ = false;
    object->shut_down();
  }

  void shut_down() {
    if (!*prober_) return;
    prober_->reset();
    results_->close();
    if (hooked_) napi_remove_env_cleanup_hook(env_, at_exit, this);
    hooked_ = false;
  }

  // On the prober's thread. What is queued may be called after this object has gone.
  void announce() {
    results_->post([prober = prober_](Napi::Env env, Napi::Function handler) {
      if (*prober) deliver(env, handler, **prober);
    });
  }

  static void deliver(Napi::Env env, Napi::Function handler, Prober& prober) {
    const std::vector<ProbeResult> results = prober.take();
    if (results.empty()) return;
    static_assert(sizeof(ProbeResult) == kResultWords * sizeof(uint32_t));
    auto words = Napi::Uint32Array::New(env, results.size() * kResultWords);
    std::memcpy(words.Data(), results.data(), results.size() * sizeof(ProbeResult));
    handler.Call({words});
  }

  Prober& prober() {
    if (!*prober_) {
      throw coded(Napi::Error::New(env_, "the prober has been closed"), "ERR_NATIVE_STOPPED");
    }
    return **prober_;
  }

  void start(const Napi::CallbackInfo& info) {
    const Argument orders = argument(info, 0, "orders"), texts = argument(info, 1, "texts");
    const auto [words, n] = orders.typed_array<uint32_t>(napi_uint32_array, "a Uint32Array");
    const auto [bytes, total] = texts.bytes();
    if (n % kOrderWords != 0) orders.fail("whole orders");
    std::vector<ProbeRequest> requests;
    requests.reserve(n / kOrderWords);
    size_t at = 0;
    for (const uint32_t* w = words; w != words + n; w += kOrderWords) {
      const size_t name = w[kInterfaceBytes], question = w[kQuestionBytes];
      if (name >= IFNAMSIZ || question > total || at + name + question > total) {
        texts.fail("as long as the orders say");
      }
      const char* text = reinterpret_cast<const char*>(bytes) + at;
      std::array<uint8_t, 16> address, own_address;
      std::memcpy(address.data(), w + kAddress, address.size());
      std::memcpy(own_address.data(), w + kOwnAddress, own_address.size());
      requests.push_back({w[kId], address, own_address, static_cast<uint16_t>(w[kPorts]),
                          static_cast<uint16_t>(w[kPorts] >> 16), w[kMark], w[kVip], w[kTunnel],
                          w[kTimeout], w[kPatience], std::string(text, name),
                          std::string(text + name, question), false});
      at += name + question;
    }
    prober().start(std::move(requests));
  }

  void cancel(const Napi::CallbackInfo& info) {
    const Argument ids = argument(info, 0, "ids");
    const auto [words, n] = ids.typed_array<uint32_t>(napi_uint32_array, "a Uint32Array");
    prober().cancel(std::vector<uint32_t>(words, words + n));
  }

  // Whether probes under way are a reason for the process to go on.
  void hold(const Napi::CallbackInfo& info) {
    results_->keep_alive(argument(info, 0, "on").boolean());
  }

  Napi::Value cpu_ns(const Napi::CallbackInfo& info) {
    return Napi::Number::New(env_, static_cast<double>(prober().cpu_ns()));
  }

  void close(const Napi::CallbackInfo&) { shut_down(); }

  napi_env env_;
  std::shared_ptr<Channel> results_;
  // Shared with what is on its way to JavaScript; empty: closed.
  const std::shared_ptr<std::unique_ptr<Prober>> prober_ =
      std::make_shared<std::unique_ptr<Prober>>();
  bool hooked_ = false;
};

Napi::Value create_prober(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  // A class a call: one prober is made, and none of its kind lives in another environment.
  return ProberObject::define(env).New({info[0]});
}

}  // namespace

void register_prober(Napi::Env env, Napi::Object exports) {
  exports.Set("createProber", Napi::Function::New(env, create_prober, "createProber"));
}

}  // namespace sluice
