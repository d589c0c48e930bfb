// A question's words, of which names become labels.
#include <algorithm>
#include <array>

#include "guest/llm/explain/prompt.hpp"
#include "labels.hpp"

namespace guest::llm::explain {
namespace {

// Words of questions that are more likely themselves than somebody's name. All that tools/train/questions.py asks with
// need not be here: who calls an operator "bottleneck" is asked to quote it.
constexpr std::array<std::string_view, 40> kCommon = {
    "a",   "an",   "and",    "any",  "are",  "at",  "be",   "budget", "by",   "can",  "channel", "did", "do", "does",
    "for", "how",  "i",      "in",   "is",   "it",  "late", "limit",  "me",   "most", "of",      "on",  "op", "or",
    "so",  "than", "server", "slow", "that", "the", "to",   "was",    "what", "why",  "which",   "with"};
// Behind these stands a name.
constexpr std::array<std::string_view, 8> kBeforeNames = {"op",   "operator", "server", "task",
                                                          "than", "stage",    "with",   "about"};

constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
/// Of names (docs/graph-run.md, Error codes).
constexpr bool is_name_character(char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-'; }
constexpr bool is_quote(char c) { return c == '"' || c == '\'' || c == '`'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

template <std::size_t N>
bool is_among(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::ranges::any_of(words, [&](std::string_view other) { return same(word, other); });
}

std::optional<std::uint64_t> number_of(std::string_view word) {
  std::uint64_t value = 0;
  for (const char c : word) {
    if (!is_digit(c) || value > UINT32_MAX) {
      return std::nullopt;
    }
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return word.empty() ? std::nullopt : std::optional(value);
}

class Question {
 public:
  Question(kernel::TextOutput& out, const Figures& figures) : out_(out), figures_(figures) {}

  void write(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
      if (!is_name_character(text[at])) {
        ++at;
        continue;
      }
      std::size_t end = at;
      while (end < text.size() && is_name_character(text[end])) {
        ++end;
      }
      const bool quoted = at > 0 && is_quote(text[at - 1]) && end < text.size() && text[end] == text[at - 1];
      const bool last = std::ranges::none_of(text.substr(end), is_name_character);
      take(text.substr(at, end - at), quoted, last);
      at = end;
    }
  }

 private:
  void take(std::string_view word, bool quoted, bool last) {
    const bool introduced = quoted || last || is_among(kBeforeNames, previous_);
    std::optional<Item> item = named(word, introduced);
    if (!item && word.ends_with('.')) {  // of the sentence
      item = named(word.substr(0, word.size() - 1), introduced);
    }
    if (item) {
      constexpr std::string_view kLetters = "ocs";
      kernel::FixedText<8> label;
      kernel::format_to(label, "{}{}", kLetters[static_cast<std::size_t>(item->kind)], item->index + 1);
      put(label.view());
    } else {
      put_plain(word);
    }
    previous_ = word;
  }

  [[nodiscard]] std::optional<Item> named(std::string_view word, bool introduced) const {
    if (same(previous_, "channel")) {
      const auto id = number_of(word);
      for (std::size_t i = 0; id && i < figures_.channels.size(); ++i) {
        if (figures_.channels[i].id == *id) {
          return Item{Kind::Channel, i};
        }
      }
    }
    if (!introduced && is_among(kCommon, word)) {
      return std::nullopt;
    }
    const auto find = [&](const auto& list, Kind kind) -> std::optional<Item> {
      for (std::size_t i = 0; i < list.size(); ++i) {
        if (same(list[i].name.view(), word)) {
          return Item{kind, i};
        }
      }
      return std::nullopt;
    };
    const auto op = find(figures_.operators, Kind::Operator);
    const auto server = find(figures_.servers, Kind::Server);
    const bool server_first = same(previous_, "server") || same(previous_, "task") || !op;
    return server && server_first ? server : op;
  }

  /// Its parts of letters and digits, in lower case.
  void put_plain(std::string_view word) {
    std::size_t at = 0;
    while (at < word.size()) {
      std::size_t end = at;
      while (end < word.size() && (is_letter(word[end]) || is_digit(word[end]))) {
        ++end;
      }
      put_part(word.substr(at, end - at));
      at = end + 1;
    }
  }

  void put_part(std::string_view part) {
    kernel::FixedText<kMaxQuestion> text;
    for (const char c : part) {
      const char small = lower(c);
      text.write({&small, 1});
    }
    if (!text.view().empty() && !looks_like_label(text.view()) && !text.truncated()) {
      put(text.view());
    }
  }

  void put(std::string_view word) {
    const std::size_t needed = word.size() + (written_ == 0 ? 0 : 1);
    if (full_ || written_ + needed > kMaxQuestion) {
      full_ = true;  // what follows would not be the words that were asked
      return;
    }
    if (written_ != 0) {
      out_.write(" ");
    }
    out_.write(word);
    written_ += needed;
  }

  kernel::TextOutput& out_;
  const Figures& figures_;
  std::string_view previous_;
  std::size_t written_ = 0;
  bool full_ = false;
};

}  // namespace

bool mentions(std::string_view question, std::string_view name) {
  for (std::size_t at = 0; at + name.size() <= question.size(); ++at) {
    const std::size_t end = at + name.size();
    const bool begins = at == 0 || !is_name_character(question[at - 1]);
    // A full stop may be the sentence's.
    const bool ends = end == question.size() || !is_name_character(question[end]) || question[end] == '.';
    if (begins && ends && !name.empty() && same(question.substr(at, name.size()), name)) {
      return true;
    }
  }
  return false;
}

void write_question(kernel::TextOutput& out, const Figures& figures, std::string_view question) {
  Question(out, figures).write(question);
}

}  // namespace guest::llm::explain
