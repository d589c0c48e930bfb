#include "guest/llm/package/manifest.hpp"

#include <algorithm>
#include <iterator>

#include "guest/llm/package/hex.hpp"
#include "weight_types.hpp"

namespace guest::llm::package {
namespace {

using kernel::NamedError;
using kernel::Outcome;

constexpr std::string_view kFirstLine = "sis-model-package 1\n";
constexpr std::string_view kSignatureField = "signature";
constexpr std::size_t kShownBytes = 40;  ///< of what is wrong, in an error

bool is_letter_or_digit(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

kernel::Escaped shown(std::string_view text) { return kernel::escaped(text.substr(0, kShownBytes)); }

std::unexpected<NamedError> bad_value(std::string_view field, std::string_view value, std::string_view expected) {
  return kernel::fail("package-bad-value", "{}: found '{}'{}, expected {}", field, shown(value),
                      value.size() > kShownBytes ? "..." : "", expected);
}

/// Limits of a number, the least of which is 1.
struct Number {
  std::string_view field;
  std::uint64_t most;
};

/// Decimal digits without leading zeros.
std::expected<std::uint64_t, NamedError> read_number(const Number& number, std::string_view value) {
  kernel::FixedText<64> expected;
  kernel::format_to(expected, "a decimal number from 1 to {}", number.most);
  std::uint64_t read = 0;
  bool good = !value.empty() && value.front() != '0';
  for (const char c : value) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    good = good && c >= '0' && c <= '9' && read <= (number.most - digit) / 10;
    read = good ? read * 10 + digit : 0;
  }
  return good ? std::expected<std::uint64_t, NamedError>(read) : bad_value(number.field, value, expected.view());
}

Outcome set_number(const Number& number, std::string_view value, std::uint64_t& out) {
  const auto read = read_number(number, value);
  if (!read) {
    return std::unexpected(read.error());
  }
  out = *read;
  return {};
}

Outcome set_bytes(std::string_view field, std::string_view value, std::span<std::uint8_t> out) {
  if (!read_hex(value, out)) {
    kernel::FixedText<64> expected;
    kernel::format_to(expected, "{} hexadecimal digits in lower case", 2 * out.size());
    return bad_value(field, value, expected.view());
  }
  return {};
}

constexpr Number kRevision = {"revision", kMaxRevision};
constexpr Number kContext = {"context", kMaxContext};
constexpr Number kVocabulary = {"vocabulary", kMaxVocabulary};
constexpr Number kSize = {"size", kMaxModelBytes};
constexpr Number kWcetCycles = {"wcet-cycles", kMaxWcetCycles};

Outcome set_id(SignedManifest& out, std::string_view value) {
  if (!is_id(value)) {
    return bad_value("id", value, "1 to 32 of A-Z a-z 0-9 . _ -, the first a letter or a digit");
  }
  out.manifest.id.write(value);
  return {};
}

Outcome set_name(SignedManifest& out, std::string_view value) {
  if (!is_name(value)) {
    return bad_value("name", value, "1 to 64 printable characters of ASCII, without blanks at its ends");
  }
  out.manifest.name.write(value);
  return {};
}

Outcome set_revision(SignedManifest& out, std::string_view value) {
  std::uint64_t read = 0;
  const Outcome outcome = set_number(kRevision, value, read);
  out.manifest.revision = static_cast<std::uint32_t>(read);
  return outcome;
}

Outcome set_quantisation(SignedManifest& out, std::string_view value) {
  const auto* const type = std::ranges::find(kWeightTypes, value, [](gguf::Type t) { return to_string(t); });
  if (type == std::end(kWeightTypes)) {
    return bad_value("quantisation", value, "F32, F16, Q8_0 or Q4_0");
  }
  out.manifest.quantisation = *type;
  return {};
}

/// The lines, in their order.
struct Field {
  std::string_view name;
  Outcome (*read)(SignedManifest& out, std::string_view value);
};
constexpr Field kFields[] = {
    {"id", set_id},
    {"name", set_name},
    {"revision", set_revision},
    {"context", [](SignedManifest& out, std::string_view v) { return set_number(kContext, v, out.manifest.context); }},
    {"vocabulary",
     [](SignedManifest& out, std::string_view v) { return set_number(kVocabulary, v, out.manifest.vocabulary); }},
    {"quantisation", set_quantisation},
    {"size", [](SignedManifest& out, std::string_view v) { return set_number(kSize, v, out.manifest.size); }},
    {"wcet-cycles",
     [](SignedManifest& out, std::string_view v) { return set_number(kWcetCycles, v, out.manifest.wcet_cycles); }},
    {"sha256", [](SignedManifest& out, std::string_view v) { return set_bytes("sha256", v, out.manifest.sha256); }},
    {"key", [](SignedManifest& out, std::string_view v) { return set_bytes("key", v, out.manifest.key); }},
    {kSignatureField,
     [](SignedManifest& out, std::string_view v) { return set_bytes(kSignatureField, v, out.signature); }},
};

class Parser {
 public:
  explicit Parser(std::span<const std::byte> bytes)
      : text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()), bytes_(bytes) {}  // char aliases anything

  std::expected<SignedManifest, NamedError> parse() {
    if (text_.size() > kMaxManifestBytes) {
      return kernel::fail("package-too-long", "a manifest of {} bytes, at most {}", text_.size(), kMaxManifestBytes);
    }
    if (const Outcome outcome = read_first_line(); !outcome) {
      return std::unexpected(outcome.error());
    }
    SignedManifest out;
    for (std::size_t index = 0; index < std::size(kFields); ++index) {
      if (kFields[index].name == kSignatureField) {
        out.signed_bytes = bytes_.first(at_);
      }
      if (const Outcome outcome = read_line(index, out); !outcome) {
        return std::unexpected(outcome.error());
      }
    }
    if (at_ != text_.size()) {
      return kernel::fail("package-trailing-bytes", "{} bytes behind the signature, at byte {}", text_.size() - at_,
                          at_);
    }
    return out;
  }

 private:
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }

  Outcome read_first_line() {
    if (rest().starts_with(kFirstLine)) {
      at_ = kFirstLine.size();
      return {};
    }
    if (kFirstLine.starts_with(text_)) {
      return kernel::fail("package-truncated", "it ends at byte {}, in its first line", text_.size());
    }
    return kernel::fail("package-bad-version", "it begins with '{}', expected 'sis-model-package 1' and a line feed",
                        shown(text_.substr(0, text_.find('\n'))));
  }

  Outcome read_line(std::size_t index, SignedManifest& out) {
    const Field& field = kFields[index];
    const std::size_t end = rest().find('\n');
    if (end == std::string_view::npos) {
      return kernel::fail("package-truncated", "it ends at byte {}, where the line '{}' is expected", text_.size(),
                          field.name);
    }
    const std::string_view line = rest().substr(0, end);
    const std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) {
      return kernel::fail("package-bad-line", "'{}' at byte {}, expected '{}: VALUE'", shown(line), at_, field.name);
    }
    if (const Outcome outcome = check_place(index, line.substr(0, colon)); !outcome) {
      return outcome;
    }
    at_ += end + 1;
    return field.read(out, line.substr(colon + 2));
  }

  /// The line's name must be that of field `index`. Those before it have been read.
  [[nodiscard]] Outcome check_place(std::size_t index, std::string_view name) const {
    const std::string_view expected = kFields[index].name;
    if (name == expected) {
      return {};
    }
    const auto* const known = std::ranges::find(kFields, name, &Field::name);
    if (known == std::end(kFields)) {
      return kernel::fail("package-unknown-field", "'{}' at byte {}, expected '{}'", shown(name), at_, expected);
    }
    if (static_cast<std::size_t>(known - kFields) < index) {
      return kernel::fail("package-duplicate-field", "'{}' is there twice, at byte {} again", name, at_);
    }
    if (has_line(expected)) {
      return kernel::fail("package-field-order", "'{}' at byte {}, before '{}'", name, at_, expected);
    }
    return kernel::fail(expected == kWcetCycles.field ? "package-missing-wcet" : "package-missing-field",
                        "there is no '{}': '{}' follows at byte {}", expected, name, at_);
  }

  /// A line of that name follows.
  [[nodiscard]] bool has_line(std::string_view name) const {
    for (std::string_view left = rest(); !left.empty();) {
      if (left.starts_with(name) && left.substr(name.size()).starts_with(": ")) {
        return true;
      }
      const std::size_t end = left.find('\n');
      left = end == std::string_view::npos ? std::string_view() : left.substr(end + 1);
    }
    return false;
  }

  std::string_view text_;
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

void write_number(kernel::TextOutput& output, const Number& number, std::uint64_t value) {
  kernel::format_to(output, "{}: {}\n", number.field, value);
}

void write_bytes(kernel::TextOutput& output, std::string_view field, std::span<const std::uint8_t> bytes) {
  kernel::format_to(output, "{}: ", field);
  write_hex(output, bytes);
  output.write("\n");
}

}  // namespace

bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && is_letter_or_digit(id.front()) &&
         std::ranges::all_of(id, [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != ' ' && name.back() != ' ' &&
         std::ranges::all_of(name, [](char c) { return c >= ' ' && c <= '~'; });
}

std::expected<SignedManifest, NamedError> parse_manifest(std::span<const std::byte> text) {
  return Parser(text).parse();
}

void write_signed_lines(kernel::TextOutput& output, const Manifest& manifest) {
  output.write(kFirstLine);
  kernel::format_to(output, "id: {}\nname: {}\n", manifest.id.view(), manifest.name.view());
  write_number(output, kRevision, manifest.revision);
  write_number(output, kContext, manifest.context);
  write_number(output, kVocabulary, manifest.vocabulary);
  kernel::format_to(output, "quantisation: {}\n", manifest.quantisation);
  write_number(output, kSize, manifest.size);
  write_number(output, kWcetCycles, manifest.wcet_cycles);
  write_bytes(output, "sha256", manifest.sha256);
  write_bytes(output, "key", manifest.key);
}

void write_signature_line(kernel::TextOutput& output, const Signature& signature) {
  write_bytes(output, kSignatureField, signature);
}

}  // namespace guest::llm::package
