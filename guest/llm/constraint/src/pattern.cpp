#include "pattern.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "guest/llm/constraint/automaton.hpp"

namespace guest::llm {
namespace {

constexpr std::string_view kBadPattern = "llm-bad-pattern";

/// U+0020 to U+007E: what '.' is, and what "[^...]" is the rest of. So an answer never has half of a character.
constexpr Set256 visible() {
  Set256 set;
  set.add_range(0x20, 0x7E);
  return set;
}

constexpr Set256 only(char c) {
  Set256 set;
  set.add(static_cast<unsigned char>(c));
  return set;
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

/// What stands behind a backslash; nothing: nothing that is known.
constexpr std::optional<Set256> escaped_set(char c) {
  Set256 set;
  switch (c) {
    case 'w':
      set.add_range('a', 'z');
      set.add_range('A', 'Z');
      set.add('_');
      [[fallthrough]];
    case 'd':
      set.add_range('0', '9');
      return set;
    case 's':
      set.add(' ');
      set.add('\t');
      set.add('\n');
      set.add('\r');
      return set;
    case 'n':
      return only('\n');
    case 'r':
      return only('\r');
    case 't':
      return only('\t');
    default:
      if (c > ' ' && c <= '~' && !is_digit(c) && !is_letter(c)) {
        return only(c);
      }
      return std::nullopt;
  }
}

/// Reads from left to right. Each function returns false when it has failed, with error_ set.
class PatternReader {
 public:
  PatternReader(std::string_view text, Positions& out) : text_(text), out_(out) {}

  kernel::Outcome read() {
    Part whole;
    if (alternatives(whole) && at_ < text_.size()) {
      fail_here("a ')' that closes nothing, expected \\) or the end");
    }
    if (!error_) {
      return error_;
    }
    out_.first = whole.first;
    out_.last = whole.last;
    out_.may_be_empty = whole.may_be_empty;
    return {};
  }

 private:
  /// Some positions, and how one gets into them and out.
  struct Part {
    Set256 first;
    Set256 last;
    bool may_be_empty = false;
  };
  /// How often the part before it comes.
  struct Repeat {
    static constexpr std::uint32_t kForEver = 0;
    std::uint32_t least = 1;
    std::uint32_t most = 1;
  };

  [[nodiscard]] bool at(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(char c) {
    const bool is_there = at(c);
    at_ += is_there ? 1 : 0;
    return is_there;
  }
  bool fail_here(std::string_view what) {
    error_ = kernel::fail(kBadPattern, "at byte {}: {}", at_, what);
    return false;
  }

  bool alternatives(Part& out) {
    if (!sequence(out)) {
      return false;
    }
    while (take('|')) {
      Part other;
      if (!sequence(other)) {
        return false;
      }
      out.first.add(other.first);
      out.last.add(other.last);
      out.may_be_empty |= other.may_be_empty;
    }
    return true;
  }

  bool sequence(Part& out) {
    // Nothing must stand for something: else "(((){255}){255}){255}" would take its time.
    if (at_ == text_.size() || at('|') || at(')')) {
      return fail_here("nothing, expected a part of the answer (the mark for one that may be missing is ?)");
    }
    if (!repeated(out)) {
      return false;
    }
    while (at_ < text_.size() && !at('|') && !at(')')) {
      Part next;
      if (!repeated(next)) {
        return false;
      }
      append(out, next);
    }
    return true;
  }

  /// `next` comes after `part`, which becomes both.
  void append(Part& part, const Part& next) {
    part.last.for_each([&](std::size_t i) { out_.next[i].add(next.first); });
    if (part.may_be_empty) {
      part.first.add(next.first);
    }
    if (!next.may_be_empty) {
      part.last = {};
    }
    part.last.add(next.last);
    part.may_be_empty &= next.may_be_empty;
  }

  /// A part, read once for each time that it may come: x{1,3} is x(x(x)?)?, of which a text takes one way only.
  bool repeated(Part& out) {
    const std::size_t begin = at_;
    Repeat repeat;
    if (!atom(out) || !read_repeat(repeat)) {
      return false;
    }
    const std::size_t end = at_;
    const bool for_ever = repeat.most == Repeat::kForEver;
    const std::uint32_t copies = for_ever ? std::max(repeat.least, 1U) : repeat.most;
    const bool each_may_be_empty = out.may_be_empty;
    Part copy = out;
    Set256 before = out.last;  // where the next one may begin
    for (std::uint32_t i = 1; i < copies; ++i) {
      at_ = begin;
      if (!atom(copy)) {
        return false;
      }
      before.for_each([&](std::size_t at) { out_.next[at].add(copy.first); });
      if (each_may_be_empty) {
        out.first.add(copy.first);
        before.add(copy.last);
      } else {
        before = copy.last;
      }
      if (i < repeat.least && !each_may_be_empty) {
        out.last = {};
      }
      out.last.add(copy.last);
    }
    if (for_ever) {
      copy.last.for_each([&](std::size_t at) { out_.next[at].add(copy.first); });
    }
    out.may_be_empty |= repeat.least == 0;
    at_ = end;
    return true;
  }

  bool read_repeat(Repeat& out) {
    if (take('?')) {
      out = {.least = 0, .most = 1};
    } else if (take('*')) {
      out = {.least = 0, .most = Repeat::kForEver};
    } else if (take('+')) {
      out = {.least = 1, .most = Repeat::kForEver};
    } else if (at('{')) {
      return read_braces(out);
    }
    return true;
  }

  bool read_braces(Repeat& out) {
    const std::size_t begin = at_++;
    const auto least = number();
    out = {.least = least.value_or(0), .most = least.value_or(0)};
    bool is_right = least.has_value();
    if (is_right && take(',')) {
      const auto most = number();
      out.most = most.value_or(Repeat::kForEver);
      is_right = !most || (*most >= out.least && *most > 0);
    } else {
      is_right = is_right && out.least > 0;
    }
    if (!is_right || !take('}')) {
      at_ = begin;
      return fail_here("expected {m}, {m,} or {m,n}: m at most n, n 1 to 256 (the character is \\{)");
    }
    return true;
  }

  /// Nothing: none is there, or it is beyond kMax.
  std::optional<std::uint32_t> number() {
    std::optional<std::uint32_t> value;
    while (at_ < text_.size() && is_digit(text_[at_])) {
      value = value.value_or(0) * 10 + static_cast<std::uint32_t>(text_[at_] - '0');
      if (*value > Positions::kMax) {
        return std::nullopt;
      }
      ++at_;
    }
    return value;
  }

  /// There is a byte.
  bool atom(Part& out) {
    switch (text_[at_]) {
      case '(':
        return group(out);
      case '[':
        return one_of_class(out);
      case '.':
        ++at_;
        return place(visible(), out);
      case '\\': {
        Set256 set;
        return read_escape(set) && place(set, out);
      }
      case '*':
      case '+':
      case '?':
      case '{':
        return fail_here("nothing is there to be repeated; a \\ before it makes it a character");
      case '^':
      case '$':
        return fail_here("a pattern is of the whole answer, without ^ and $; a \\ before it makes it a character");
      default:
        return literal(out);
    }
  }

  bool group(Part& out) {
    if (groups_ == Automaton::kMaxGroups) {
      return fail_here("a group inside of 8 others, expected at most 8");
    }
    const std::size_t begin = at_++;
    ++groups_;
    if (!alternatives(out)) {
      return false;
    }
    --groups_;
    if (!take(')')) {
      at_ = begin;
      return fail_here("a '(' that is not closed, expected )");
    }
    return true;
  }

  /// A character, which may have several bytes.
  bool literal(Part& out) {
    const bool is_single = is_ascii(text_[at_]);
    if (!place(only(text_[at_++]), out)) {
      return false;
    }
    while (!is_single && at_ < text_.size() && (static_cast<unsigned char>(text_[at_]) & 0xC0) == 0x80) {
      Part next;
      if (!place(only(text_[at_++]), next)) {
        return false;
      }
      append(out, next);
    }
    return true;
  }

  /// A new position.
  bool place(const Set256& bytes, Part& out) {
    if (out_.count == Positions::kMax) {
      error_ = kernel::fail("llm-constraint-too-large",
                            "a pattern of more than {} bytes and classes, each as often as it may come", out_.count);
      return false;
    }
    out_.bytes[out_.count] = bytes;
    out = {};
    out.first.add(out_.count);
    out.last.add(out_.count);
    ++out_.count;
    return true;
  }

  bool read_escape(Set256& out) {
    const auto set = at_ + 1 < text_.size() ? escaped_set(text_[at_ + 1]) : std::nullopt;
    if (!set) {
      return fail_here("a '\\', expected \\d \\w \\s \\n \\r \\t or one before a character that is no letter or digit");
    }
    at_ += 2;
    out = *set;
    return true;
  }

  bool one_of_class(Part& out) {
    const std::size_t begin = at_++;
    const bool others = take('^');
    Set256 set;
    while (!at(']')) {
      if (at_ == text_.size()) {
        at_ = begin;
        return fail_here("a '[' that is not closed, expected ]");
      }
      if (!class_item(set)) {
        return false;
      }
    }
    ++at_;
    if (others) {
      Set256 rest = visible();
      rest.remove(set);
      set = rest;
    }
    if (set.empty()) {
      at_ = begin;
      return fail_here("a class of no character, expected at least one");
    }
    return place(set, out);
  }

  /// A character, an escape or a range. There is a byte.
  bool class_item(Set256& out) {
    if (at('\\')) {
      Set256 set;
      if (!read_escape(set)) {
        return false;
      }
      out.add(set);
      // "\\.-z" is a range elsewhere; what it is must not depend on who reads it.
      const bool is_range = at('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']';
      return !is_range || fail_here("a range from a \\ on, expected characters without at its ends");
    }
    const char first = text_[at_];
    // A '-' at either end of the class is one.
    const bool is_range = at_ + 2 < text_.size() && text_[at_ + 1] == '-' && text_[at_ + 2] != ']';
    const char last = is_range ? text_[at_ + 2] : first;
    if (!is_ascii(first) || !is_ascii(last) || last < first || (is_range && last == '\\')) {
      return fail_here("a character or range of a class, expected ASCII, the lower end first");
    }
    out.add_range(static_cast<unsigned char>(first), static_cast<unsigned char>(last));
    at_ += is_range ? 3 : 1;
    return true;
  }

  std::string_view text_;
  Positions& out_;
  std::size_t at_ = 0;
  std::size_t groups_ = 0;  ///< that are open
  kernel::Outcome error_;
};

}  // namespace

kernel::Outcome read_pattern(std::string_view pattern, Positions& out) {
  static_assert(Automaton::kMaxGroups == 8 && Positions::kMax == 256, "messages say so");
  if (pattern.empty() || pattern.size() > Automaton::kMaxPatternBytes) {
    return kernel::fail(kBadPattern, "a pattern of {} bytes, expected 1 to {}", pattern.size(),
                        Automaton::kMaxPatternBytes);
  }
  return PatternReader(pattern, out).read();
}

}  // namespace guest::llm
