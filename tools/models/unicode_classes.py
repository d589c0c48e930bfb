#!/usr/bin/env python3
"""Writes the tables of letters and numbers that the tokenizers of byte pairs split words by (docs/models.md).

usage: unicode_classes.py OUTPUT        guest/llm/tokenizer/src/unicode_classes.cpp
"""

import sys
import unicodedata

HEAD = """// Written by tools/models/unicode_classes.py, not by hand: Unicode {version}.
#include "unicode_classes.hpp"

#include <algorithm>
#include <iterator>

namespace guest::llm {{
namespace {{

/// Codes first to last.
struct Range {{
  std::uint32_t first;
  std::uint32_t last;
}};

template <std::size_t Count>
bool has(const Range (&ranges)[Count], std::uint32_t code) {{
  const Range* const at = std::ranges::lower_bound(ranges, code, {{}}, &Range::last);
  return at != std::end(ranges) && at->first <= code;
}}
"""

TAIL = """
}  // namespace

bool is_letter(std::uint32_t code) { return has(kLetters, code); }
bool is_number(std::uint32_t code) { return has(kNumbers, code); }
bool is_space(std::uint32_t code) { return has(kSpaces, code); }

}  // namespace guest::llm
"""

# PropList.txt, White_Space; str.isspace() has four codes more.
SPACES = [(0x9, 0xD), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
          (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)]


def ranges(category):
    found = []
    for code in range(0x110000):
        if unicodedata.category(chr(code))[0] == category:
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return found


def table(name, found):
    lines = []
    line = "   "
    for first, last in found:
        entry = f" {{0x{first:X}, 0x{last:X}}},"
        if len(line + entry) > 120:
            lines.append(line)
            line = "   "
        line += entry
    lines.append(line)
    return f"\n// clang-format off\nconstexpr Range {name}[] = {{\n" + "\n".join(lines) + "\n};\n// clang-format on\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    text = HEAD.format(version=unicodedata.unidata_version)
    text += table("kLetters", ranges("L")) + table("kNumbers", ranges("N")) + table("kSpaces", SPACES) + TAIL
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write(text)


if __name__ == "__main__":
    main()
