#include "channel.h"

namespace sluice {

std::shared_ptr<Channel> Channel::open(Napi::Env env, Napi::Function handler, const char* name,
                                       size_t most) {
  std::shared_ptr<Channel> channel(new Channel);
  channel->env_ = env;
  const napi_status status =
      napi_create_threadsafe_function(env, handler, nullptr, Napi::String::New(env, name), most, 1,
                                      nullptr, nullptr, nullptr, call, &channel->function_);
  if (status != napi_ok) throw Napi::Error::New(env);
  napi_unref_threadsafe_function(env, channel->function_);
  channel->self_ = channel;
  // Hooks run last in, first out: this one before that of the function, which frees it.
  napi_add_env_cleanup_hook(env, at_end, channel.get());
  return channel;
}

Channel::Posted Channel::post(Work work) {
  const std::lock_guard lock(mutex_);
  if (function_ == nullptr) return Posted::closed;
  auto owned = std::make_unique<Work>(std::move(work));
  if (napi_call_threadsafe_function(function_, owned.get(), napi_tsfn_nonblocking) != napi_ok) {
    return Posted::full;
  }
  (void)owned.release();  // call()'s
  return Posted::yes;
}

void Channel::call(napi_env env, napi_value handler, void*, void* data) {
  const std::unique_ptr<Work> work(static_cast<Work*>(data));
  if (env == nullptr) return;  // what was still queued when the environment ended
  try {
    (*work)(env, Napi::Function(env, handler));
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  }
}

void Channel::close() {
  if (!self_) return;
  napi_remove_env_cleanup_hook(env_, at_end, this);
  shut();
}

void Channel::at_end(void* self) {
  static_cast<Channel*>(self)->shut();
}

void Channel::shut() {
  const std::shared_ptr<Channel> until_return = std::move(self_);
  const std::lock_guard lock(mutex_);
  napi_release_threadsafe_function(function_, napi_tsfn_release);
  function_ = nullptr;
}

void Channel::keep_alive(bool keep) {
  if (function_ == nullptr) return;
  (keep ? napi_ref_threadsafe_function : napi_unref_threadsafe_function)(env_, function_);
}

}  // namespace sluice
