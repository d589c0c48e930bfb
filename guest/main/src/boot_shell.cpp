#include "boot_shell.hpp"

#include <optional>

#include "guest/kernel/interrupts.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/work.hpp"
#include "guest/shell/shell.hpp"

namespace guest {
namespace {

/// What arrives at the console's port.
class UartInput final : public shell::ByteSource {
 public:
  explicit constexpr UartInput(drivers::Uart& uart) : uart_(uart) {}
  std::size_t read(std::span<std::byte> out) override { return uart_.read(out); }

 private:
  drivers::Uart& uart_;
};

/// The shell writes through the log, which knows whether a line is open.
class LogText final : public kernel::TextOutput {
 public:
  void write(std::string_view text) override { kernel::log().write(text); }
};

constinit LogText output;
constinit std::optional<UartInput> input;
constinit std::optional<shell::Shell> the_shell;
constinit kernel::WorkItem input_item([](void*) { the_shell->on_input(); }, nullptr);

/// Without an interrupt for the port the console shows, but takes no input.
void start_input(const kernel::ConsoleInfo& info, drivers::Uart& console) {
  if (!info.interrupt) {
    kernel::log().error("the console has no interrupt: it takes no input");
    return;
  }
  const bool attached = kernel::interrupts().attach(info.interrupt->id, info.interrupt->trigger, console.name(),
                                                    drivers::Uart::interrupt_thunk, &console);
  if (!attached) {
    kernel::log().error("the console's interrupt cannot be attached: it takes no input");
    return;
  }
  console.start_receiving(kernel::work_queue(), input_item);
}

}  // namespace

kernel::TextOutput& console_text() { return output; }

void start_shell(control::Services& services, const kernel::ConsoleInfo& info, drivers::Uart* console,
                 std::string_view line) {
  kernel::log().error("LAUNCHING SHELL");
  if (console == nullptr) {
    services.shell = &the_shell.emplace(services, nullptr, nullptr);
    the_shell->start(line);
    return;
  }
  services.shell = &the_shell.emplace(services, &output, &input.emplace(*console));
  start_input(info, *console);
  the_shell->start(line);
}

}  // namespace guest
