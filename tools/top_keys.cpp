#include "tools/top_keys.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace sisctl {
namespace {

using Kind = Key::Kind;

// ECMA-48 control sequences, as xterm sends them; with ESC O in application mode.
constexpr std::array<std::pair<std::string_view, Kind>, 14> kSequences = {{{"\x1b[A", Kind::Up},
                                                                           {"\x1b[B", Kind::Down},
                                                                           {"\x1b[C", Kind::Right},
                                                                           {"\x1b[D", Kind::Left},
                                                                           {"\x1bOA", Kind::Up},
                                                                           {"\x1bOB", Kind::Down},
                                                                           {"\x1bOC", Kind::Right},
                                                                           {"\x1bOD", Kind::Left},
                                                                           {"\x1b[5~", Kind::PageUp},
                                                                           {"\x1b[6~", Kind::PageDown},
                                                                           {"\x1b[H", Kind::Home},
                                                                           {"\x1b[F", Kind::End},
                                                                           {"\x1b[1~", Kind::Home},
                                                                           {"\x1b[4~", Kind::End}}};
constexpr std::size_t kMaxSequence = 32;

/// It has its last byte: one from 0x40 on, but for the '[' or 'O' that is second.
bool is_complete(std::string_view sequence) {
  return sequence.size() > 2 && sequence.back() >= '\x40' && sequence.back() <= '\x7e';
}

}  // namespace

std::vector<Key> KeyReader::feed(std::string_view bytes) {
  std::vector<Key> keys;
  for (const char c : bytes) take(c, keys);
  return keys;
}

void KeyReader::take(char c, std::vector<Key>& keys) {
  if (!sequence_.empty() && c >= ' ') {
    sequence_ += c;
    const bool begins = sequence_.size() == 2 && (c == '[' || c == 'O');
    if (begins || (sequence_.size() > 2 && !is_complete(sequence_) && sequence_.size() < kMaxSequence)) return;
    const auto* const found =
        std::ranges::find(kSequences, std::string_view(sequence_), &std::pair<std::string_view, Kind>::first);
    if (found != kSequences.end()) keys.push_back({.kind = found->second});
    sequence_.clear();
    return;
  }
  // A control character ends a sequence that was not complete.
  sequence_.clear();
  if (c == '\x1b') sequence_ = c;
  if (c == 'q' || c == 'Q') keys.push_back({.kind = Kind::Quit});
  if (c == '\x03') keys.push_back({.kind = Kind::Interrupt});
  if (c == '\x1a') keys.push_back({.kind = Kind::Suspend});
  if (c >= '1' && c < '1' + kViews) keys.push_back({.kind = Kind::Show, .view = static_cast<View>(c - '1')});
}

}  // namespace sisctl
