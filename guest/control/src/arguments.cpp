#include <algorithm>
#include <charconv>
#include <system_error>

#include "guest/control/command.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::control {

namespace error = abi::control::error;
using kernel::escaped;

namespace {

std::optional<std::size_t> index_of(std::span<const ArgumentSpec> specs, std::string_view name) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name == name) {
      return i;
    }
  }
  return std::nullopt;
}

/// "a, b, c" for messages.
void list_names(kernel::TextOutput& output, std::span<const ArgumentSpec> specs) {
  if (specs.empty()) {
    output.write("none");
  }
  for (std::size_t i = 0; i < specs.size(); ++i) {
    output.write(i == 0 ? "" : ", ");
    output.write(specs[i].name);
  }
}

std::unexpected<Refusal> unknown_argument(std::span<const ArgumentSpec> specs, std::string_view name) {
  kernel::FixedText<96> allowed;
  list_names(allowed, specs);
  return refuse(error::kUnknownArgument, name, "unknown argument '{}', allowed: {}", escaped(name.substr(0, 32)),
                allowed.view());
}

bool is_choice(std::string_view choices, std::string_view value) {
  while (!choices.empty()) {
    const std::size_t bar = choices.find('|');
    if (choices.substr(0, bar) == value) {
      return true;
    }
    choices = bar == std::string_view::npos ? std::string_view() : choices.substr(bar + 1);
  }
  return false;
}

/// In thousandths; nothing: it is none, has more than three places, or is larger than 10^9.
std::optional<std::uint64_t> parse_decimal(std::string_view word) {
  const std::size_t point = std::min(word.find('.'), word.size());
  const std::string_view places = word.substr(std::min(point + 1, word.size()));
  std::uint64_t value = 0;
  if (point == 0 || point > 9 || places.size() > 3 || (point < word.size() && places.empty())) {
    return std::nullopt;
  }
  const auto add_digits = [&value](std::string_view digits) {
    return std::ranges::all_of(digits, [&value](char c) {
      value = value * 10 + static_cast<std::uint64_t>(c - '0');
      return c >= '0' && c <= '9';
    });
  };
  if (!add_digits(word.substr(0, point)) || !add_digits(places)) {
    return std::nullopt;
  }
  for (std::size_t i = places.size(); i < 3; ++i) {
    value *= 10;
  }
  return value;
}

/// Thousandths, with all three places.
void write_decimal(kernel::TextOutput& output, std::uint64_t thousandths) {
  const std::uint64_t places = thousandths % 1000;
  kernel::format_to(output, "{}.{}{}{}", thousandths / 1000, places / 100, places / 10 % 10, places % 10);
}

std::string_view type_name(CborType type) {
  switch (type) {
    case CborType::Unsigned:
    case CborType::Negative:
      return "an integer";
    case CborType::Bytes:
      return "bytes";
    case CborType::Text:
      return "a text";
    case CborType::Array:
      return "an array";
    case CborType::Map:
      return "a map";
    case CborType::Bool:
      return "a boolean";
    case CborType::Null:
      return "null";
  }
  return "unknown";
}

}  // namespace

std::string_view to_string(ArgumentType type) {
  constexpr std::string_view kNames[] = {"integer", "bool", "text", "text-or-bytes", "choice", "decimal", "words"};
  return kNames[static_cast<std::size_t>(type)];
}

const Arguments::Slot& Arguments::slot(std::string_view name) const {
  const auto index = index_of(specs_, name);
  kernel::require(index.has_value(), "a command asks for an argument that it does not declare");
  return slots_[*index];
}

std::uint64_t Arguments::number(std::string_view name, std::uint64_t fallback) const {
  const Slot& found = slot(name);
  return found.given ? found.number : fallback;
}

std::string_view Arguments::text(std::string_view name, std::string_view fallback) const {
  const Slot& found = slot(name);
  return found.given ? found.text : fallback;
}

bool Arguments::flag(std::string_view name, bool fallback) const {
  const Slot& found = slot(name);
  return found.given ? found.number != 0 : fallback;
}

std::expected<void, Refusal> Arguments::set_text(std::size_t index, std::string_view value) {
  const ArgumentSpec& spec = specs_[index];
  if (spec.type == ArgumentType::Choice && !is_choice(spec.choices, value)) {
    return refuse(error::kBadArgument, spec.name, "{}: found '{}', allowed: {}", spec.name,
                  escaped(value.substr(0, 32)), spec.choices);
  }
  if (spec.type != ArgumentType::Choice && (value.size() < spec.min || value.size() > spec.max)) {
    return refuse(error::kBadArgument, spec.name, "{}: found {} bytes, allowed: {} to {}", spec.name, value.size(),
                  spec.min, spec.max);
  }
  slots_[index] = {.given = true, .is_bytes = false, .number = 0, .text = value};
  return {};
}

std::expected<void, Refusal> Arguments::set_number(std::size_t index, std::uint64_t value) {
  const ArgumentSpec& spec = specs_[index];
  if (value < spec.min || value > spec.max) {
    return refuse(error::kBadArgument, spec.name, "{}: found {}, allowed: an integer from {} to {}", spec.name, value,
                  spec.min, spec.max);
  }
  slots_[index] = {.given = true, .is_bytes = false, .number = value, .text = {}};
  return {};
}

/// Thousandths as people write them: "0.8", "1".
std::expected<void, Refusal> Arguments::set_decimal(std::size_t index, std::string_view word) {
  const ArgumentSpec& spec = specs_[index];
  const auto value = parse_decimal(word);
  if (!value || *value < spec.min || *value > spec.max) {
    kernel::FixedText<48> range;
    write_decimal(range, spec.min);
    range.write(" to ");
    write_decimal(range, spec.max);
    return refuse(error::kBadArgument, spec.name, "{}: found '{}', allowed: {}, with at most three places", spec.name,
                  escaped(word.substr(0, 32)), range.view());
  }
  slots_[index] = {.given = true, .is_bytes = false, .number = *value, .text = {}};
  return {};
}

std::expected<void, Refusal> Arguments::set_bool(std::size_t index, bool value) {
  slots_[index] = {.given = true, .is_bytes = false, .number = value ? 1U : 0U, .text = {}};
  return {};
}

std::expected<void, Refusal> Arguments::set_word(std::size_t index, std::string_view word) {
  const ArgumentSpec& spec = specs_[index];
  if (slots_[index].given) {
    return refuse(error::kBadArgument, spec.name, "{}: given twice", spec.name);
  }
  if (spec.type == ArgumentType::Bool) {
    const bool yes = word == "yes" || word == "true";
    if (!yes && word != "no" && word != "false") {
      return refuse(error::kBadArgument, spec.name, "{}: found '{}', allowed: yes, no, true, false", spec.name,
                    escaped(word.substr(0, 32)));
    }
    return set_bool(index, yes);
  }
  if (spec.type == ArgumentType::Decimal) {
    return set_decimal(index, word);
  }
  if (spec.type != ArgumentType::Integer) {
    return set_text(index, word);
  }
  std::uint64_t value = 0;
  const char* end = word.data() + word.size();
  const auto parsed = std::from_chars(word.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return refuse(error::kBadArgument, spec.name, "{}: found '{}', allowed: an integer from {} to {}", spec.name,
                  escaped(word.substr(0, 32)), spec.min, spec.max);
  }
  return set_number(index, value);
}

std::expected<void, Refusal> Arguments::check_required() const {
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    if (specs_[i].required && !slots_[i].given) {
      return refuse(error::kMissingArgument, specs_[i].name, "{} is missing: {}", specs_[i].name, specs_[i].help);
    }
  }
  return {};
}

namespace {

std::string_view join(std::span<const std::string_view> words, std::span<char> scratch) {
  std::size_t used = 0;
  for (const std::string_view word : words) {
    const std::size_t blank = used > 0 ? 1 : 0;
    kernel::require(word.size() + blank <= scratch.size() - used, "scratch for words is too small");
    if (blank != 0) {
      scratch[used++] = ' ';
    }
    used += word.copy(scratch.data() + used, word.size());
  }
  return {scratch.data(), used};
}

}  // namespace

std::expected<Arguments, Refusal> Arguments::parse_words(std::span<const ArgumentSpec> specs,
                                                         std::span<const std::string_view> words,
                                                         std::span<char> scratch) {
  Arguments result(specs);
  std::size_t position = 0;
  bool options = true;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (options && word == "--") {
      options = false;
      continue;
    }
    if (options && word.starts_with("--")) {
      const std::size_t equals = word.find('=');
      const std::string_view name = word.substr(2, equals == std::string_view::npos ? equals : equals - 2);
      const auto index = index_of(specs, name);
      if (!index) {
        return unknown_argument(specs, name);
      }
      const bool is_last = i + 1 == words.size() || words[i + 1].starts_with("--");
      if (equals == std::string_view::npos && specs[*index].type == ArgumentType::Bool && is_last) {
        if (const auto set = result.set_word(*index, "yes"); !set) {
          return std::unexpected(set.error());
        }
        continue;
      }
      if (equals == std::string_view::npos && ++i == words.size()) {
        return refuse(error::kMissingArgument, name, "--{} needs a value: {}", name, specs[*index].help);
      }
      const auto set = result.set_word(*index, equals == std::string_view::npos ? words[i] : word.substr(equals + 1));
      if (!set) {
        return std::unexpected(set.error());
      }
      continue;
    }
    while (position < specs.size() && result.slots_[position].given) {
      ++position;
    }
    if (position == specs.size()) {
      return refuse(error::kUnknownArgument, word, "unexpected argument '{}': {} given, at most {} allowed",
                    escaped(word.substr(0, 32)), words.size(), specs.size());
    }
    if (specs[position].type == ArgumentType::Words) {
      word = join(words.subspan(i), scratch);
      i = words.size();
    }
    if (const auto set = result.set_word(position, word); !set) {
      return std::unexpected(set.error());
    }
  }
  if (const auto complete = result.check_required(); !complete) {
    return std::unexpected(complete.error());
  }
  return result;
}

/// Takes a value of a control request. The types are those of the specification exactly: nothing is converted.
std::expected<void, Refusal> Arguments::set_value(std::size_t index, const CborValue& value) {
  const ArgumentSpec& spec = specs_[index];
  const auto wrong_type = [&](std::string_view allowed) {
    return refuse(error::kBadArgument, spec.name, "{}: found {}, allowed: {}", spec.name,
                  value.type == CborType::Negative ? "a negative integer" : type_name(value.type), allowed);
  };
  switch (spec.type) {
    case ArgumentType::Integer:
      if (value.type != CborType::Unsigned) {
        kernel::FixedText<64> allowed;
        kernel::format_to(allowed, "an integer from {} to {}", spec.min, spec.max);
        return wrong_type(allowed.view());
      }
      return set_number(index, value.number);
    case ArgumentType::Bool:
      if (value.type != CborType::Bool) {
        return wrong_type("a boolean");
      }
      return set_bool(index, value.number != 0);
    case ArgumentType::TextOrBytes:
      if (value.type == CborType::Bytes) {
        const auto set = set_text(index, value.text());
        slots_[index].is_bytes = set.has_value();
        return set;
      }
      break;
    case ArgumentType::Decimal:
      if (value.type == CborType::Unsigned) {
        kernel::FixedText<24> digits;
        kernel::format_to(digits, "{}", value.number);
        return set_decimal(index, digits.view());
      }
      break;
    default:
      break;
  }
  if (value.type != CborType::Text) {
    return wrong_type(spec.type == ArgumentType::TextOrBytes ? "a text or bytes"
                      : spec.type == ArgumentType::Decimal   ? "a text with a number, or an integer"
                                                             : "a text");
  }
  return spec.type == ArgumentType::Decimal ? set_decimal(index, value.text()) : set_text(index, value.text());
}

std::expected<Arguments, Refusal> Arguments::parse_map(std::span<const ArgumentSpec> specs,
                                                       const std::optional<CborValue>& map) {
  Arguments result(specs);
  if (map) {
    if (map->type != CborType::Map) {
      return refuse(error::kBadArgument, "args", "args: found {}, allowed: a map", type_name(map->type));
    }
    CborItems items(*map);
    while (const auto key = items.next()) {
      const CborValue value = *items.next();
      const auto index = index_of(specs, key->text());
      if (!index) {
        return unknown_argument(specs, key->text());
      }
      const auto set = result.set_value(*index, value);
      if (!set) {
        return std::unexpected(set.error());
      }
    }
  }
  if (const auto complete = result.check_required(); !complete) {
    return std::unexpected(complete.error());
  }
  return result;
}

}  // namespace guest::control
