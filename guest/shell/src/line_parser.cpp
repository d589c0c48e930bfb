#include "guest/shell/line_parser.hpp"

#include "guest/kernel/panic.hpp"

namespace guest::shell {

/// Goes through the line once. Each function returns null, or what is wrong at at_.
class LineParser {
 public:
  LineParser(std::string_view line, std::span<char> scratch) : line_(line), scratch_(scratch) {}

  std::expected<ParsedLine, LineError> parse() {
    if (const char* what = line()) {
      return std::unexpected(LineError{what, at_});
    }
    return result_;
  }

 private:
  const char* line();
  const char* word();
  const char* single_quoted();
  const char* double_quoted();
  const char* end_command();
  [[nodiscard]] bool done() const { return at_ == line_.size(); }
  void put(char c) { scratch_[used_++] = c; }  // never more bytes than were taken from the line

  std::string_view line_;
  std::span<char> scratch_;
  std::size_t at_ = 0;
  std::size_t used_ = 0;
  std::size_t first_word_ = 0;  ///< of the command that is being read
  ParsedLine result_;
};

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool ends_word(char c) { return is_blank(c) || c == ';'; }

}  // namespace

const char* LineParser::line() {
  while (!done() && line_[at_] != '#') {
    const char c = line_[at_];
    if (is_blank(c)) {
      ++at_;
    } else if (c == ';') {
      if (const char* what = end_command()) {
        return what;
      }
      ++at_;
    } else if (const char* what = word()) {
      return what;
    }
  }
  return end_command();
}

const char* LineParser::end_command() {
  const std::size_t count = result_.words_.size() - first_word_;
  if (count > 0 && !result_.commands_.push_back({.first = first_word_, .count = count})) {
    return "more than 16 commands in a line";
  }
  first_word_ = result_.words_.size();
  return nullptr;
}

const char* LineParser::word() {
  const std::size_t start = used_;
  const std::size_t word_at = at_;
  while (!done() && !ends_word(line_[at_])) {
    const char c = line_[at_];
    const char* what = nullptr;
    if (c == '\'') {
      what = single_quoted();
    } else if (c == '"') {
      what = double_quoted();
    } else if (c == '\\' && at_ + 1 == line_.size()) {
      what = "nothing follows the backslash";
    } else {
      at_ += c == '\\' ? 1 : 0;
      put(line_[at_++]);
    }
    if (what != nullptr) {
      return what;
    }
  }
  if (!result_.words_.push_back({scratch_.data() + start, used_ - start})) {
    at_ = word_at;
    return "more than 64 words in a line";
  }
  return nullptr;
}

const char* LineParser::single_quoted() {
  const std::size_t end = line_.find('\'', at_ + 1);
  if (end == std::string_view::npos) {
    return "the quote ' is not closed";
  }
  for (++at_; at_ < end; ++at_) {
    put(line_[at_]);
  }
  ++at_;
  return nullptr;
}

const char* LineParser::double_quoted() {
  const std::size_t open = at_++;
  for (; !done() && line_[at_] != '"'; ++at_) {
    if (line_[at_] != '\\') {
      put(line_[at_]);
      continue;
    }
    if (++at_ == line_.size()) {
      break;
    }
    constexpr std::string_view kEscapes = "\\\"ntr";
    constexpr std::string_view kMeanings = "\\\"\n\t\r";
    const std::size_t escape = kEscapes.find(line_[at_]);
    if (escape == std::string_view::npos) {
      --at_;
      return "unknown escape in \"...\", allowed: \\\\ \\\" \\n \\t \\r";
    }
    put(kMeanings[escape]);
  }
  if (done()) {
    at_ = open;
    return "the quote \" is not closed";
  }
  ++at_;
  return nullptr;
}

std::expected<ParsedLine, LineError> parse_line(std::string_view line, std::span<char> scratch) {
  kernel::require(scratch.size() >= line.size(), "scratch for a shell line is too small");
  return LineParser(line, scratch).parse();
}

}  // namespace guest::shell
