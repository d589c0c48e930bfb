// Boot archives (cpio, "newc") entry by entry, and outcomes as text.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include "guest/kernel/named_error.hpp"

namespace guest::kernel::testing {

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

inline std::string describe(const Outcome& outcome) {
  return outcome ? "no error" : std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
}

inline constexpr std::uint32_t kFile = 0100644;
inline constexpr std::uint32_t kDirectory = 0040755;

inline void pad(std::string& archive) { archive.resize((archive.size() + 3) / 4 * 4, '\0'); }

inline std::string entry(const std::string& name, const std::string& data, std::uint32_t mode = kFile,
                         std::uint32_t links = 1) {
  char header[111];
  std::snprintf(header, sizeof(header), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1U, mode, 0U, 0U,
                links, 0U, static_cast<unsigned>(data.size()), 0U, 0U, 0U, 0U, static_cast<unsigned>(name.size() + 1),
                0U);
  // ino, mode, uid, gid, nlink, mtime, filesize, ...
  std::string out(header, 110);
  out += name;
  out.push_back('\0');
  pad(out);
  out += data;
  pad(out);
  return out;
}
inline std::string trailer() { return entry("TRAILER!!!", "", 0, 1); }

}  // namespace guest::kernel::testing
