#include "guest/kernel/symbols.hpp"

#include <algorithm>

namespace guest::kernel {

std::optional<SymbolTable::Match> SymbolTable::find(std::uint64_t address) const {
  if (address < image_base_ || address - image_base_ >= image_size_) {
    return std::nullopt;
  }
  const std::uint64_t offset = address - image_base_;
  const auto after =
      std::upper_bound(entries_.begin(), entries_.end(), offset,
                       [](std::uint64_t wanted, const SymbolEntry& entry) { return wanted < entry.offset; });
  if (after == entries_.begin()) {
    return std::nullopt;
  }
  const SymbolEntry& entry = *(after - 1);
  if (entry.name_offset >= names_.size()) {
    return std::nullopt;
  }
  const std::string_view rest = names_.substr(entry.name_offset);
  return Match{.name = rest.substr(0, rest.find('\0')), .offset = offset - entry.offset};
}

namespace {

/// Itanium C++ ABI, 5.1.3 <source-name>: a decimal length and that many characters. Removes it from `rest`.
std::string_view take_source_name(std::string_view& rest) {
  std::size_t length = 0;
  std::size_t digits = 0;
  while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9' && length < rest.size()) {
    length = length * 10 + static_cast<std::size_t>(rest[digits++] - '0');
  }
  if (digits == 0 || length == 0 || length > rest.size() - digits) {
    return {};
  }
  const std::string_view name = rest.substr(digits, length);
  rest.remove_prefix(digits + length);
  return name;
}

constexpr std::size_t kMaxParts = 12;

/// The parts of a mangled path; 0: in a form that is not understood.
std::size_t split(std::string_view mangled, std::string_view (&parts)[kMaxParts]) {
  if (!mangled.starts_with("_Z")) {
    return 0;
  }
  mangled.remove_prefix(2);
  const bool nested = mangled.starts_with('N');
  if (nested) {
    mangled.remove_prefix(1);
    while (!mangled.empty() && (mangled.front() == 'K' || mangled.front() == 'V' || mangled.front() == 'R')) {
      mangled.remove_prefix(1);  // <CV-qualifiers>, <ref-qualifier> of a member function
    }
  }
  std::size_t count = 0;
  while (count < kMaxParts && !mangled.empty()) {
    if (nested && count > 0 && mangled.front() == 'E') {
      return count;
    }
    std::string_view part;
    if (count > 0 && (mangled.starts_with("C1") || mangled.starts_with("C2"))) {
      part = parts[count - 1];
      mangled.remove_prefix(2);
    } else if (count > 0 && (mangled.starts_with("D1") || mangled.starts_with("D2") || mangled.starts_with("D0"))) {
      part = "~";
      mangled.remove_prefix(2);
    } else {
      part = take_source_name(mangled);
    }
    if (part.empty()) {
      return 0;  // templates, operators, lambdas
    }
    parts[count++] = part == "_GLOBAL__N_1" ? std::string_view("(anonymous)") : part;
    if (!nested) {
      return count;
    }
  }
  return 0;
}

}  // namespace

void write_symbol(TextOutput& output, std::string_view name) {
  std::string_view parts[kMaxParts];
  const std::size_t count = split(name, parts);
  if (count == 0) {
    output.write(name);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) {
      output.write("::");
    }
    output.write(parts[i]);
    if (parts[i] == "~") {
      output.write(parts[i - 1]);
    }
  }
}

}  // namespace guest::kernel
