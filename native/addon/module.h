// The addon's parts. Each registers its functions on `exports`.
#pragma once

#include <napi.h>

namespace sluice {

void register_layout(Napi::Env env, Napi::Object exports);
void register_engine(Napi::Env env, Napi::Object exports);
void register_herald(Napi::Env env, Napi::Object exports);
void register_replay(Napi::Env env, Napi::Object exports);
void register_sync(Napi::Env env, Napi::Object exports);
void register_upgrade(Napi::Env env, Napi::Object exports);
void register_process(Napi::Env env, Napi::Object exports);
void register_socket(Napi::Env env, Napi::Object exports);
void register_twin(Napi::Env env, Napi::Object exports);
void register_prober(Napi::Env env, Napi::Object exports);

// A connection listing's answer, for engine and replay alike.
Napi::Object page_object(Napi::Env env, uint32_t cursor, const std::vector<uint8_t>& records);

}  // namespace sluice

// native/addon/realserver.cc
Napi::Object InitRealserver(Napi::Env env, Napi::Object exports);
