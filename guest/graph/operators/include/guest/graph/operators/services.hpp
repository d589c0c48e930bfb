// What the built-in operators need from the rest of the kernel, as interfaces: start-up says who does it, tests have
// their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::llm {
class Service;
}

namespace guest::graph {

/// Files that stay where they are and as they are, such as those of the boot archive.
class FileSource {
 public:
  /// Nothing: there is no such file.
  [[nodiscard]] virtual std::optional<std::span<const std::byte>> find(std::string_view name) const = 0;

 protected:
  ~FileSource() = default;
};

/// Lines of the kernel's log, at places that grow. Called in threads, from any CPU.
class LogLines {
 public:
  /// The place behind the newest line.
  [[nodiscard]] virtual std::uint64_t end() const = 0;
  struct Line {
    std::uint64_t next;  ///< the place behind it
    std::size_t bytes;   ///< written to `into`; what did not fit is cut
  };
  /// The oldest line at `from` or behind it that is still known. Nothing: there is none yet.
  virtual std::optional<Line> read(std::uint64_t from, std::span<char> into) = 0;

 protected:
  ~LogLines() = default;
};

/// The kernel's metrics as text: a line "name value" each. Called in threads, from any CPU.
class MetricText {
 public:
  virtual void write(kernel::TextOutput& output) = 0;

 protected:
  ~MetricText() = default;
};

/// The processor time of the calling thread.
class ProcessorTime {
 public:
  /// How much it has had.
  [[nodiscard]] virtual std::uint64_t used_ns() = 0;
  /// Takes a little of it.
  virtual void spin() = 0;

 protected:
  ~ProcessorTime() = default;
};

/// Null: the kernel does not have it, and an operator that needs it is refused (graph-unavailable). They outlive all
/// graphs.
struct OperatorServices {
  const FileSource* files = nullptr;
  LogLines* log_lines = nullptr;
  MetricText* metrics = nullptr;
  ProcessorTime* processor = nullptr;
  llm::Service* llm = nullptr;
  std::uint32_t llm_class = 0;  ///< that graphs are of, of the service's clients
};

/// Before the first graph, and in tests between graphs.
void set_operator_services(const OperatorServices& services);
const OperatorServices& operator_services();

}  // namespace guest::graph
