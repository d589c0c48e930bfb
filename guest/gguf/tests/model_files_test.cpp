// Files that other programs wrote: ../shared/models beside the repository, where it is there.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "guest/gguf/testing/builder.hpp"
#include "read.hpp"

namespace guest::gguf {
namespace {

using testing::describe;
using testing::Memory;

std::string read_model(const std::string& name) {
  std::ifstream file(SIS_SHARED_MODELS "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Stories : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    bytes_ = read_model(GetParam());
    if (bytes_.empty()) {
      GTEST_SKIP() << "no " << SIS_SHARED_MODELS "/" << GetParam();
    }
  }
  std::string bytes_;
};

TEST_P(Stories, are_read) {
  const Memory memory(bytes_);
  const auto file = File::open(memory.span());
  ASSERT_TRUE(file) << describe(file.error());
  EXPECT_EQ(file->text("general.architecture").value(), "llama");
  EXPECT_EQ(file->integer("llama.embedding_length").value(), 64U);
  EXPECT_EQ(file->tensors().size(), 47U);
  const Tensor* const embedding = file->find_tensor("token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->row_elements(), 64U);
  EXPECT_EQ(embedding->rows(), 512U);
  EXPECT_EQ(embedding->type, std::string_view(GetParam()).contains("q8_0") ? Type::Q8_0 : Type::F32);
  const auto tokens = file->array("tokenizer.ggml.tokens", ValueType::String);
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->size(), 512U);
  Strings strings = tokens->strings();
  EXPECT_EQ(strings.next(), "<unk>");
  EXPECT_EQ(strings.next(), "<s>");
}

INSTANTIATE_TEST_SUITE_P(OfOthers, Stories, ::testing::Values("stories260K.f32.gguf", "stories260K.q8_0.gguf"));

}  // namespace
}  // namespace guest::gguf
