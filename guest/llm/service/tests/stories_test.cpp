// A model of others, alone and among others: ../shared/models beside the repository, where it is there.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "guest/llm/service/testing/bench.hpp"
#include "npu/simd/kernels.hpp"

namespace guest::llm {
namespace {

using testing::Bench;
using testing::in_thread;
using testing::text_of;

constexpr std::string_view kPrompt = "Once upon a time";
// Of the README there; the whole text is in guest_llm_model_test.
constexpr std::string_view kBegin = ", there was a little girl named Lily. She loved to play outside in the park.";
constexpr std::string_view kEnd = "She said, \"I want to play with your ball, but I can't find";

TEST(ServiceStory, is_told_alone_and_eight_at_a_time) {
  std::ifstream stream(SIS_SHARED_MODELS "/stories260K.f32.gguf", std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(stream), {}};
  if (file.empty()) {
    GTEST_SKIP() << "no " SIS_SHARED_MODELS "/stories260K.f32.gguf";
  }
  in_thread([&] {
    Bench bench({.in_flight = 8, .stream_chunks = 256}, nullptr, ::npu::simd_kernels());
    bench.load("stories260K", file);
    RequestOptions options{.model = "stories260K", .max_tokens = 124};
    const std::string alone = text_of(bench.read_all(bench.submit(options, kPrompt)));
    EXPECT_TRUE(alone.starts_with(kBegin)) << alone;
    EXPECT_TRUE(alone.ends_with(kEnd)) << alone;
    options.max_tokens = 24;  // all of it takes half a minute with the sanitisers
    std::vector<RequestId> ids;
    for (int i = 0; i < 8; ++i) {
      ids.push_back(bench.submit(options, kPrompt));
    }
    for (const RequestId id : ids) {
      const std::string text = text_of(bench.read_all(id));
      EXPECT_EQ(bench.poll(id).tokens, 24U);
      EXPECT_EQ(text, alone.substr(0, text.size()));
    }
  });
}

}  // namespace
}  // namespace guest::llm
