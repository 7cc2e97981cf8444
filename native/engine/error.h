// Errors that reach a person: a code they can look up and a sentence that names the thing at fault.
// The addon turns them into JavaScript Errors with the same `code`.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace sluice {

class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}

  const std::string& code() const { return code_; }

 private:
  std::string code_;  // ERR_…
};

}  // namespace sluice
