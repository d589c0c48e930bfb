// A language model in the guest, before there is a service for it: an image of its own, run by
// tests/integration/test_llm.py. It tells, greedy, what the first model of the boot archive has to say, on the NPU or,
// where there is none, the CPU:
//
//   LLM npu=cpu positions=128 ns=N cycles=N text="..."
#include <array>

#include "abi/console.hpp"
#include "archive_model.hpp"
#include "boot_npu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/llm/model/step.hpp"
#include "guest/llm/tokenizer/tokenizer.hpp"
#include "start_all_cpus.hpp"

namespace guest {
namespace {

constexpr std::string_view kPrompt = "Once upon a time";
constexpr std::uint32_t kPositions = 128;

constinit kernel::MachineInfo machine;

void tell(void*) {
  npu::Npu& npu = npu::npu();
  const auto weights = load_model(machine);
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
  start_npu(find_virtio(machine));
  kernel::require(threads::spawn({.name = "llm", .cpu = 0}, tell, nullptr).has_value(), "no thread for the model");
  idle();
}

}  // namespace guest
