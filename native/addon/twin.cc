// acceptAddresses() of src/native.ts.
#include "arguments.h"
#include "engine/live/accepted.h"
#include "module.h"

namespace sluice {
namespace {

constexpr size_t kMostAddresses = 65536;

void accept_addresses_of(const Napi::CallbackInfo& info) {
  const std::string twin = argument(info, 0, "twin").text();
  std::vector<std::string> addresses;
  for (const Argument& address : argument(info, 1, "addresses").elements(kMostAddresses)) {
    addresses.push_back(address.text());
  }
  guarded(info.Env(), [&] { accept_addresses(twin, addresses); });
}

}  // namespace

void register_twin(Napi::Env env, Napi::Object exports) {
  exports.Set("acceptAddresses", Napi::Function::New(env, accept_addresses_of, "acceptAddresses"));
}

}  // namespace sluice
