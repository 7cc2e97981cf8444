// Readers of arguments from JavaScript. TypeScript has the types and the full messages; these hold
// whatever comes: each throws a TypeError with code ERR_NATIVE_ARGUMENT that names the argument.
#pragma once

#include <napi.h>

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/error.h"

namespace sluice {

inline Napi::Error coded(Napi::Error error, const std::string& code) {
  error.Set("code", Napi::String::New(error.Env(), code));
  return error;
}

[[noreturn]] inline void bad_argument(Napi::Env env, const std::string& message) {
  throw coded(Napi::TypeError::New(env, message), "ERR_NATIVE_ARGUMENT");
}

// Runs native code; its exceptions become JavaScript's.
template <class F>
auto guarded(Napi::Env env, F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& error) {
    throw coded(Napi::Error::New(env, error.what()), error.code());
  } catch (const std::bad_alloc&) {
    throw coded(Napi::Error::New(env, "out of memory"), "ERR_NATIVE_MEMORY");
  } catch (const std::exception& error) {
    throw coded(Napi::Error::New(env, error.what()), "ERR_NATIVE_INTERNAL");
  }
}

// A value and its name for messages: argument(info, 0, "options")["eal"]["memory"].
class Argument {
 public:
  Argument(Napi::Value value, std::string name) : value_(value), name_(std::move(name)) {}

  Napi::Env env() const { return value_.Env(); }
  Napi::Value value() const { return value_; }
  bool is_absent() const { return value_.IsUndefined() || value_.IsNull(); }
  [[noreturn]] void fail(const std::string& expected) const {
    bad_argument(env(), name_ + " must be " + expected);
  }

  Argument operator[](const char* key) const {
    if (!value_.IsObject()) fail("an object");
    return {value_.As<Napi::Object>().Get(key), name_ + "." + key};
  }
  std::vector<Argument> elements(size_t most) const {
    if (!value_.IsArray()) fail("an array");
    const auto array = value_.As<Napi::Array>();
    if (array.Length() > most) fail("an array of at most " + std::to_string(most) + " elements");
    std::vector<Argument> all;
    for (uint32_t i = 0; i < array.Length(); ++i) {
      all.emplace_back(array.Get(i), name_ + "[" + std::to_string(i) + "]");
    }
    return all;
  }

  bool boolean() const {
    if (!value_.IsBoolean()) fail("a boolean");
    return value_.As<Napi::Boolean>().Value();
  }
  std::string text() const {
    if (!value_.IsString()) fail("a string");
    std::string text = value_.As<Napi::String>().Utf8Value();
    if (text.find('\0') != std::string::npos) fail("a string without NUL");
    return text;
  }
  std::string text_or(std::string otherwise) const { return is_absent() ? otherwise : text(); }

  template <class T = uint32_t>
  T integer(T least, T most) const {
    const double d = value_.IsNumber() ? value_.As<Napi::Number>().DoubleValue() : NAN;
    if (!(d >= static_cast<double>(least) && d <= static_cast<double>(most)) ||
        d != std::floor(d)) {
      fail("an integer from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return static_cast<T>(d);
  }
  template <class T = uint32_t>
  T integer_or(T otherwise, T least, T most) const {
    return is_absent() ? otherwise : integer<T>(least, most);
  }
  uint64_t bigint() const {
    bool lossless = false;
    const uint64_t n = value_.IsBigInt() ? value_.As<Napi::BigInt>().Uint64Value(&lossless) : 0;
    if (!lossless) fail("a bigint from 0 to 2^64-1");
    return n;
  }
  Napi::Function function() const {
    if (!value_.IsFunction()) fail("a function");
    return value_.As<Napi::Function>();
  }

  // A typed array of exactly this kind. The memory is valid while JavaScript doesn't run.
  template <class T>
  std::pair<T*, size_t> typed_array(napi_typedarray_type type, const char* kind) const {
    if (!value_.IsTypedArray() || value_.As<Napi::TypedArray>().TypedArrayType() != type) {
      fail(kind);
    }
    const auto array = value_.As<Napi::TypedArrayOf<T>>();
    return {const_cast<Napi::TypedArrayOf<T>&>(array).Data(), array.ElementLength()};
  }
  std::pair<uint8_t*, size_t> bytes() const {
    return typed_array<uint8_t>(napi_uint8_array, "a Uint8Array");
  }

 private:
  Napi::Value value_;
  std::string name_;
};

inline Argument argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return {info[index], name};
}

}  // namespace sluice
