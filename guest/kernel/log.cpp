#include "guest/kernel/log.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "abi/console.hpp"

namespace guest::kernel {
namespace {
constexpr std::string_view kNames[] = {"quiet", "info", "debug"};
}  // namespace

bool parse_verbosity(std::string_view text, Verbosity& out) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (text == kNames[i]) {
      out = static_cast<Verbosity>(i);
      return true;
    }
  }
  return false;
}

std::string_view to_string(Verbosity verbosity) { return kNames[static_cast<std::size_t>(verbosity)]; }

void Log::set_output(TextOutput& output) {
  output_ = &output;
  output.write(early_text());
  if (early_overflow_) {
    output.write("[early log full: later lines before this point are lost]\n");
  }
  early_size_ = 0;
}

void Log::write(std::string_view text) {
  if (!text.empty()) {
    in_line_ = text.back() != '\n';
  }
  if (output_ != nullptr) {
    output_->write(text);
    return;
  }
  const std::size_t room = sizeof(early_) - early_size_;
  if (text.size() > room) {
    early_overflow_ = true;
    return;
  }
  std::copy(text.begin(), text.end(), early_ + early_size_);
  early_size_ += text.size();
}

void Log::line(Verbosity level, std::string_view text) {
  if (!shows(level)) {
    return;
  }
  write(text);
  write("\n");
}

void Log::metric(std::string_view name, std::uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
  write(abi::console::kMetricPrefix);
  write(name);
  write("=");
  write({digits, static_cast<std::size_t>(end - digits)});
  write("\n");
}

Log& log() {
  static constinit Log instance;
  return instance;
}

}  // namespace guest::kernel
