// What a user task writes, as lines of the kernel's log.
#pragma once

#include <cstddef>
#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::process {

/// "<label>: <line>". The label comes first on every line and control bytes are escaped, so that nothing that a task
/// writes can pass for what the kernel says (abi/console.hpp). A line goes out whole when it ends, when it has
/// kLineBytes, or with flush(). One caller at a time; not from interrupt handlers.
class TaskConsole {
 public:
  static constexpr std::size_t kLineBytes = 240;

  /// `label` outlives this and needs no escapes.
  TaskConsole(kernel::Log& log, std::string_view label) : log_(log), label_(label) {}
  TaskConsole(const TaskConsole&) = delete;
  TaskConsole& operator=(const TaskConsole&) = delete;

  void write(std::string_view bytes);
  /// Writes what was begun, as a line.
  void flush();

 private:
  void put(std::string_view text);

  kernel::Log& log_;
  std::string_view label_;
  char line_[kLineBytes] = {};
  std::size_t size_ = 0;
};

}  // namespace guest::process
