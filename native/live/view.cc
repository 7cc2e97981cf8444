// view(address, bytes): native memory as a SharedArrayBuffer. Node-API can't do it, V8's own
// interface can; hence nan, and an addon of its own that the program works without.
//
// The memory must stay mapped for ever: the engine's counters do.
#include <nan.h>

#include <cstdint>
#include <memory>

namespace {

constexpr double kMostBytes = 64.0 * 1024 * 1024 * 1024;

void refuse(const char* message) {
  v8::Local<v8::Value> error = Nan::TypeError(message);
  Nan::Set(error.As<v8::Object>(), Nan::New("code").ToLocalChecked(),
           Nan::New("ERR_NATIVE_ARGUMENT").ToLocalChecked());
  Nan::ThrowError(error);
}

void view(const Nan::FunctionCallbackInfo<v8::Value>& info) {
  bool lossless = false;
  const uint64_t address =
      info[0]->IsBigInt() ? info[0].As<v8::BigInt>()->Uint64Value(&lossless) : 0;
  if (!lossless || address == 0 || address % 8 != 0) {
    return refuse("address must be a bigint, an aligned address");
  }
  const double bytes = info[1]->IsNumber() ? info[1].As<v8::Number>()->Value() : 0;
  if (!(bytes > 0 && bytes <= kMostBytes)) return refuse("bytes must be a number up to 64 Gi");

  std::unique_ptr<v8::BackingStore> store = v8::SharedArrayBuffer::NewBackingStore(
      reinterpret_cast<void*>(address), static_cast<size_t>(bytes),
      // V8's own: a view may be freed after the thread that loaded this addon, and the addon.
      v8::BackingStore::EmptyDeleter, nullptr);
  info.GetReturnValue().Set(v8::SharedArrayBuffer::New(
      info.GetIsolate(), std::shared_ptr<v8::BackingStore>(std::move(store))));
}

NAN_MODULE_INIT(init) {
  Nan::SetMethod(target, "view", view);
}

}  // namespace

NAN_MODULE_WORKER_ENABLED(sluice_live, init)
