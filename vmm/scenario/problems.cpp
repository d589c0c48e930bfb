#include "problems.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

namespace vmm::scenario {

void Problems::add(Position at, std::string_view key, std::string_view found, std::string_view allowed) {
  ++count_;
  if (problems_.size() >= kMaxReported) return;
  std::string text;
  if (!key.empty()) text.append(key).append(": ");
  text.append("found ").append(found).append(", allowed: ").append(allowed);
  problems_.push_back({at, problems_.size(), std::move(text)});
}

std::string Problems::to_text(std::string_view file_name) const {
  std::vector<Problem> sorted = problems_;
  std::ranges::sort(sorted, {}, [](const Problem& problem) { return std::tie(problem.at, problem.number); });
  std::string text;
  for (const Problem& problem : sorted) {
    if (!text.empty()) text += '\n';
    text += file_name;
    if (problem.at.line != 0) {
      text += ':' + std::to_string(problem.at.line) + ':' + std::to_string(problem.at.column);
    }
    text += ": " + problem.text;
  }
  if (count_ > problems_.size()) {
    text += '\n';
    text.append(file_name).append(": ").append(std::to_string(count_ - problems_.size())).append(" more problems");
  }
  return text;
}

std::string quote(std::string_view text) {
  static constexpr std::size_t kMaxShown = 64;
  static constexpr std::array<char, 17> kHex{"0123456789abcdef"};
  std::size_t shown = std::min(text.size(), kMaxShown);
  // Not in the middle of a UTF-8 sequence.
  while (shown < text.size() && shown > 0 && (static_cast<unsigned char>(text[shown]) & 0xC0u) == 0x80u) --shown;
  std::string out = "\"";
  for (const char c : text.substr(0, shown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  if (shown < text.size()) return out + "\"... (" + std::to_string(text.size()) + " bytes)";
  return out + '"';
}

namespace {

/// Edits that lead from `a` to `b` (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& names) {
  static constexpr std::size_t kMaxWord = 64;
  if (word.size() > kMaxWord) return {};
  std::string best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& name : names) {
    // A word that shares nothing with the name is not a misspelling of it.
    const std::size_t edits = distance(word, name);
    if (edits < least && edits < name.size()) {
      least = edits;
      best = name;
    }
  }
  return best;
}

}  // namespace vmm::scenario
