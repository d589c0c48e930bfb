// A language model in the guest, before there is a service for it: an image of its own, run by
// tests/integration/test_llm.py. It tells, greedy, what the first model of the boot archive has to say, on the NPU or,
// where there is none, the CPU:
//
//   LLM npu=cpu positions=128 ns=N cycles=N text="..."
#include <algorithm>
#include <array>
#include <cstring>

#include "abi/console.hpp"
#include "boot_npu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/kernel/archive.hpp"
#include "guest/llm/model/step.hpp"
#include "guest/llm/tokenizer/tokenizer.hpp"
#include "start_all_cpus.hpp"

namespace guest {
namespace {

constexpr std::string_view kPrompt = "Once upon a time";
constexpr std::uint32_t kPositions = 128;

constinit kernel::MachineInfo machine;
constinit kernel::Archive archive;

/// The value, or the end of the machine with the reason.
template <typename T>
T take(std::expected<T, kernel::NamedError> value) {
  if (!value) {
    kernel::panic_at(kernel::here(), "{}: {}", value.error().name, value.error().detail.view());
  }
  return std::move(*value);
}
void take(const kernel::Outcome& outcome) {
  if (!outcome) {
    kernel::panic_at(kernel::here(), "{}: {}", outcome.error().name, outcome.error().detail.view());
  }
}

/// The first model of the archive, in memory of its own, as the NPU wants it.
std::unique_ptr<ml::Memory> load_model() {
  const auto file = std::ranges::find_if(archive.files(),
                                         [](const kernel::ArchiveFile& each) { return each.name.ends_with(".gguf"); });
  kernel::require(file != archive.files().end(), "there is no model in the archive");
  auto memory = take(ml::Memory::make(file->data.size()));
  std::ranges::copy(file->data, memory->bytes().begin());
  take(memory->enlist(npu::npu(), ml::Memory::kConstant));
  return memory;
}

void tell(void*) {
  npu::Npu& npu = npu::npu();
  const auto weights = load_model();
  const auto file = take(gguf::File::open(weights->bytes()));
  const auto tokenizer = take(llm::Tokenizer::make(file));
  const auto model = take(llm::Model::read(file));
  const auto step = take(llm::Step::make(npu, model, weights->handle(), kPositions));
  const auto sequence = take(llm::Sequence::make(npu, model.shape()));
  std::array<llm::Token, 2 * kPositions> tokens{};
  std::size_t count = take(tokenizer.encode(kPrompt, tokens));
  const std::uint64_t begin_ns = arch::clock_now_ns();
  std::uint64_t cycles = 0;
  for (std::size_t at = 0; at < kPositions;) {
    take(step->run(*sequence, std::span(tokens).subspan(at, count - at)));
    cycles += step->job().end().cycles;
    at = count;
    tokens[count++] = step->best();
  }
  const std::uint64_t took_ns = arch::clock_now_ns() - begin_ns;
  std::array<char, 4096> text{};
  const std::size_t bytes = tokenizer.decode(std::span(tokens).first(count), text, true);
  kernel::require(bytes <= text.size(), "the story is too long");
  kernel::log_error("LLM npu={} positions={} ns={} cycles={} text=\"{}\"", npu.info().name, sequence->size(), took_ns,
                    cycles, kernel::escaped({text.data(), bytes}));
  arch::exit_machine(abi::console::kKindShutdown, 0);
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  start_all_cpus(machine);
  kernel::require(archive.open({arch::direct(machine.initrd.begin()), machine.initrd.size}).has_value(),
                  "the archive is not readable");
  start_npu(find_virtio(machine));
  kernel::require(threads::spawn({.name = "llm", .cpu = 0}, tell, nullptr).has_value(), "no thread for the model");
  idle();
}

}  // namespace guest
