// Any bytes typed on the console, with time passing at every 0x00: the line stays valid, what reaches the terminal
// holds no record mark, and the shell takes the next line as if nothing had been.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "abi/console.hpp"
#include "guest/control/testing/fake_machine.hpp"
#include "guest/shell/shell.hpp"

namespace {

class Console final : public guest::kernel::TextOutput, public guest::shell::ByteSource {
 public:
  void write(std::string_view text) override {
    if (text.find(abi::console::kRecordMark) != std::string_view::npos) {
      std::abort();
    }
    output += text;
  }
  std::size_t read(std::span<std::byte> out) override {
    const std::size_t count = std::min(out.size(), typed.size());
    std::ranges::copy(typed.first(count), out.begin());
    typed = typed.subspan(count);
    return count;
  }
  std::string output;
  std::span<const std::byte> typed;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto* machine = new guest::control::testing::FakeMachine;
  static auto* console = new Console;
  static auto* shell = new guest::shell::Shell(machine->services, console, console);
  machine->services.shell = shell;
  auto input = std::as_bytes(std::span(data, size));
  while (!input.empty()) {
    const auto end = std::find(input.begin(), input.end(), std::byte{0});
    const auto count = static_cast<std::size_t>(end - input.begin());
    console->typed = input.first(count);
    shell->on_input();
    machine->advance_ns(1'000'000);
    input = input.subspan(std::min(count + 1, input.size()));
  }
  // End whatever runs or is open, then a line of our own.
  static constexpr std::byte kInterrupts[] = {std::byte{3}, std::byte{3}, std::byte{3}};
  console->typed = {};
  while (true) {
    console->typed = kInterrupts;
    shell->on_input();
    if (console->typed.empty()) {
      break;
    }
    machine->advance_ns(10'000'000'000);
  }
  machine->advance_ns(3'700'000'000'000);  // longer than the longest sleep, so that everything cancelled frees itself
  console->output.clear();
  constexpr std::string_view kLine = "echo alive\r";
  console->typed = std::as_bytes(std::span(kLine));
  shell->on_input();
  if (console->output.find("alive\nsis> ") == std::string::npos) {
    std::abort();
  }
  machine->power.events.clear();
  machine->faults.provoked.clear();
  return 0;
}
