#include "guest/control/audit.hpp"
#include "guest/kernel/format.hpp"
#include "guest/shell/shell.hpp"

namespace guest::shell {

namespace error = abi::control::error;
using control::Handled;
using control::Refusal;
using kernel::format_to;

namespace {
/// ECMA-48, "CUP" and "ED": to the upper left, clears what is below.
constexpr std::string_view kFromTop = "\x1b[H\x1b[J";
}  // namespace

std::expected<bool, LineError> LineRun::start(std::string_view line, const security::Principal& who,
                                              kernel::TextOutput& output) {
  kernel::require(!suspended(), "a shell line is started while another runs");
  if (line.size() > kMaxRequestLine) {
    return std::unexpected(LineError{"the line is longer than 4096 bytes", kMaxRequestLine});
  }
  const auto parsed = parse_line(line, words_);
  if (!parsed) {
    return std::unexpected(parsed.error());
  }
  parsed_ = *parsed;
  next_command_ = 0;
  status_ = 0;
  who_ = who;
  output_ = &output;
  return run_commands();
}

void LineRun::cancel() {
  if (control::Operation* operation = operation_) {
    operation_ = nullptr;
    operation->cancel();
    audit(command_, error::kCancelled);
  }
}

/// True: the line has ended.
bool LineRun::run_commands() {
  while (next_command_ < parsed_.size()) {
    run_command(parsed_.command(next_command_++));
    if (suspended()) {
      return false;
    }
  }
  return true;
}

void LineRun::run_command(std::span<const std::string_view> words) {
  bytes_ = 0;
  for (const std::string_view word : words) {
    bytes_ += static_cast<std::uint32_t>(word.size()) + (bytes_ == 0 ? 0 : 1);
  }
  const auto found = control::find_command(words);
  if (!found) {
    return refuse_unknown(words[0]);
  }
  command_ = found->command;
  if (command_->where == control::Where::ControlOnly) {
    status_ = 1;
    audit(command_, error::kUnknownOp);
    format_to(*output_, "{}: only for control requests\n", command_->name);
    return;
  }
  if (!abi::control::allows(who_.rights, command_->rights)) {
    status_ = 1;
    audit(command_, error::kForbidden);
    format_to(*output_, "{}: forbidden: it needs rights {:#x}, the token gives {:#x}\n", command_->name,
              static_cast<unsigned>(command_->rights), static_cast<unsigned>(who_.rights));
    return;
  }
  const auto arguments = control::Arguments::parse_words(command_->arguments, words.subspan(found->words), joined_);
  if (!arguments) {
    return refuse(arguments.error());
  }
  const bool sends_events = command_->render_event != nullptr;
  if (sends_events && !command_->ends && !watch_ && !arguments->has("count")) {
    return refuse(
        control::refuse(error::kMissingArgument, "count", "without a count it does not end: give one").error());
  }
  watching_ = watch_ && (sends_events || (command_->watched && words.size() == found->words));
  run_handler(*command_, *arguments);
}

void LineRun::refuse_unknown(std::string_view word) {
  status_ = 1;
  audit(nullptr, error::kUnknownOp);
  format_to(*output_, "{}: no such command; 'help' lists them\n", kernel::escaped(word.substr(0, 64)));
}

void LineRun::audit(const control::Command* command, std::string_view code) {
  control::AuditedRequest request = {.who = who_, .bytes = bytes_};
  if (command != nullptr) {
    request.op = command->name;
    request.needed = control::recorded_rights(*command);
  }
  control::audit(services_, request, code);
}

void LineRun::run_handler(const control::Command& command, const control::Arguments& arguments) {
  services_.caller = who_;
  control::CborWriter writer(memory_);
  control::ResultMap result(writer);
  const auto handled = command.handler(services_, arguments, *this, result);
  if (!handled) {
    return refuse(handled.error());
  }
  if (*handled == Handled::Later) {
    kernel::require(suspended(), "a command completes later and named no operation");
    return;
  }
  result.finish();
  if (writer.overflowed()) {
    return refuse(control::refuse(error::kFailed, "", "the result is longer than 65536 bytes").error());
  }
  render(writer.written());
}

void LineRun::render(std::span<const std::byte> result) {
  status_ = 0;
  audit(command_, {});
  (command_->render != nullptr ? command_->render : control::render_map)(*output_, control::read_own_cbor(result));
}

void LineRun::refuse(const Refusal& refusal) {
  status_ = 1;
  audit(command_, refusal.code);
  format_to(*output_, "{}: {}\n", command_->name, refusal.message.view());
}

bool LineRun::emit(std::span<const std::byte> event) {
  command_->render_event(*output_, control::read_own_cbor(event));
  return true;
}

void LineRun::complete(std::span<const std::byte> result) {
  operation_ = nullptr;
  const bool again = watching_ && command_->watched;
  if (again) {
    output_->write(kFromTop);
  }
  render(result);
  if (again) {
    output_->write("q ends this\n");
    run_handler(*command_, control::Arguments(command_->arguments));
    if (suspended()) {
      return;
    }
  }
  resume();
}

void LineRun::fail(const Refusal& refusal) {
  operation_ = nullptr;
  refuse(refusal);
  resume();
}

void LineRun::resume() {
  if (run_commands()) {
    owner_.on_finished(*this);
  }
}

}  // namespace guest::shell
