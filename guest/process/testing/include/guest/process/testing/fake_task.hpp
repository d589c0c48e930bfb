// A user task for tests of its calls.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "guest/process/syscalls.hpp"

namespace guest::process::testing {

/// A task with memory at kMemory, of which a part may only be read.
class FakeTask final : public TaskServices {
 public:
  static constexpr std::uint64_t kMemory = 0x40'0000;
  static constexpr std::size_t kReadOnlyFrom = 2048;

  std::size_t copy_from_user(std::span<std::byte> to, std::uint64_t from) override {
    const std::size_t count = available(from, to.size(), memory.size());
    largest_copy = std::max(largest_copy, to.size());
    if (count != 0) {
      std::memcpy(to.data(), &memory[from - kMemory], count);
    }
    return count;
  }
  std::size_t copy_to_user(std::uint64_t to, std::span<const std::byte> from) override {
    const std::size_t count = available(to, from.size(), kReadOnlyFrom);
    if (count != 0) {
      std::memcpy(&memory[to - kMemory], from.data(), count);
    }
    return count;
  }
  [[nodiscard]] std::uint32_t pid() const override { return 42; }
  void write_console(std::string_view bytes) override { console += bytes; }
  [[nodiscard]] std::uint64_t now_ns() const override { return now; }
  [[nodiscard]] std::uint64_t unix_time_at_reset_ns() const override { return unix_time; }
  [[nodiscard]] std::uint64_t cpu_time_ns() const override { return 7'000'000'123; }
  void sleep_until(std::uint64_t deadline_ns) override { slept_until = deadline_ns; }
  void yield() override { ++yields; }
  std::uint64_t brk(std::uint64_t wanted) override { return wanted + 1; }
  void exit(std::uint8_t status) override { exit_status = status; }
  TaskLlm* llm(std::uint64_t handle) override { return handle == 0 ? llm_of_handle_0 : nullptr; }

  /// Puts `value` at `offset` of the memory; its address.
  template <typename T>
  std::uint64_t put(const T& value, std::size_t offset = 0) {
    std::memcpy(&memory[offset], &value, sizeof(value));
    return kMemory + offset;
  }

  TaskLlm* llm_of_handle_0 = nullptr;
  std::vector<std::byte> memory = std::vector<std::byte>(4096, std::byte{'m'});
  std::string console;
  std::size_t largest_copy = 0;
  std::uint64_t now = 5'000'000'001;
  std::uint64_t unix_time = 0;
  std::optional<std::uint64_t> slept_until;
  unsigned yields = 0;
  std::optional<unsigned> exit_status;

 private:
  static std::size_t available(std::uint64_t at, std::size_t count, std::size_t end) {
    return at < kMemory || at - kMemory >= end ? 0 : std::min<std::size_t>(count, end - (at - kMemory));
  }
};

}  // namespace guest::process::testing
