// Options of the command line: `--name value` pairs, each taken by whoever understands it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sluice::bench {

// Whole numbers in decimal. Throws ERR_BENCH_ARGUMENT with the range it would have taken.
uint64_t number_of(const std::string& option, const std::string& text, uint64_t least,
                   uint64_t most);
std::vector<std::string> split(const std::string& text, char separator);

class Options {
 public:
  // argv[first] on. Throws ERR_BENCH_ARGUMENT.
  Options(int argc, char** argv, int first);

  // Each takes the option out; `fallback` when it isn't given.
  std::string text(const std::string& name, const std::string& fallback);
  uint64_t number(const std::string& name, uint64_t fallback, uint64_t least, uint64_t most);
  // From milliseconds.
  double seconds(const std::string& name, double fallback);
  // Values separated by commas.
  std::vector<std::string> list(const std::string& name);

  // After everybody has taken theirs: throws ERR_BENCH_ARGUMENT for what is left.
  void finish() const;

 private:
  std::map<std::string, std::string> left_;
};

}  // namespace sluice::bench
