#include "guest/llm/package/model_facts.hpp"

#include <gtest/gtest.h>

#include "guest/llm/package/testing/package.hpp"

namespace guest::llm::package {
namespace {

using gguf::Type;
using gguf::testing::Builder;

std::string facts_of(const Builder& builder) {
  const std::string bytes = builder.bytes();
  const auto file = gguf::File::open(testing::bytes_of(bytes));
  EXPECT_TRUE(file);
  const auto facts = read_facts(*file);
  return facts ? std::to_string(facts->context) + " " + std::to_string(facts->vocabulary) + " " +
                     std::string(to_string(facts->quantisation))
               : testing::describe(std::unexpected(facts.error()));
}

Builder without_tensors(const char* architecture = "llama") {
  Builder builder;
  builder.put("general.architecture", architecture).put("llama.context_length", std::uint32_t{7});
  builder.put_array("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
  return builder;
}

TEST(ModelFacts, are_those_of_the_file) {
  EXPECT_EQ(facts_of(testing::model_builder()), "16 5 Q8_0");
  EXPECT_EQ(facts_of(without_tensors().put_floats("m", {2, 2}, {1, 2, 3, 4})), "7 2 F32");
}

TEST(ModelFacts, quantisation_is_the_type_of_most_elements_of_matrices) {
  Builder builder = without_tensors();
  builder.put_floats("vector", {96}, std::vector<float>(96));  // none
  builder.put_tensor("a", {32, 1}, Type::Q4_0, std::string(18, 'q'));
  EXPECT_EQ(facts_of(builder), "7 2 Q4_0");
  builder.put_tensor("b", {32, 1}, Type::F16, std::string(64, 'h'));
  EXPECT_EQ(facts_of(builder), "7 2 F16");  // as many, but before it
  builder.put_tensor("c", {32, 1, 1}, Type::Q4_0, std::string(18, 'q'));
  EXPECT_EQ(facts_of(builder), "7 2 Q4_0");
}

TEST(ModelFacts, that_are_not_there_are_refused_by_name) {
  EXPECT_EQ(facts_of(Builder()), "gguf-missing-key: there is no 'general.architecture', expected string");
  EXPECT_EQ(facts_of(without_tensors("a_name_of_more_than_thirty-two_b")),
            "gguf-missing-key: there is no 'a_name_of_more_than_thirty-two_b.context_length', expected an integer of 0 "
            "or more");
  EXPECT_EQ(facts_of(without_tensors("a_name_of_more_than_thirty-two_by")),
            "package-bad-model: general.architecture has 33 bytes, at most 32");
  EXPECT_EQ(facts_of(Builder().put("general.architecture", "l").put("l.context_length", std::uint64_t{0})),
            "gguf-out-of-range: 'l.context_length' is 0, expected 1 to 16777216");
  EXPECT_EQ(facts_of(Builder().put("general.architecture", "l").put("l.context_length", 1)),
            "gguf-missing-key: there is no 'tokenizer.ggml.tokens', expected an array");
  EXPECT_EQ(facts_of(without_tensors().put_floats("vector", {2}, {1, 2})),
            "package-bad-model: there is no matrix of F32, F16, Q8_0 or Q4_0 among its 1 tensors");
}

}  // namespace
}  // namespace guest::llm::package
