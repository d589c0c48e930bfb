// A model of others, and the text that it tells by another program: ../shared/models beside the repository, where it is
// there.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <ostream>

#include "guest/llm/tokenizer/tokenizer.hpp"
#include "npu/simd/kernels.hpp"
#include "runner.hpp"

namespace guest::llm {
namespace {

using testing::in_thread;
using testing::Runner;

std::string read_model(const std::string& name) {
  std::ifstream file(SIS_SHARED_MODELS "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The prompt and what follows it, greedy: what the model says at each of `positions`, the prompt's included.
std::string tell(const std::string& bytes, const ::npu::KernelSet& kernels, std::size_t positions) {
  constexpr std::string_view kPrompt = "Once upon a time";
  Runner runner(bytes, 32, kernels);
  const auto file = gguf::File::open(std::as_bytes(std::span(bytes)));
  const auto tokenizer = Tokenizer::make(*file);
  std::vector<Token> tokens(64);
  tokens.resize(tokenizer->encode(kPrompt, tokens).value());
  const auto sequence = runner.sequence();
  runner.run(*sequence, tokens);
  tokens.push_back(runner.step().best());
  while (sequence->size() < positions) {
    runner.run(*sequence, {tokens.back()});
    tokens.push_back(runner.step().best());
  }
  std::string text(tokenizer->decode(tokens, {}, true), '\0');
  static_cast<void>(tokenizer->decode(tokens, text, true));
  return text;
}

constexpr std::string_view kStory =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a "
    "big, red ball. She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" "
    "Lily was sad and didn't know what to do. She said, \"I want to play with";

constexpr std::string_view kEndOfF32 = " your ball, but I can't find";
// The reference's activations are f32; the NPU makes integers of those, too (docs/npu.md, Gemm), so it may part from it
// late. It does not.
constexpr std::string_view kEndOfQ8 = " my ball.\" Her mom said, \"I want";

struct Case {
  const char* file;
  std::string_view end;
  const ::npu::KernelSet& (*kernels)();
};
void PrintTo(const Case& told, std::ostream* out) { *out << told.file << ", " << told.kernels().name; }

class Stories : public ::testing::TestWithParam<Case> {};

TEST_P(Stories, are_told_word_for_word) {
  const std::string bytes = read_model(GetParam().file);
  if (bytes.empty()) {
    GTEST_SKIP() << "no " SIS_SHARED_MODELS "/" << GetParam().file;
  }
  in_thread(
      [&] { EXPECT_EQ(tell(bytes, GetParam().kernels(), 128), std::string(kStory) + std::string(GetParam().end)); });
}

// The vector kernels of all processors give the same bytes: what is told here the device and the guest tell, too.
INSTANTIATE_TEST_SUITE_P(OfOthers, Stories,
                         ::testing::Values(Case{"stories260K.f32.gguf", kEndOfF32, ::npu::scalar_kernels},
                                           Case{"stories260K.q8_0.gguf", kEndOfQ8, ::npu::simd_kernels}));

}  // namespace
}  // namespace guest::llm
