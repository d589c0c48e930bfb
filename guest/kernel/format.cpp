#include "guest/kernel/format.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "guest/kernel/panic.hpp"

namespace guest::kernel {
namespace {

constexpr std::string_view kBlanks = "                                                                ";
constexpr std::string_view kZeros = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr char kHexDigits[] = "0123456789abcdef";

/// `prefix` (a sign, 0x) and `body`, padded to the width.
void write_padded(TextOutput& output, const format_detail::Spec& spec, bool right, std::string_view prefix,
                  std::string_view body) {
  const std::size_t size = prefix.size() + body.size();
  const std::size_t pad = spec.width > size ? spec.width - size : 0;
  if (right && !spec.zero) {
    output.write(kBlanks.substr(0, pad));
  }
  if (!prefix.empty()) {
    output.write(prefix);
  }
  if (spec.zero && !spec.left) {
    output.write(kZeros.substr(0, pad));
  }
  output.write(body);
  if (!right) {
    output.write(kBlanks.substr(0, pad));
  }
}

void write_argument(TextOutput& output, const format_detail::Spec& spec, const format_detail::Argument& argument) {
  using format_detail::Kind;
  char buffer[20];
  switch (argument.kind) {
    case Kind::EscapedText:
      write_escaped(output, {argument.text, argument.number});
      return;
    case Kind::Text:
      write_padded(output, spec, spec.right, "", {argument.text, argument.number});
      return;
    case Kind::Bool:
      write_padded(output, spec, spec.right, "", argument.number != 0 ? "true" : "false");
      return;
    case Kind::Char:
      buffer[0] = static_cast<char>(argument.number);
      write_padded(output, spec, spec.right, "", {buffer, 1});
      return;
    case Kind::Signed:
    case Kind::Unsigned:
    case Kind::Pointer:
      break;
  }
  const bool pointer = argument.kind == Kind::Pointer;
  const bool negative = argument.kind == Kind::Signed && static_cast<std::int64_t>(argument.number) < 0;
  const std::uint64_t magnitude = negative ? ~argument.number + 1 : argument.number;
  const int base = spec.hex || pointer ? 16 : 10;
  const char* const end = std::to_chars(std::begin(buffer), std::end(buffer), magnitude, base).ptr;
  const bool marked = spec.prefix || pointer;
  const std::string_view prefix = negative ? (marked ? "-0x" : "-") : (marked ? "0x" : "");
  write_padded(output, spec, !spec.left, prefix, {buffer, static_cast<std::size_t>(end - buffer)});
}

}  // namespace

void write_escaped(TextOutput& output, std::string_view text) {
  std::size_t plain = 0;  // start of what needs no escape
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte < 0x7F && byte != '\\') {
      continue;
    }
    output.write(text.substr(plain, i - plain));
    plain = i + 1;
    if (byte == '\n') {
      output.write("\\n");
    } else if (byte == '\t') {
      output.write("\\t");
    } else if (byte == '\\') {
      output.write("\\\\");
    } else {
      const char code[] = {'\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
      output.write({code, sizeof(code)});
    }
  }
  output.write(text.substr(plain));
}

void TextBuffer::write(std::string_view text) {
  const std::size_t room = truncated_ ? 0 : capacity_ - size_;
  const std::size_t kept = std::min(room, text.size());
  std::copy_n(text.data(), kept, data_ + size_);
  size_ += kept;
  if (kept < text.size() && !truncated_) {
    truncated_ = true;
    std::fill_n(data_ + size_ - 3, 3, '.');  // capacity is at least 4 and the buffer is full
  }
}

namespace format_detail {

void write_formatted(TextOutput& output, std::string_view format, std::span<const Argument> arguments) {
  std::size_t next = 0;
  while (!format.empty()) {
    const std::size_t brace = std::min(format.find_first_of("{}"), format.size());
    if (brace > 0) {
      output.write(format.substr(0, brace));
    }
    format.remove_prefix(brace);
    if (format.empty()) {
      return;
    }
    if (format[1] == format[0]) {
      output.write(format.substr(0, 1));
      format.remove_prefix(2);
      continue;
    }
    const std::size_t end = format.find('}');
    const Argument& argument = arguments[next++];
    Spec spec;
    parse_spec(format.substr(1, end - 1), argument.kind, spec);
    write_argument(output, spec, argument);
    format.remove_prefix(end + 1);
  }
}

void log_formatted(Verbosity level, std::string_view format, std::span<const Argument> arguments) {
  Log& target = log();
  if (!target.shows(level)) {
    return;
  }
  Log::Line line(target, level);
  write_formatted(line, format, arguments);
}

void panic_formatted(std::source_location where, std::string_view format, std::span<const Argument> arguments) {
  FixedText<256> reason;
  write_formatted(reason, format, arguments);
  panic(reason.view(), where);
}

}  // namespace format_detail
}  // namespace guest::kernel
