#include "options.h"

#include <sstream>

#include "engine/error.h"

namespace sluice::bench {

uint64_t number_of(const std::string& option, const std::string& text, uint64_t least,
                   uint64_t most) {
  size_t used = 0;
  uint64_t value = 0;
  try {
    value = std::stoull(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size() || text[0] == '-' || value < least || value > most) {
    throw Error("ERR_BENCH_ARGUMENT", option + " '" + text + "': a number from " +
                                          std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, separator);) words.push_back(word);
  return words;
}

Options::Options(int argc, char** argv, int first) {
  for (int i = first; i < argc; i += 2) {
    const std::string option = argv[i];
    if (option.compare(0, 2, "--") != 0 || option.size() == 2) {
      throw Error("ERR_BENCH_ARGUMENT", "'" + option + "' is no option");
    }
    if (i + 1 == argc) throw Error("ERR_BENCH_ARGUMENT", option + " needs a value");
    left_[option.substr(2)] = argv[i + 1];
  }
}

std::string Options::text(const std::string& name, const std::string& fallback) {
  const auto found = left_.extract(name);
  return found.empty() ? fallback : found.mapped();
}

uint64_t Options::number(const std::string& name, uint64_t fallback, uint64_t least,
                         uint64_t most) {
  const auto found = left_.extract(name);
  return found.empty() ? fallback : number_of("--" + name, found.mapped(), least, most);
}

double Options::seconds(const std::string& name, double fallback) {
  const auto found = left_.extract(name);
  if (found.empty()) return fallback;
  return static_cast<double>(number_of("--" + name, found.mapped(), 1, 600'000)) / 1e3;
}

std::vector<std::string> Options::list(const std::string& name) {
  return split(text(name, ""), ',');
}

void Options::finish() const {
  if (left_.empty()) return;
  throw Error("ERR_BENCH_ARGUMENT", "unknown option '--" + left_.begin()->first + "'");
}

}  // namespace sluice::bench
