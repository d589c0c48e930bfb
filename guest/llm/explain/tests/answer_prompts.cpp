// Runs a model file on prompts, greedily, as the kernel would: tools/train/measure_explain.py asks it.
//
//   answer_prompts MODEL < PROMPTS > ANSWERS       one a line each
//
// ninja -C build/host-release answer_prompts makes one that is fast.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/llm/model/step.hpp"
#include "guest/llm/tokenizer/tokenizer.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "npu/simd/kernels.hpp"

namespace {

using namespace guest;
using namespace guest::llm;

constexpr std::uint32_t kStepTokens = 32;
constexpr std::size_t kMostTokens = 64;  // of an answer

template <typename T>
T expect(std::expected<T, kernel::NamedError> made) {
  if (!made) {
    std::fprintf(stderr, "%s\n", std::string(made.error().detail.view()).c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) {
    return std::move(*made);
  }
}

/// In a thread.
class Answerer {
 public:
  explicit Answerer(const std::string& bytes)
      : npu_(::npu::simd_kernels()), weights_(expect(ml::Memory::make(bytes.size()))) {
    std::memcpy(weights_->bytes().data(), bytes.data(), bytes.size());
    expect(weights_->enlist(npu_, ml::Memory::kConstant));
    const gguf::File file = expect(gguf::File::open(weights_->bytes()));
    model_ = std::make_unique<Model>(expect(Model::read(file)));
    tokenizer_ = std::make_unique<Tokenizer>(expect(Tokenizer::make(file)));
    step_ = expect(Step::make(npu_, *model_, weights_->handle(), kStepTokens));
    sequence_ = expect(Sequence::make(npu_, model_->shape()));
  }

  std::string answer(const std::string& prompt) {
    std::vector<Token> tokens(model_->shape().context);
    tokens.resize(expect(tokenizer_->encode(prompt, tokens)));
    for (std::size_t at = keep(tokens); at < tokens.size(); at += kStepTokens) {
      expect(step_->run(*sequence_,
                        std::span(tokens).subspan(at, std::min<std::size_t>(kStepTokens, tokens.size() - at))));
    }
    prompt_ = tokens;
    std::vector<Token> said;
    while (said.size() < kMostTokens && !tokenizer_->is_end(step_->best())) {
      said.push_back(step_->best());
      expect(step_->run(*sequence_, std::span(said).last(1)));
    }
    std::string text(tokenizer_->decode(said, {}, false), '\0');
    static_cast<void>(tokenizer_->decode(said, text, false));
    return text;
  }

 private:
  /// Of the last prompt the steps whose tokens `tokens` begins with, too: questions about the same figures. Returns how
  /// many tokens they have. Those that are left are in the same steps as they would be alone.
  std::size_t keep(const std::vector<Token>& tokens) {
    const auto end = std::ranges::mismatch(prompt_, tokens).in2;
    const auto same = static_cast<std::size_t>(end - tokens.begin());
    // The step that ends the prompt is run in any case: it says what comes next.
    const std::size_t kept = std::min(same, tokens.size() - 1) / kStepTokens * kStepTokens;
    sequence_->truncate(static_cast<std::uint32_t>(kept));
    return kept;
  }

  guest::npu::CpuAccelerator npu_;
  std::unique_ptr<ml::Memory> weights_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Step> step_;
  std::unique_ptr<Sequence> sequence_;
  std::vector<Token> prompt_;  ///< the last one
};

void answer_all(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  Answerer answerer(bytes);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << answerer.answer(line) << std::endl;
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: answer_prompts MODEL < PROMPTS > ANSWERS\n");
    return 2;
  }
  threads::start("answers", [&] { answer_all(arguments[1]); });
  threads::run_until_idle();
  return 0;
}
