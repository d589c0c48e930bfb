// CONNECT lines: however a line is split, the outcome is the same, and nothing behind the line is taken.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "vmm/devices/vsock/connect_line.hpp"

using vmm::vsock::ConnectLine;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(data + 1, data + size);
  const std::size_t step = data[0] % 7 + 1;
  ConnectLine whole;
  const std::size_t taken = whole.feed(text);
  ConnectLine split;
  std::size_t split_taken = 0;
  for (std::size_t at = 0; at < text.size() && split.status() == ConnectLine::Status::Incomplete; at += step) {
    split_taken += split.feed(std::string_view(text).substr(at, step));
  }
  if (taken > vmm::vsock::kMaxConnectLineBytes || taken != split_taken) __builtin_trap();
  if (whole.status() != split.status() || whole.port() != split.port()) __builtin_trap();
  if (whole.status() != ConnectLine::Status::Complete) return 0;
  // A complete line, parsed the other way.
  if (whole.port() == UINT32_MAX || text[taken - 1] != '\n' || text.compare(0, 8, "CONNECT ") != 0) __builtin_trap();
  if (std::stoull(text.substr(8, taken - 9)) != whole.port()) __builtin_trap();
  return 0;
}
