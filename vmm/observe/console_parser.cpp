#include "vmm/observe/console_parser.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "abi/console.hpp"

namespace vmm::observe {
namespace {

using Kind = ExitRecord::Kind;

constexpr std::array<std::pair<std::string_view, Kind>, 4> kKinds{{
    {abi::console::kKindShutdown, Kind::Shutdown},
    {abi::console::kKindReboot, Kind::Reboot},
    {abi::console::kKindPanic, Kind::Panic},
    {abi::console::kKindBootConfig, Kind::BootConfig},
}};

template <typename T>
std::optional<T> parse_decimal(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

/// Takes `prefix` off the front of `text`.
bool consume(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// "\x1e SIS-EXIT kind=<kind> code=<decimal>", blanks at the end allowed.
std::optional<ExitRecord> parse_record(std::string_view line) {
  line.remove_prefix(1);
  while (line.ends_with(' ')) line.remove_suffix(1);
  consume(line, " ");
  if (!consume(line, abi::console::kExitRecord) || !consume(line, " kind=")) return std::nullopt;
  const auto blank = line.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const auto* const kind = std::ranges::find(kKinds, line.substr(0, blank), &std::pair<std::string_view, Kind>::first);
  line.remove_prefix(blank);
  if (kind == kKinds.end() || !consume(line, " code=")) return std::nullopt;
  const auto code = parse_decimal<int>(line);
  if (!code || *code < 0 || *code > 255) return std::nullopt;
  return ExitRecord{kind->second, *code};
}

bool is_metric_name(std::string_view name) {
  return !name.empty() &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

const char* to_string(ExitRecord::Kind kind) {
  for (const auto& [word, value] : kKinds) {
    if (value == kind) return word.data();
  }
  return "unknown";
}

void ConsoleParser::feed(std::string_view bytes) {
  for (const char c : bytes) take(c);
}

void ConsoleParser::take(char c) {
  if (c == '\n') {
    end_line();
    return;
  }
  // A record starts a line of its own even after a prompt: the guest prints the mark for nothing else.
  if (c == abi::console::kRecordMark && !line_.empty()) end_line();
  if (line_.size() == kMaxLineBytes) {
    sink_.on_line(line_, true);
    line_.clear();
    continued_ = true;
  }
  line_.push_back(c);
}

void ConsoleParser::end_line() {
  while (line_.ends_with('\r')) line_.pop_back();
  classify();
  line_.clear();
  continued_ = false;
}

void ConsoleParser::classify() {
  if (continued_) {
    sink_.on_line(line_, false);
    return;
  }
  std::string_view text = line_;
  if (text.starts_with(abi::console::kRecordMark)) {
    if (const auto record = parse_record(text)) {
      sink_.on_exit_record(*record);
      return;
    }
    sink_.on_malformed(line_);
  } else if (consume(text, abi::console::kMetricPrefix)) {
    const auto equals = text.find('=');
    const auto name = text.substr(0, equals);
    const auto value =
        equals == std::string_view::npos ? std::nullopt : parse_decimal<std::int64_t>(text.substr(equals + 1));
    if (value && is_metric_name(name)) {
      sink_.on_metric(name, *value);
    } else {
      sink_.on_malformed(line_);
    }
  }
  sink_.on_line(line_, false);
}

void ConsoleParser::finish() {
  if (!line_.empty() || continued_) end_line();
}

std::string printable(std::string_view line) {
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\x1b' && i + 1 < line.size() && line[i + 1] == '[') {
      // CSI: parameters and intermediates, then one final byte from 0x40 to 0x7e (ECMA-48, control sequences).
      i += 2;
      while (i < line.size() && (line[i] < '\x40' || line[i] > '\x7e')) ++i;
    } else if (c == '\t' || (c >= ' ' && c != '\x7f') || (c & '\x80') != 0) {
      text.push_back(c);
    }
  }
  return text;
}

}  // namespace vmm::observe
