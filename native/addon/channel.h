// Work for the JavaScript thread of one environment, left there by any thread. An environment can
// end at any time (a worker thread that is terminated); what is posted from then on is dropped.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>

namespace sluice {

class Channel {
 public:
  // With the handler that open() was given; what it throws is an uncaught exception.
  using Work = std::function<void(Napi::Env, Napi::Function)>;
  enum class Posted { yes, full, closed };

  // On the environment's thread. `most`: work that waits there at once, 0: any amount. An open
  // channel doesn't keep the event loop alive until keep_alive() says so.
  static std::shared_ptr<Channel> open(Napi::Env env, Napi::Function handler, const char* name,
                                       size_t most);
  Channel(const Channel&) = delete;

  // From any thread.
  Posted post(Work work);
  // On the environment's thread. May be repeated; the environment's end does it, too.
  void close();
  void keep_alive(bool keep);

 private:
  Channel() = default;
  static void call(napi_env env, napi_value handler, void* context, void* data);
  static void at_end(void* self);
  void shut();

  std::mutex mutex_;                             // of function_
  napi_threadsafe_function function_ = nullptr;  // nullptr: closed
  napi_env env_ = nullptr;
  std::shared_ptr<Channel> self_;  // for at_end, until it has run or is not to
};

}  // namespace sluice
