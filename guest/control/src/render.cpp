// Results as text for people.
#include "guest/control/command.hpp"

namespace guest::control {
namespace {

using kernel::format_to;
using kernel::TextOutput;

void indent(TextOutput& output, unsigned depth) {
  for (unsigned i = 0; i < depth; ++i) {
    output.write("  ");
  }
}

void render_scalar(TextOutput& output, const CborValue& value) {
  switch (value.type) {
    case CborType::Unsigned:
      format_to(output, "{}", value.number);
      break;
    case CborType::Negative:
      // -1 - n, without overflow for the largest n.
      format_to(output, "-{}", value.number + 1);
      break;
    case CborType::Bool:
      output.write(value.number != 0 ? "yes" : "no");
      break;
    case CborType::Text:
      write_visible(output, value.text());
      break;
    case CborType::Bytes:
      for (const std::byte byte : value.content) {
        format_to(output, "{:02x}", std::to_integer<unsigned>(byte));
      }
      break;
    default:
      output.write("-");
      break;
  }
}

bool is_container(const CborValue& value) { return value.type == CborType::Map || value.type == CborType::Array; }

void render_entries(TextOutput& output, const CborValue& map, unsigned depth);

}  // namespace

void render_beside(TextOutput& output, const CborValue& map) {
  CborItems entries(map);
  bool first = true;
  while (const auto key = entries.next()) {
    const CborValue value = *entries.next();
    if (!is_container(value)) {
      format_to(output, "{}{}=", first ? "" : "  ", kernel::escaped(key->text()));
      render_scalar(output, value);
      first = false;
    }
  }
  output.write("\n");
}

namespace {

/// The items of an array: scalars and maps, each on a line of its own; a map's entries side by side, and below them the
/// maps in it.
void render_items(TextOutput& output, const CborValue& array, unsigned depth) {
  CborItems items(array);
  while (const auto item = items.next()) {
    indent(output, depth);
    if (item->type != CborType::Map) {
      render_scalar(output, *item);
      output.write("\n");
      continue;
    }
    render_beside(output, *item);
    CborItems entries(*item);
    while (const auto key = entries.next()) {
      const CborValue value = *entries.next();
      if (value.type == CborType::Map) {
        indent(output, depth + 1);
        format_to(output, "{}: ", kernel::escaped(key->text()));
        render_beside(output, value);
      } else if (value.type == CborType::Array) {
        indent(output, depth + 1);
        format_to(output, "{}:\n", kernel::escaped(key->text()));
        render_items(output, value, depth + 2);
      }
    }
  }
}

void render_entries(TextOutput& output, const CborValue& map, unsigned depth) {
  CborItems items(map);
  while (const auto key = items.next()) {
    const CborValue value = *items.next();
    indent(output, depth);
    kernel::write_escaped(output, key->text());
    if (!is_container(value)) {
      output.write(": ");
      render_scalar(output, value);
      output.write("\n");
      continue;
    }
    output.write(":\n");
    if (value.type == CborType::Map) {
      render_entries(output, value, depth + 1);
    } else {
      render_items(output, value, depth + 1);
    }
  }
}

void write_argument(TextOutput& output, const ArgumentSpec& spec) {
  if (spec.type == ArgumentType::Choice) {
    output.write(spec.choices);
    return;
  }
  for (const char letter : spec.name) {
    const char upper = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
    output.write({&upper, 1});
  }
  if (spec.type == ArgumentType::Words) {
    output.write("...");
  }
}

}  // namespace

void write_visible(TextOutput& output, std::string_view text) {
  std::size_t plain = 0;  // start of what needs no escape
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters too; their lead byte C2 also starts visible ones.
    const bool c1 = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte >= 0x20 && byte != 0x7F && !c1) {
      continue;
    }
    const std::size_t bytes = c1 ? 2 : 1;
    output.write(text.substr(plain, i - plain));
    kernel::write_escaped(output, text.substr(i, bytes));
    i += bytes - 1;
    plain = i + 1;
  }
  output.write(text.substr(plain));
}

void render_map(TextOutput& output, const CborValue& map) { render_entries(output, map, 0); }

void write_usage(TextOutput& output, const Command& command) {
  output.write(command.name);
  for (const ArgumentSpec& spec : command.arguments) {
    output.write(spec.required ? " " : " [");
    write_argument(output, spec);
    output.write(spec.required ? "" : "]");
  }
}

}  // namespace guest::control
