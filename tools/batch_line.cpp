#include "tools/batch_line.hpp"

#include <algorithm>
#include <optional>

#include "tools/json_input.hpp"
#include "tools/text.hpp"

namespace sisctl {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 8;

/// The grammar of the guest's shell (guest/shell/line_parser.hpp), but for ';': a line is one request.
class WordReader {
 public:
  explicit WordReader(const std::string& line) : line_(line) {}

  std::expected<std::vector<std::string>, std::string> read() {
    while (at_ < line_.size() && line_[at_] != '#') {
      if (is_blank(line_[at_])) {
        ++at_;
      } else if (auto problem = word()) {
        return std::unexpected("byte " + std::to_string(at_) + ": " + *problem);
      }
    }
    return std::move(words_);
  }

 private:
  using Problem = std::optional<std::string>;
  static bool is_blank(char c) { return c == ' ' || c == '\t'; }

  Problem word() {
    std::string text;
    while (at_ < line_.size() && !is_blank(line_[at_])) {
      const char c = line_[at_];
      Problem problem;
      if (c == ';') return "a line is one request; quote a ';' that is part of it";
      if (c == '\'') {
        problem = single_quoted(text);
      } else if (c == '"') {
        problem = double_quoted(text);
      } else if (c == '\\' && at_ + 1 == line_.size()) {
        problem = "nothing follows the backslash";
      } else {
        at_ += c == '\\' ? 1 : 0;
        text += line_[at_++];
      }
      if (problem) return problem;
    }
    words_.push_back(std::move(text));
    return std::nullopt;
  }

  Problem single_quoted(std::string& text) {
    const std::size_t end = line_.find('\'', at_ + 1);
    if (end == std::string::npos) return "the quote ' is not closed";
    text.append(line_, at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return std::nullopt;
  }

  Problem double_quoted(std::string& text) {
    for (std::size_t i = at_ + 1; i < line_.size(); ++i) {
      if (line_[i] == '"') {
        at_ = i + 1;
        return std::nullopt;
      }
      if (line_[i] != '\\') {
        text += line_[i];
        continue;
      }
      if (++i == line_.size()) break;
      constexpr std::string_view kEscapes = "\\\"ntr";
      constexpr std::string_view kMeanings = "\\\"\n\t\r";
      const std::size_t escape = kEscapes.find(line_[i]);
      if (escape == std::string_view::npos) {
        at_ = i - 1;
        return "unknown escape in \"...\", allowed: \\\\ \\\" \\n \\t \\r";
      }
      text += kMeanings[escape];
    }
    return "the quote \" is not closed";
  }

  const std::string& line_;
  std::size_t at_ = 0;
  std::vector<std::string> words_;
};

std::expected<BatchLine, std::string> parse_request(const std::string& line) {
  auto body = parse_json(line, kMaxDepth);
  if (!body) return std::unexpected(body.error());
  Request request;
  for (const auto& [key, value] : body->items()) {
    if (key == "op" && value.is_string()) {
      request.op = value.get<std::string>();
    } else if (key == "args" && value.is_object()) {
      request.args = value;
    } else {
      return std::unexpected("'" + printable(key) + "': expected {\"op\": text, \"args\": object}");
    }
  }
  if (request.op.empty()) return std::unexpected("\"op\" is missing");
  if (const auto found = find_fraction(request.args, "args")) {
    return std::unexpected(printable(*found) + ", allowed: integers of up to 64 bits");
  }
  return request;
}

}  // namespace

std::expected<BatchLine, std::string> parse_batch_line(const std::string& line) {
  if (line.size() > kMaxBatchLine) {
    return std::unexpected("longer than " + std::to_string(kMaxBatchLine) + " bytes");
  }
  const auto control = std::ranges::find_if(line, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7F;
  });
  if (control != line.end()) {
    return std::unexpected("byte " + std::to_string(control - line.begin()) + ": a control character");
  }
  if (!is_utf8(line)) return std::unexpected("not UTF-8");
  const std::size_t start = line.find_first_not_of(" \t");
  if (start != std::string::npos && line[start] == '{') return parse_request(line);
  auto words = WordReader(line).read();
  if (!words) return std::unexpected(words.error());
  return std::move(*words);
}

}  // namespace sisctl
