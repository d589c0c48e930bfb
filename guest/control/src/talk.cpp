#include <new>

#include "guest/kernel/critical.hpp"
#include "handlers.hpp"

namespace guest::control {

namespace error = abi::control::error;
using kernel::format_to;
using kernel::TextOutput;

HandlerResult handle_ping(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  result.add("time_ns", services.clock.now_ns());
  if (arguments.has("payload")) {
    const std::string_view payload = arguments.text("payload");
    if (arguments.is_bytes("payload")) {
      result.key_for("payload").bytes(std::as_bytes(std::span(payload)));
    } else {
      result.add("payload", payload);
    }
  }
  return Handled::Now;
}

HandlerResult handle_echo(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  result.add("text", arguments.text("text"));
  return Handled::Now;
}

void render_echo(TextOutput& output, const CborValue& result) {
  write_visible(output, find_cbor(result, "text")->text());
  output.write("\n");
}

namespace {

constexpr std::size_t kMaxUsage = 256;  ///< of one command

void describe(CborWriter& writer, const Command& command) {
  kernel::FixedText<kMaxUsage> usage;
  write_usage(usage, command);
  ResultMap entry(writer);
  entry.add("name", command.name);
  entry.add("usage", usage.view());
  entry.add("help", command.help);
  entry.finish();
}

void explain(ResultMap& result, const Command& command, std::string_view fault_kinds) {
  kernel::FixedText<kMaxUsage> usage;
  write_usage(usage, command);
  result.add("usage", usage.view());
  result.add("help", command.help);
  if (!command.details.empty()) {
    result.add("details", command.details);
  }
  if (command.handler == handle_panic) {
    result.add("kinds", fault_kinds);
  }
  if (command.arguments.empty()) {
    return;
  }
  CborWriter& writer = result.key_for("arguments");
  writer.array(command.arguments.size());
  for (const ArgumentSpec& spec : command.arguments) {
    ResultMap entry(writer);
    entry.add("name", spec.name);
    entry.add("type", to_string(spec.type));
    entry.add_bool("required", spec.required);
    entry.add("help", spec.help);
    entry.finish();
  }
}

}  // namespace

HandlerResult handle_help(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  if (!arguments.has("command")) {
    CborWriter& writer = result.key_for("commands");
    writer.array(command_table().size());
    for (const Command& command : command_table()) {
      describe(writer, command);
    }
    return Handled::Now;
  }
  const Command* command = find_command(arguments.text("command"));
  if (command == nullptr) {
    return refuse(error::kNotFound, "command", "no command '{}'; 'help' lists them",
                  kernel::escaped(arguments.text("command")));
  }
  explain(result, *command, services.faults.kinds());
  return Handled::Now;
}

void render_help(TextOutput& output, const CborValue& result) {
  const auto commands = find_cbor(result, "commands");
  if (!commands) {
    render_map(output, result);
    return;
  }
  CborItems items(*commands);
  while (const auto command = items.next()) {
    format_to(output, "{:<22} {}\n", find_cbor(*command, "usage")->text(), find_cbor(*command, "help")->text());
  }
}

HandlerResult handle_clear(Services&, const Arguments&, Caller&, ResultMap&) { return Handled::Now; }

void render_clear(TextOutput& output, const CborValue&) {
  // ECMA-48, CUP and ED: cursor home, erase the page.
  output.write("\x1b[H\x1b[2J");
}

void render_nothing(TextOutput&, const CborValue&) {}

HandlerResult handle_shell(Services& services, const Arguments& arguments, Caller& caller, ResultMap& result) {
  if (services.shell == nullptr) {
    return refuse(error::kBusy, "", "the shell has not started yet");
  }
  return services.shell->run_line(arguments.text("line"), services.caller, caller, result);
}

HandlerResult handle_history(Services& services, const Arguments&, Caller&, ResultMap& result) {
  CborWriter& writer = result.key_for("lines");
  const std::size_t token = writer.begin_array();
  std::size_t count = 0;
  while (services.shell != nullptr) {
    const auto line = services.shell->history(count);
    if (!line) {
      break;
    }
    writer.text(*line);
    ++count;
  }
  writer.end(token, count);
  return Handled::Now;
}

void render_history(TextOutput& output, const CborValue& result) {
  CborItems lines(*find_cbor(result, "lines"));
  for (unsigned number = 1; const auto line = lines.next(); ++number) {
    format_to(output, "{:>4}  {}\n", number, kernel::escaped(line->text()));
  }
}

namespace {

/// Completes its caller when the timer fires. Frees itself in its work item, which always runs once: a cancelled one
/// is only made to run at once.
class Sleep final : public Operation {
 public:
  Sleep(kernel::TimerQueue& timers, Caller& caller) : timers_(timers), caller_(&caller) {}

  void start(std::uint64_t deadline_ns) { timers_.arm(timer_, deadline_ns); }
  void cancel() override {
    caller_ = nullptr;
    // No interrupt between the check and the call: the item must not be raised twice.
    const kernel::CriticalSection critical;
    if (timer_.armed()) {
      timers_.arm(timer_, 0);
    }
  }

 private:
  void fire() {
    if (caller_ != nullptr) {
      std::byte memory[16];
      CborWriter writer(memory);
      ResultMap(writer).finish();
      caller_->complete(writer.written());
    }
    delete this;
  }

  kernel::TimerQueue& timers_;
  Caller* caller_;
  kernel::WorkItem item_{[](void* self) { static_cast<Sleep*>(self)->fire(); }, this};
  kernel::Timer timer_{item_};
};

}  // namespace

HandlerResult handle_sleep(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  auto* sleep = new (std::nothrow) Sleep(services.timers, caller);
  if (sleep == nullptr) {
    return refuse(error::kBusy, "", "no memory for another sleep");
  }
  caller.defer(*sleep);
  sleep->start(services.clock.now_ns() + arguments.number("ms") * 1'000'000);
  return Handled::Later;
}

}  // namespace guest::control
