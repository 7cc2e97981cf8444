// One JSON object, written in the order of its fields. For names and numbers of our own: strings
// are escaped as far as quotes, backslashes and control characters.
#pragma once

#include <concepts>
#include <cstdio>
#include <string>
#include <vector>

namespace sluice::bench {

class Json {
 public:
  template <class Value>
  Json& add(const char* name, const Value& value) {
    fields_ += fields_.empty() ? '{' : ',';
    fields_ += quoted(name);
    fields_ += ':';
    fields_ += text_of(value);
    return *this;
  }
  std::string text() const { return fields_.empty() ? "{}" : fields_ + '}'; }

 private:
  static std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      if (static_cast<unsigned char>(c) < ' ') {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", c);
        out += escape;
      } else {
        out += c;
      }
    }
    return out + '"';
  }
  static std::string text_of(bool value) { return value ? "true" : "false"; }
  static std::string text_of(const char* value) { return quoted(value); }
  static std::string text_of(const std::string& value) { return quoted(value); }
  static std::string text_of(std::integral auto value) { return std::to_string(value); }
  static std::string text_of(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.17g", value);
    return text;
  }
  static std::string text_of(const Json& value) { return value.text(); }
  template <class Value>
  static std::string text_of(const std::vector<Value>& values) {
    std::string out;
    for (const Value& value : values) {
      out += out.empty() ? '[' : ',';
      out += text_of(value);
    }
    return out.empty() ? "[]" : out + ']';
  }

  std::string fields_;
};

}  // namespace sluice::bench
