#include "guest/shell/shell.hpp"

#include <algorithm>
#include <new>

#include "guest/kernel/format.hpp"
#include "request_run.hpp"

namespace guest::shell {

using control::Handled;
using control::Refusal;

namespace {

constexpr std::byte kCtrlC{3};
constexpr std::byte kQuit{'q'};

/// A line in which a command may be given a secret: others than the console's user see the history.
bool holds_secret(std::string_view line) {
  const auto commands = control::command_table();
  return std::any_of(commands.begin(), commands.end(), [line](const control::Command& command) {
    return command.secret && line.find(command.name) != std::string_view::npos;
  });
}

/// Where the console's text goes when there is no console.
class NoOutput final : public kernel::TextOutput {
 public:
  void write(std::string_view) override {}
};
constinit NoOutput no_output;

}  // namespace

Shell::Shell(control::Services& services, kernel::TextOutput* console, ByteSource* input)
    : services_(services),
      console_(console != nullptr ? console : &no_output),
      input_(input),
      memory_(new ResultMemory),
      console_run_(services, *memory_, *this),
      editor_(*console_, *this, kPrompt) {}

void Shell::start(std::string_view line) {
  editor_.start();
  if (!line.empty()) {
    control::write_visible(*console_, line);
    console_->write("\n");
    run_console_line(line);
  }
  // Not the line above: nobody would end what it watches.
  console_run_.watch(true);
}

// ---- the console ----

void Shell::on_input() {
  if (input_ == nullptr) {
    return;
  }
  // While a line runs no more is taken than can be kept; the rest stays with the driver, which holds the sender back.
  // Not so while something is watched: what ends it may be behind all that.
  std::array<std::byte, 64> bytes{};
  while (true) {
    const bool must_keep = console_run_.suspended() && !console_run_.watching();
    const std::size_t room = must_keep ? typed_.size() - typed_size_ : bytes.size();
    const std::size_t count = input_->read(std::span(bytes).first(std::min(room, bytes.size())));
    if (count == 0) {
      return;
    }
    for (const std::byte byte : std::span(bytes).first(count)) {
      feed(byte);
    }
  }
}

void Shell::feed(std::byte byte) {
  if (console_run_.suspended()) {
    return keep_typed(byte);
  }
  switch (editor_.feed(byte)) {
    case LineEditor::Event::None:
      break;
    case LineEditor::Event::Interrupt:
      editor_.start();
      break;
    case LineEditor::Event::Line:
      run_console_line(editor_.line());
      break;
  }
}

void Shell::run_console_line(std::string_view line) {
  const auto ended = console_run_.start(line, {.rights = abi::control::Rights::All}, *console_);
  if (!ended) {
    kernel::format_to(*console_, "column {}: {}\n", ended.error().offset + 1, ended.error().what);
    return editor_.start();
  }
  if (*ended) {
    end_of_line();
  }
}

void Shell::end_of_line() {
  if (!services_.power_request.scheduled) {
    services_.carry_out_power_request();
  }
  editor_.start();
}

/// Cancels the line that runs, and with it what was typed since.
void Shell::end_early(std::string_view shown) {
  typed_size_ = 0;
  console_run_.cancel();
  console_->write(shown);
  end_of_line();
}

/// Keeps a byte for later, if it does not end the line that runs.
void Shell::keep_typed(std::byte byte) {
  if (byte == kCtrlC) {
    return end_early("^C\n");
  }
  if (byte == kQuit && console_run_.watching()) {
    return end_early("");
  }
  if (typed_size_ < typed_.size()) {
    typed_[typed_size_++] = byte;
  } else {
    console_->write("\a");
  }
}

void Shell::on_finished(LineRun&) {
  end_of_line();
  replay_typed();
  on_input();
}

void Shell::replay_typed() {
  // A line among these may be suspended as well; the rest is then kept again, in the same memory further front.
  const std::size_t count = typed_size_;
  typed_size_ = 0;
  for (std::size_t i = 0; i < count; ++i) {
    feed(typed_[i]);
  }
}

std::optional<std::string_view> Shell::history(std::size_t index) const {
  if (index >= editor_.history().size()) {
    return std::nullopt;
  }
  const std::string_view line = editor_.history().line(index);
  return holds_secret(line) ? std::string_view("(a line with a secret)") : line;
}

// ---- control requests ----

std::expected<Handled, Refusal> Shell::run_line(std::string_view line, const security::Principal& who,
                                                control::Caller& caller, control::ResultMap& result) {
  return RequestRun::run({.services = services_, .memory = *memory_, .who = who}, line, caller, result);
}

}  // namespace guest::shell
