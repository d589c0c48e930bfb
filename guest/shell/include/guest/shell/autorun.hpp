// Lines that the kernel runs by itself when it has started, before anything comes from outside: so a run of a machine
// that counts instructions is the same each time (docs/scenario.md).
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "guest/kernel/work.hpp"
#include "guest/shell/shell.hpp"

namespace guest::shell {

class Autorun final : private LineRun::Owner {
 public:
  /// Who has the lines run; called from the loop.
  class Client {
   public:
    /// All were carried out. May destroy the Autorun.
    virtual void on_lines_done() = 0;
    /// Line `number`, from 1, could not be read, or its last command was refused; the console says why. None runs
    /// after it.
    virtual void on_line_failed(std::size_t number, std::string_view line) = 0;

   protected:
    ~Client() = default;
  };

  /// `lines`: each ended by a NUL, UTF-8, at most kMaxRequestLine bytes each. They, the console and the client outlive
  /// this. Takes 64 KiB of the heap.
  Autorun(control::Services& services, kernel::TextOutput& console, std::string_view lines, Client& client);
  Autorun(const Autorun&) = delete;
  Autorun& operator=(const Autorun&) = delete;

  /// The first line follows from the loop. Once.
  void start() { services_.work.raise(turn_); }

 private:
  void on_finished(LineRun& run) override;
  void run_next();
  /// False: no line runs any more.
  bool end_line();

  control::Services& services_;
  kernel::TextOutput& console_;
  Client& client_;
  std::string_view rest_;  ///< lines that have not begun
  std::string_view line_;  ///< that runs, or did last
  std::size_t number_ = 0;
  std::unique_ptr<ResultMemory> memory_;
  LineRun run_;
  kernel::WorkItem turn_{[](void* self) { static_cast<Autorun*>(self)->run_next(); }, this};
};

}  // namespace guest::shell
