// The first bytes say how much there is of everything, the others are a question and an answer. Prompts have no more
// bytes than they may have, and what is said of an answer refers to it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "guest/llm/explain/answer.hpp"
#include "guest/llm/explain/prompt.hpp"

namespace {

using namespace guest;
using namespace guest::llm::explain;

void expect(bool condition) {
  if (!condition) {
    std::abort();
  }
}

Figures figures_of(std::uint8_t seed) {
  Figures made;
  const std::uint64_t large = seed % 2 == 0 ? UINT64_MAX : 12'345;
  for (std::size_t i = 0; i < seed % (kMaxOperators + 1); ++i) {
    Operator op{.name = {},
                .busy_permille = UINT32_MAX,
                .run_ns = large,
                .max_ns = large,
                .limit_ns = large / 2,
                .over = large};
    kernel::format_to(op.name, "{}",
                      i == 0 ? "a" : "an-operator-whose-name-is-as-long-as-it-may-be-and-somewhat-longer");
    if (i > 0) {
      op.input = static_cast<std::uint8_t>(i - 1);
    }
    expect(made.operators.push_back(op));
  }
  for (std::uint8_t i = 1; i < made.operators.size(); ++i) {
    expect(made.channels.push_back({i, static_cast<std::uint8_t>(i - 1), i, large, large, i % 2 == 0, large}));
  }
  for (std::size_t i = 0; i < seed / 16 % (kMaxServers + 1); ++i) {
    expect(made.servers.push_back({{}, large, large, large, large, large, large, large}));
  }
  if (seed % 3 == 0) {
    made.npu = Npu{.jobs = large, .misses = large, .top = large};
    made.llm = Llm{.asked = large, .refused = large, .misses = 0};
  }
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const Figures figures = figures_of(data[0]);
  // The fuzzer's bytes are text.
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  kernel::FixedText<kMaxPrompt> prompt;
  write_prompt(prompt, figures, text);
  expect(!prompt.truncated());
  expect(prompt.view().ends_with(" ="));
  const Check check = check_answer(figures, text);
  for (const Statement& statement : check.statements) {
    expect(!statement.text.empty() && statement.text.data() >= text.data() &&
           statement.text.data() + statement.text.size() <= text.data() + text.size());
  }
  kernel::FixedText<4096> answer;
  write_answer(answer, figures, text);
  return 0;
}
