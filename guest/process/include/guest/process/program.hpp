// User programs, as whoever starts them sees them: loaded, then run by a thread, then gone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/format.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/process/task_llm.hpp"

namespace guest::process {

struct ProgramSpec {
  std::string_view name;            ///< of the task; outlives it; needs no escapes
  std::span<const std::byte> file;  ///< ELF
  std::span<const std::string_view> arguments;
  std::uint64_t max_pages = 0;       ///< of memory, translation tables included
  std::optional<LlmGrant> llm = {};  ///< what its handle 0 gives; nothing: it has none
};

enum class ProgramState : std::uint8_t {
  Loaded,   ///< its thread has not begun
  Running,  ///< it has
  Exited,   ///< by itself, with a status
  Killed,   ///< for what it did
  Stopped,  ///< because its thread was asked to end
};
std::string_view to_string(ProgramState state);

struct ProgramReport {
  ProgramState state = ProgramState::Loaded;
  std::uint8_t status = 0;       ///< of one that has exited
  kernel::FixedText<128> cause;  ///< of one that was killed: "data abort: read at 0x0: translation fault, level 2"
  std::uint64_t pages = 0;       ///< of memory that it has
};

/// A loaded program.
class Program {
 public:
  virtual ~Program() = default;
  /// Runs it to its end, in a thread of its own, which ends with it: does not return.
  virtual void run() = 0;
  /// From any thread.
  [[nodiscard]] virtual ProgramReport report() const = 0;

 protected:
  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
};

class ProgramLoader {
 public:
  /// The program, ready to run; destroyed when no thread runs it, or an error of UserSpace::load(). Not from interrupt
  /// handlers.
  virtual std::expected<std::unique_ptr<Program>, kernel::NamedError> load(const ProgramSpec& spec) = 0;

 protected:
  ~ProgramLoader() = default;
};

}  // namespace guest::process
