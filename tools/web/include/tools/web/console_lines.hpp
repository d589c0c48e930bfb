// A machine's console log as lines of JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "vmm/base/result.hpp"

namespace sis_web {

/// Most bytes of the log that one answer has.
inline constexpr std::size_t kMaxLogBytes = std::size_t{256} << 10;

/// Whole lines of the log from byte `from` on, or without it the newest: {"offset": of its first byte, "line": text}
/// each on one line. What is not UTF-8 becomes U+FFFD. Who follows the log asks for `next` again.
struct ConsoleLines {
  std::string text;
  std::uint64_t next = 0;  ///< the offset behind the last line
};
vmm::Result<ConsoleLines> read_console_lines(const std::filesystem::path& log, std::optional<std::uint64_t> from);

}  // namespace sis_web
