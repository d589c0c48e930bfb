// Text from values, without allocation: a small subset of std::format, checked when it is compiled.
//
//   format_to(output, "{} pages at {:#x}, {:>8}\n", pages, address, name);
//
//   replacement field   {} or {:[<|>][#][0][width][d|x|c|s]}    {{ and }} for the braces
//   '<' '>'             left or right in the width (default: numbers right, text left)
//   '#'                 0x before a hexadecimal number; '0' pads with zeros instead of blanks
//
// Arguments: integers, bool, char, text, pointers (0x...), escaped(text), and anything with a
// `std::string_view to_string(T)` beside it. No floating point: the kernel is built without it.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <span>
#include <string_view>
#include <type_traits>

#include "guest/kernel/log.hpp"

namespace guest::kernel {

/// Text of someone else (a user, the host, a device tree), to be shown with control bytes, non-ASCII bytes and
/// backslashes as \n, \t, \\ or \xHH. Untrusted text must reach the console in no other way: it could pass for a record
/// (abi/console.hpp) or drive the terminal.
struct Escaped {
  std::string_view text;
};
constexpr Escaped escaped(std::string_view text) { return {text}; }

/// Writes `text` escaped as described at Escaped.
void write_escaped(TextOutput& output, std::string_view text);

/// Text of at most `Capacity` bytes. What does not fit is dropped, truncated() says so, and the last three bytes that
/// are kept become "...", so that a cut text never looks whole.
class TextBuffer : public TextOutput {
 public:
  void write(std::string_view text) final;
  [[nodiscard]] std::string_view view() const { return {data_, size_}; }
  [[nodiscard]] bool truncated() const { return truncated_; }
  void clear() {
    size_ = 0;
    truncated_ = false;
  }

 protected:
  constexpr TextBuffer(char* data, std::size_t capacity) : data_(data), capacity_(capacity) {}
  TextBuffer(const TextBuffer&) = delete;
  TextBuffer& operator=(const TextBuffer&) = delete;
  ~TextBuffer() = default;

 private:
  char* data_;
  std::size_t capacity_;
  std::size_t size_ = 0;
  bool truncated_ = false;
};

template <std::size_t Capacity>
class FixedText final : public TextBuffer {
  static_assert(Capacity >= 4);

 public:
  constexpr FixedText() : TextBuffer(storage_, Capacity) {}
  FixedText(const FixedText& other) : FixedText() { write(other.view()); }
  FixedText& operator=(const FixedText& other) {
    if (this != &other) {
      clear();
      write(other.view());
    }
    return *this;
  }
  ~FixedText() = default;

 private:
  char storage_[Capacity] = {};
};

namespace format_detail {

enum class Kind : std::uint8_t { Signed, Unsigned, Bool, Char, Text, Pointer, EscapedText };

struct Argument {
  Kind kind;
  std::uint64_t number;  ///< value, two's complement for Signed; length for text
  const char* text;
};

template <typename T>
concept Named = requires(const T& value) {
  { to_string(value) } -> std::convertible_to<std::string_view>;
};

template <typename T>
consteval Kind kind_of() {
  using Plain = std::remove_cvref_t<T>;
  if constexpr (std::same_as<Plain, Escaped>) {
    return Kind::EscapedText;
  } else if constexpr (std::same_as<Plain, bool>) {
    return Kind::Bool;
  } else if constexpr (std::same_as<Plain, char>) {
    return Kind::Char;
  } else if constexpr (std::integral<Plain>) {
    return std::signed_integral<Plain> ? Kind::Signed : Kind::Unsigned;
  } else if constexpr (std::convertible_to<const Plain&, std::string_view> || Named<Plain>) {
    return Kind::Text;
  } else {
    static_assert(std::is_pointer_v<Plain> || std::is_null_pointer_v<Plain>, "this type cannot be formatted");
    return Kind::Pointer;
  }
}

template <typename T>
constexpr Argument argument(const T& value) {
  constexpr Kind kind = kind_of<T>();
  if constexpr (kind == Kind::EscapedText) {
    return {kind, value.text.size(), value.text.data()};
  } else if constexpr (kind == Kind::Text) {
    if constexpr (std::convertible_to<const T&, std::string_view>) {
      const std::string_view text = value;
      return {kind, text.size(), text.data()};
    } else {
      const std::string_view text = to_string(value);  // static storage or the argument's own
      return {kind, text.size(), text.data()};
    }
  } else if constexpr (kind == Kind::Pointer) {
    // Only the address is shown; it is never turned back into a pointer.
    return {kind, reinterpret_cast<std::uintptr_t>(value), nullptr};
  } else if constexpr (kind == Kind::Signed) {
    return {kind, static_cast<std::uint64_t>(static_cast<std::int64_t>(value)), nullptr};
  } else {
    return {kind, static_cast<std::uint64_t>(value), nullptr};
  }
}

struct Spec {
  bool left = false;
  bool right = false;
  bool prefix = false;
  bool zero = false;
  bool hex = false;
  std::uint8_t width = 0;
};

/// Parses what stands between the braces. False: malformed, or it does not suit `kind`.
constexpr bool parse_spec(std::string_view field, Kind kind, Spec& spec) {
  if (field.empty()) {
    return true;
  }
  if (field.front() != ':') {
    return false;
  }
  std::size_t at = 1;
  const auto take = [&](char wanted) {
    const bool found = at < field.size() && field[at] == wanted;
    at += found ? 1 : 0;
    return found;
  };
  spec.left = take('<');
  spec.right = !spec.left && take('>');
  spec.prefix = take('#');
  spec.zero = take('0');
  unsigned width = 0;
  while (at < field.size() && field[at] >= '0' && field[at] <= '9') {
    width = width * 10 + static_cast<unsigned>(field[at++] - '0');
    if (width > 64) {
      return false;
    }
  }
  spec.width = static_cast<std::uint8_t>(width);
  const bool integer = kind == Kind::Signed || kind == Kind::Unsigned;
  if (at < field.size()) {
    const char type = field[at++];
    spec.hex = type == 'x';
    const bool suits = (type == 'x' && integer) || (type == 'd' && integer) || (type == 'c' && kind == Kind::Char) ||
                       (type == 's' && (kind == Kind::Text || kind == Kind::EscapedText));
    if (!suits) {
      return false;
    }
  }
  if (at != field.size() || (spec.prefix && !spec.hex)) {
    return false;
  }
  // The width of escaped text is not known before it is written.
  return (!spec.zero || integer) && (spec.width == 0 || kind != Kind::EscapedText);
}

/// Never defined: calling it in a constant expression is the compile error that shows a wrong format.
void the_format_does_not_match_its_arguments();

template <typename... Args>
struct FormatString {
  template <std::size_t N>
  consteval FormatString(const char (&literal)[N]) : text(literal, N - 1) {  // NOLINT(google-explicit-constructor)
    constexpr std::size_t kCount = sizeof...(Args);
    constexpr Kind kKinds[kCount + 1] = {kind_of<Args>()..., Kind::Text};
    std::size_t used = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '{' && text[i] != '}') {
        continue;
      }
      if (i + 1 < text.size() && text[i + 1] == text[i]) {
        ++i;
        continue;
      }
      const std::size_t end = text.find('}', i);
      Spec spec;
      if (text[i] == '}' || end == std::string_view::npos || used == kCount ||
          !parse_spec(text.substr(i + 1, end - i - 1), kKinds[used], spec)) {
        the_format_does_not_match_its_arguments();
      }
      ++used;
      i = end;
    }
    if (used != kCount) {
      the_format_does_not_match_its_arguments();
    }
  }
  std::string_view text;
};

/// `format` has been checked.
void write_formatted(TextOutput& output, std::string_view format, std::span<const Argument> arguments);
/// One line of the log, if `level` is shown.
void log_formatted(Verbosity level, std::string_view format, std::span<const Argument> arguments);
[[noreturn]] void panic_formatted(std::source_location where, std::string_view format,
                                  std::span<const Argument> arguments);

template <typename... Args>
using Checked = FormatString<std::type_identity_t<Args>...>;

}  // namespace format_detail

/// Writes the text to `output`.
template <typename... Args>
void format_to(TextOutput& output, format_detail::Checked<Args...> format, const Args&... args) {
  const format_detail::Argument arguments[sizeof...(Args) + 1] = {format_detail::argument(args)..., {}};
  format_detail::write_formatted(output, format.text, {arguments, sizeof...(Args)});
}

/// One line of the kernel's log (log.hpp), if `level` is shown. Not from interrupt handlers.
template <typename... Args>
void log_line(Verbosity level, format_detail::Checked<Args...> format, const Args&... args) {
  const format_detail::Argument arguments[sizeof...(Args) + 1] = {format_detail::argument(args)..., {}};
  format_detail::log_formatted(level, format.text, {arguments, sizeof...(Args)});
}
template <typename... Args>
void log_error(format_detail::Checked<Args...> format, const Args&... args) {
  log_line<Args...>(Verbosity::Quiet, format, args...);
}
template <typename... Args>
void log_info(format_detail::Checked<Args...> format, const Args&... args) {
  log_line<Args...>(Verbosity::Info, format, args...);
}
template <typename... Args>
void log_debug(format_detail::Checked<Args...> format, const Args&... args) {
  log_line<Args...>(Verbosity::Debug, format, args...);
}

/// Where a panic_at() is: `panic_at(here(), "page {:#x} is not ours", page)`.
constexpr std::source_location here(std::source_location where = std::source_location::current()) { return where; }

/// panic() (panic.hpp) with a formatted reason.
template <typename... Args>
[[noreturn]] void panic_at(std::source_location where, format_detail::Checked<Args...> format, const Args&... args) {
  const format_detail::Argument arguments[sizeof...(Args) + 1] = {format_detail::argument(args)..., {}};
  format_detail::panic_formatted(where, format.text, {arguments, sizeof...(Args)});
}

}  // namespace guest::kernel
