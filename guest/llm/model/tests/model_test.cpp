// Files whose model is not what it should be.
#include "guest/llm/model/model.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <ostream>
#include <set>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/llm/model/testing/small_model.hpp"

namespace guest::llm {
namespace {

using gguf::testing::Builder;
using testing::file_of;
using testing::keys_of;
using testing::put_tensors;
using testing::SmallModel;

std::string outcome_of(const std::string& bytes) {
  const auto file = gguf::File::open(std::as_bytes(std::span(bytes)));
  const auto model = file ? Model::read(*file) : std::unexpected(file.error());
  return model ? "read" : std::string(model.error().name) + ": " + std::string(model.error().detail.view());
}

/// A model that does what its file says, and one key more.
template <typename T>
std::string with_key(const char* key, T value) {
  Builder builder = keys_of({});
  put_tensors(builder, {});
  return builder.put(key, value).bytes();
}

/// The keys of one model, the tensors of another one.
std::string with_keys_of(const SmallModel& keys) {
  Builder builder = keys_of(keys);
  put_tensors(builder, {});
  return builder.bytes();
}

/// A key with another value. The keys that follow it are there, too.
template <typename T>
std::string with_other(const char* key, T value) {
  std::string bytes = file_of({});
  const std::size_t at = bytes.find(gguf::testing::text_bytes(key)) + sizeof(std::uint64_t) + std::strlen(key) + 4;
  return bytes.replace(at, sizeof(T), gguf::testing::bytes_of(value));
}

struct Case {
  const char* what;
  std::string file;
  const char* error;
};
void PrintTo(const Case& refused, std::ostream* out) { *out << refused.what; }

std::vector<Case> shapes() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return {
      {"no architecture", Builder().bytes(), "gguf-missing-key: there is no 'general.architecture', expected string"},
      {"another one", Builder().put("general.architecture", "gpt2\n").bytes(),
       "llm-unsupported: 'general.architecture' is 'gpt2\\n', expected llama"},
      {"no length", Builder().put("general.architecture", "llama").bytes(),
       "gguf-missing-key: there is no 'llama.context_length', expected an integer of 0 or more"},
      {"experts", with_key("llama.expert_count", std::uint32_t{8}),
       "llm-unsupported: 'llama.expert_count' is 8, expected 0"},
      {"scaled angles", with_key("llama.rope.scaling.type", "yarn"),
       "llm-unsupported: 'llama.rope.scaling.type' is 'yarn', expected none"},
      {"no context", with_other("llama.context_length", std::uint32_t{0}),
       "gguf-out-of-range: 'llama.context_length' is 0, expected 1 to 131072"},
      {"a long context", with_other("llama.context_length", std::uint32_t{131'073}),
       "gguf-out-of-range: 'llama.context_length' is 131073, expected 1 to 131072"},
      {"many layers", with_other("llama.block_count", std::uint32_t{241}),
       "gguf-out-of-range: 'llama.block_count' is 241, expected 1 to 240"},
      {"no heads", with_other("llama.attention.head_count", std::uint32_t{0}),
       "gguf-out-of-range: 'llama.attention.head_count' is 0, expected 1 to 1024"},
      {"more heads than elements", with_other("llama.attention.head_count", std::uint32_t{64}),
       "llm-bad-model: 'llama.attention.key_length' is not there, and would be 0, expected 1 to 256"},
      {"a head that is too large", with_keys_of({.embedding = 2048}),
       "llm-bad-model: 'llama.attention.key_length' is not there, and would be 512, expected 1 to 256"},
      {"a head that is 0", with_key("llama.attention.key_length", std::uint32_t{0}),
       "gguf-out-of-range: 'llama.attention.key_length' is 0, expected 1 to 256"},
      {"heads that do not share", with_keys_of({.key_heads = 3}),
       "llm-bad-model: 4 heads of queries for 3 of keys: expected a multiple"},
      {"an odd rotation", with_keys_of({.rotated = 7}),
       "llm-bad-model: 7 elements of a head are turned, expected an even number up to 8"},
      {"a wide rotation", with_keys_of({.rotated = 10}),
       "llm-bad-model: 10 elements of a head are turned, expected an even number up to 8"},
      {"other values", with_key("llama.attention.value_length", std::uint32_t{16}),
       "llm-unsupported: values of 16 elements with keys of 8: expected as many"},
      {"an infinite base", with_other("llama.rope.freq_base", kInfinity),
       "llm-bad-model: 'llama.rope.freq_base' is no finite number above 0"},
      {"a base below 0", with_other("llama.rope.freq_base", -1.0F),
       "llm-bad-model: 'llama.rope.freq_base' is no finite number above 0"},
      {"an epsilon of NaN",
       with_other("llama.attention.layer_norm_rms_epsilon", std::numeric_limits<float>::quiet_NaN()),
       "llm-bad-model: 'llama.attention.layer_norm_rms_epsilon' is no finite number above 0"},
      {"no epsilon", with_other("llama.attention.layer_norm_rms_epsilon", 0.0F),
       "llm-bad-model: 'llama.attention.layer_norm_rms_epsilon' is no finite number above 0"},
  };
}

std::vector<Case> tensors() {
  Builder integers = keys_of({});
  integers.put_tensor("token_embd.weight", {32, 40}, gguf::Type::I8, std::string(32 * 40, 'x'));
  Builder halves = keys_of({});
  halves.put_tensor("token_embd.weight", {32, 40}, gguf::Type::F16, std::string(2 * 32 * 40, 'x'));
  halves.put_tensor("output_norm.weight", {32}, gguf::Type::F16, std::string(2 * 32, 'x'));
  Builder biased = keys_of({});
  put_tensors(biased, {});
  biased.put_floats("blk.0.attn_q.bias", {32}, std::vector<float>(32));
  Builder more = keys_of({.layers = 1});
  put_tensors(more, {});
  return {
      {"no tensors", keys_of({}).bytes(),
       "llm-bad-model: there is no tensor 'token_embd.weight', expected 40 rows of 32"},
      {"a token fewer", with_keys_of({.vocabulary = 41}),
       "llm-bad-model: tensor 'token_embd.weight' has 40 rows of 32, expected 41 of 32"},
      {"other columns", with_keys_of({.embedding = 64}),
       "llm-bad-model: tensor 'token_embd.weight' has 40 rows of 32, expected 40 of 64"},
      {"other keys", with_keys_of({.key_heads = 4}),
       "llm-bad-model: tensor 'blk.0.attn_k.weight' has 16 rows of 32, expected 32 of 32"},
      {"another half", with_keys_of({.feed_forward = 47}),
       "llm-bad-model: tensor 'blk.0.ffn_gate.weight' has 48 rows of 32, expected 47 of 32"},
      {"a layer fewer", with_keys_of({.layers = 3}),
       "llm-bad-model: there is no tensor 'blk.2.attn_norm.weight', expected 1 rows of 32"},
      {"a layer more", more.bytes(),
       "llm-unsupported: tensor 'blk.1.attn_norm.weight' is no part of the models that are run here"},
      {"a bias", biased.bytes(),
       "llm-unsupported: tensor 'blk.0.attn_q.bias' is no part of the models that are run here"},
      {"integers", integers.bytes(),
       "llm-unsupported: tensor 'token_embd.weight' is I8, expected F32, F16, Q8_0 or Q4_0"},
      {"a norm of F16", halves.bytes(), "llm-unsupported: tensor 'output_norm.weight' is no F32, which a norm is"},
  };
}

class Refused : public ::testing::TestWithParam<Case> {};
TEST_P(Refused, with_the_reason) { EXPECT_EQ(outcome_of(GetParam().file), GetParam().error); }
INSTANTIATE_TEST_SUITE_P(Shapes, Refused, ::testing::ValuesIn(shapes()));
INSTANTIATE_TEST_SUITE_P(Tensors, Refused, ::testing::ValuesIn(tensors()));

TEST(Model, has_the_shape_that_its_file_says) {
  const std::string bytes = file_of({.half_split = true, .own_output = true});
  const auto file = gguf::File::open(std::as_bytes(std::span(bytes)));
  const auto model = Model::read(*file);
  ASSERT_TRUE(model);
  const Shape& shape = model->shape();
  EXPECT_EQ(shape.vocabulary, 40U);
  EXPECT_EQ(shape.query_elements(), 32U);
  EXPECT_EQ(shape.key_elements(), 16U);
  EXPECT_TRUE(shape.half_split);
  EXPECT_EQ(shape.attention_scale, 0x3EB5'04F3U);  // 1 / sqrt(8) in binary32
  EXPECT_EQ(model->layer(1).down.offset, file->find_tensor("blk.1.ffn_down.weight")->offset);
  EXPECT_NE(model->output().offset, model->embedding().offset);
}

TEST(Model, has_defaults) {
  Builder builder;
  builder.put("general.architecture", "llama").put("llama.context_length", std::uint32_t{8});
  builder.put("llama.embedding_length", std::uint32_t{32}).put("llama.block_count", std::uint32_t{2});
  builder.put("llama.feed_forward_length", std::uint32_t{48}).put("llama.attention.head_count", std::uint32_t{4});
  builder.put("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  put_tensors(builder, {.key_heads = 4});
  const std::string bytes = builder.bytes();
  const auto model = Model::read(*gguf::File::open(std::as_bytes(std::span(bytes))));
  ASSERT_TRUE(model) << model.error().detail.view();
  EXPECT_EQ(model->shape().vocabulary, 40U);
  EXPECT_EQ(model->shape().key_heads, 4U);
  EXPECT_EQ(model->shape().rotated, 8U);
  EXPECT_EQ(model->shape().rope_base, 0x461C'4000U);
  EXPECT_EQ(model->output().offset, model->embedding().offset);
}

TEST(Model, without_memory_is_refused) {
  const std::string bytes = file_of({});
  const auto file = gguf::File::open(std::as_bytes(std::span(bytes)));
  std::set<std::string> said;
  std::string outcome;
  kernel::fail_each_allocation(
      [&] {
        const auto model = Model::read(*file);
        outcome = model ? "read" : std::string(model.error().name) + ": " + std::string(model.error().detail.view());
      },
      [&] { said.insert(outcome); });
  EXPECT_EQ(outcome, "read");
  EXPECT_EQ(said, std::set<std::string>{"llm-no-memory: no memory for the places of 2 layers"});
}

}  // namespace
}  // namespace guest::llm
