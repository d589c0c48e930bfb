// The shell: lines from the console or from control requests, run against the command table.
//
//   console bytes -> LineEditor -> line --+
//                                         +--> parse_line() --> LineRun: command, command, ... --> text
//   control `shell` request -> line ------+
//
// A command that completes later (sleep) suspends its line only: nothing here waits. While the console's line is
// suspended, typed bytes are kept for the next one and Ctrl-C cancels it; a command that is watched is ended by q as
// well.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "guest/control/buffer.hpp"
#include "guest/control/services.hpp"
#include "guest/kernel/log.hpp"
#include "guest/shell/line_editor.hpp"
#include "guest/shell/line_parser.hpp"

namespace guest::shell {

inline constexpr std::string_view kPrompt = "sis> ";
/// Longest line of a control request, bytes. It may be longer than one that can be typed.
inline constexpr std::size_t kMaxRequestLine = 4096;
/// Most text that a line of a control request may print, bytes. Past it the request fails; text is never cut.
inline constexpr std::size_t kMaxRequestOutput = 48 * 1024;
/// Typed bytes that are kept while a line runs.
inline constexpr std::size_t kMaxTypeAhead = 1024;

/// The memory in which a command builds its result: one command runs at a time.
using ResultMemory = std::array<std::byte, abi::control::kMaxPayloadBytes>;

/// One line being run: its commands in order, to the end or to the first that completes later.
class LineRun final : private control::Caller {
 public:
  /// Who started it.
  class Owner {
   public:
    /// The line ended after it had been suspended. May start the same LineRun again or destroy it.
    virtual void on_finished(LineRun& run) = 0;

   protected:
    ~Owner() = default;
  };

  LineRun(control::Services& services, ResultMemory& memory, Owner& owner)
      : services_(services), memory_(memory), owner_(owner) {}
  LineRun(const LineRun&) = delete;
  LineRun& operator=(const LineRun&) = delete;
  ~LineRun() { cancel(); }

  /// Runs `line`, at most kMaxRequestLine bytes of UTF-8, for `who`; what it prints goes to `output`, which must live
  /// until the line has ended. True: it has ended; false: it is suspended and on_finished() follows. Nothing runs
  /// of a line that cannot be parsed.
  std::expected<bool, LineError> start(std::string_view line, const security::Principal& who,
                                       kernel::TextOutput& output);
  /// From the next line on, commands that can be watched are (Command::watched), and those that send events may do so
  /// without end.
  void watch(bool on) { watch_ = on; }
  /// The line waits for a command that is watched, or sends events.
  [[nodiscard]] bool watching() const { return suspended() && watching_; }
  /// Ends a suspended line without on_finished(). Its later commands do not run.
  void cancel();
  [[nodiscard]] bool suspended() const { return operation_ != nullptr; }
  /// 0: the last command was carried out; 1: it was refused.
  [[nodiscard]] unsigned status() const { return status_; }

 private:
  void complete(std::span<const std::byte> result) override;
  void fail(const control::Refusal& refusal) override;
  void defer(control::Operation& operation) override { operation_ = &operation; }
  bool has_room() override { return true; }
  bool emit(std::span<const std::byte> event) override;
  bool run_commands();
  void run_command(std::span<const std::string_view> words);
  void run_handler(const control::Command& command, const control::Arguments& arguments);
  void render(std::span<const std::byte> result);
  void refuse(const control::Refusal& refusal);
  void refuse_unknown(std::string_view word);
  void audit(const control::Command* command, std::string_view code);
  void resume();

  control::Services& services_;
  ResultMemory& memory_;
  Owner& owner_;
  kernel::TextOutput* output_ = nullptr;
  security::Principal who_;
  std::uint32_t bytes_ = 0;  ///< of the command that runs, or did last, as it was typed
  ParsedLine parsed_;
  std::size_t next_command_ = 0;
  const control::Command* command_ = nullptr;  ///< that runs, or did last
  control::Operation* operation_ = nullptr;    ///< of the command that the line waits for
  bool watch_ = false;
  bool watching_ = false;  ///< the command that runs, or did last, is watched or sends events
  unsigned status_ = 0;
  std::array<char, kMaxRequestLine> words_;   ///< what the words of parsed_ lie in
  std::array<char, kMaxRequestLine> joined_;  ///< scratch of Arguments::parse_words()
};

/// Where typed bytes come from.
class ByteSource {
 public:
  /// Takes up to out.size() bytes; returns how many.
  virtual std::size_t read(std::span<std::byte> out) = 0;

 protected:
  ~ByteSource() = default;
};

class Shell final : public control::LineRunner, private LineRun::Owner, private NameList {
 public:
  /// `console` may be null: then only control requests are served. Takes 64 KiB of the heap.
  Shell(control::Services& services, kernel::TextOutput* console, ByteSource* input);
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  /// Shows the prompt. A `line` that is not empty is run as if it had been typed.
  void start(std::string_view line = {});
  /// Bytes may have arrived: takes what there is. From the main loop.
  void on_input();

  std::expected<control::Handled, control::Refusal> run_line(std::string_view line, const security::Principal& who,
                                                             control::Caller& caller,
                                                             control::ResultMap& result) override;
  [[nodiscard]] std::optional<std::string_view> history(std::size_t index) const override;

 private:
  void on_finished(LineRun& run) override;
  [[nodiscard]] std::size_t size() const override { return control::command_table().size(); }
  [[nodiscard]] std::string_view name(std::size_t index) const override { return control::command_table()[index].name; }
  void feed(std::byte byte);
  void run_console_line(std::string_view line);
  void keep_typed(std::byte byte);
  void end_early(std::string_view shown);
  void end_of_line();
  void replay_typed();

  control::Services& services_;
  kernel::TextOutput* console_;
  ByteSource* input_;
  std::unique_ptr<ResultMemory> memory_;
  LineRun console_run_;
  LineEditor editor_;
  std::array<std::byte, kMaxTypeAhead> typed_;  ///< while a line runs
  std::size_t typed_size_ = 0;
};

}  // namespace guest::shell
