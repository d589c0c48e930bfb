// mlp-classifier: its files, its arithmetic, and how often the built-in model is right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>

#include "../src/mlp_model.hpp"
#include "guest/graph/operators/pattern.hpp"
#include "guest/graph/operators/services.hpp"
#include "kind_fixture.hpp"

namespace guest::graph {
namespace {

using ::testing::HasSubstr;

/// Bytes of a model, put together number by number.
class ModelFile {
 public:
  explicit ModelFile(std::uint32_t layers) : bytes_("SISMLP1\n") { put(layers); }
  template <typename T>
  ModelFile& put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  ModelFile& layer(std::uint32_t inputs, std::uint32_t outputs, float scale, const std::vector<int>& weights,
                   const std::vector<float>& biases) {
    put(inputs).put(outputs).put(scale);
    for (const int weight : weights) {
      put(static_cast<std::int8_t>(weight));
    }
    for (const float bias : biases) {
      put(bias);
    }
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

ModelFile small() {
  ModelFile file(2);
  file.layer(2, 3, 0.5F, {1, -1, 2, 3, 4, -128}, {0, 1, -1}).layer(3, 2, 1, {0, 1, 0, 1, 1, 1}, {0, 0.5F});
  return file;
}

std::string refusal(const std::string& file) {
  const auto model = read_mlp(std::as_bytes(std::span(file)));
  EXPECT_FALSE(model);
  return model ? std::string() : std::string(model.error().name) + ": " + std::string(model.error().detail.view());
}

TEST(MlpModel, that_is_whole_is_read) {
  const ModelFile file = small();
  const auto model = read_mlp(std::as_bytes(std::span(file.bytes())));
  ASSERT_TRUE(model);
  EXPECT_EQ(model->inputs(), 2U);
  EXPECT_EQ(model->classes(), 2U);
  EXPECT_EQ(std::to_integer<std::uint8_t>(model->layers[0].weights[5]), 0x80);
}

TEST(MlpModel, that_ends_early_or_late_is_refused) {
  const std::string file = small().bytes();
  for (std::size_t bytes = 0; bytes < file.size(); ++bytes) {
    EXPECT_THAT(refusal(file.substr(0, bytes)), HasSubstr("graph-bad-model: ")) << bytes;
  }
  EXPECT_EQ(refusal(file + "x"), "graph-bad-model: the last layer ends at byte 68, the file at 69");
}

TEST(MlpModel, says_what_it_expected_where) {
  EXPECT_EQ(refusal("SISMLP2\n"), "graph-bad-model: expected SISMLP1 and a line end at byte 0");
  EXPECT_EQ(refusal(ModelFile(0).bytes()), "graph-bad-model: 0 layers: expected 1 to 4");
  EXPECT_EQ(refusal(ModelFile(5).bytes()), "graph-bad-model: 5 layers: expected 1 to 4");
  EXPECT_EQ(refusal(ModelFile(1).put(65'537U).put(1U).bytes()),
            "graph-bad-model: a layer of 65537 inputs and 1 outputs at byte 12: expected 1 to 65536 and 1 to 1024");
  EXPECT_EQ(refusal(ModelFile(1).put(1U).put(1025U).bytes()),
            "graph-bad-model: a layer of 1 inputs and 1025 outputs at byte 12: expected 1 to 65536 and 1 to 1024");
  EXPECT_EQ(refusal(ModelFile(2).layer(1, 3, 1, {1, 2, 3}, {0, 0, 0}).put(2U).put(1U).bytes()),
            "graph-bad-model: a layer of 2 inputs and 1 outputs at byte 39: expected 3 to 3 and 1 to 1024");
  const std::string unfinished =
      "graph-bad-model: the layer at byte 12 does not end in the file, or has a number that is not finite";
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(refusal(ModelFile(1).layer(1, 1, kNaN, {1}, {0}).bytes()), unfinished);
  EXPECT_EQ(refusal(ModelFile(1).layer(1, 1, 1, {1}, {kNaN}).bytes()), unfinished);
}

class Classifier : public ::testing::Test, public FileSource {
 protected:
  Classifier() { set_operator_services({.files = this}); }
  ~Classifier() override { set_operator_services({}); }
  [[nodiscard]] std::optional<std::span<const std::byte>> find(std::string_view name) const override {
    return name == "model" ? std::optional(std::as_bytes(std::span(file))) : std::nullopt;
  }
  std::string file = small().bytes();
};

TEST_F(Classifier, computes_layers_and_rectifies_all_but_the_last) {
  KindFixture with("mlp-classifier", {{"file", "model"}}, 1, 2);
  ASSERT_EQ(with.refusal, "");
  with.put(0, with.tensor<float>(DType::F32, {1, 2}, {1, 2}));
  ASSERT_EQ(with.fire(), "ok");
  // Layer 1: 0.5 * (1 - 2) = -0.5 -> 0; 0.5 * (2 + 6) + 1 = 5; 0.5 * (4 - 256) - 1 = -127 -> 0.
  // Layer 2: 5; 0 + 5 + 0 + 0.5. It reads what layer 1 wrote when it has written its first output.
  EXPECT_EQ(KindFixture::values<std::uint32_t>(with.take(0)), (std::vector<std::uint32_t>{1}));
  const TensorRef scores = with.take(1);
  EXPECT_EQ(KindFixture::dims(scores), (std::vector<std::uint32_t>{2}));
  EXPECT_EQ(KindFixture::values<float>(scores), (std::vector<float>{5, 5.5F}));
}

TEST_F(Classifier, takes_bytes_as_0_to_1) {
  file = ModelFile(1).layer(1, 2, 1, {1, 2}, {0, -1}).bytes();
  KindFixture with("mlp-classifier", {{"file", "model"}}, 1, 2);
  with.put(0, with.bytes({1}, {51}));
  ASSERT_EQ(with.fire(), "ok");
  EXPECT_EQ(KindFixture::values<float>(with.take(1)), (std::vector<float>{0.2F, 2 * 0.2F - 1}));
}

TEST_F(Classifier, says_the_first_of_equal_classes) {
  file = ModelFile(1).layer(1, 3, 1, {0, 1, 1}, {-1, 0, 0}).bytes();
  KindFixture with("mlp-classifier", {{"file", "model"}}, 1, 1);
  with.put(0, with.bytes({1}, {255}));
  ASSERT_EQ(with.fire(), "ok");
  EXPECT_EQ(KindFixture::values<std::uint32_t>(with.take(0)), (std::vector<std::uint32_t>{1}));
}

TEST_F(Classifier, bounds_scores_that_are_too_large) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  file = ModelFile(1).layer(1, 2, kLargest, {127, -128}, {kLargest, -kLargest}).bytes();
  KindFixture with("mlp-classifier", {{"file", "model"}}, 1, 2);
  with.put(0, with.tensor<float>(DType::F32, {1}, {kLargest}));
  ASSERT_EQ(with.fire(), "ok");
  EXPECT_EQ(KindFixture::values<float>(with.take(1)), (std::vector<float>{kLargest, -kLargest}));
}

TEST_F(Classifier, refuses_another_number_of_elements) {
  KindFixture with("mlp-classifier", {{"file", "model"}}, 1, 1);
  with.put(0, with.bytes({3}, {1, 2, 3}));
  EXPECT_EQ(with.fire(), "graph-bad-input: input 0: expected 2 elements of u8 or f32, given u8 [3]");
  with.put(0, with.tensor<std::int8_t>(DType::I8, {2}, {1, 2}));
  EXPECT_EQ(with.fire(), "graph-bad-input: input 0: expected 2 elements of u8 or f32, given i8 [2]");
}

TEST_F(Classifier, refuses_a_model_that_is_none) {
  EXPECT_EQ(KindFixture("mlp-classifier", {{"file", "other"}}, 1, 1).refusal,
            "graph-no-file: operator 'it' (mlp-classifier): there is no file 'other' in the boot archive");
  EXPECT_EQ(KindFixture("mlp-classifier", {{"file", "model"}, {"model", "patterns"}}, 1, 1).refusal,
            "graph-bad-parameter: operator 'it' (mlp-classifier): parameters 'file' and 'model' exclude each other");
  file = "SISMLP1";
  EXPECT_EQ(KindFixture("mlp-classifier", {{"file", "model"}}, 1, 1).refusal,
            "graph-bad-model: operator 'it' (mlp-classifier): file 'model': expected SISMLP1 and a line end at byte 0");
}

/// Of `count` images drawn 16 by 16 with as much noise, how many the built-in model knows.
int known(std::uint64_t seed, std::uint32_t noise, int count) {
  KindFixture with("mlp-classifier", {}, 1, 1);
  KindFixture normalise("normalise", {}, 1, 1);
  int right = 0;
  for (int number = 0; number < count; ++number) {
    std::vector<std::uint8_t> image(256);
    draw({.pattern = Pattern::Cycle, .width = 16, .height = 16, .seed = seed, .noise = noise},
         static_cast<std::uint64_t>(number), std::as_writable_bytes(std::span(image)));
    normalise.put(0, normalise.bytes({16, 16}, image));
    EXPECT_EQ(normalise.fire(), "ok");
    with.put(0, with.tensor(DType::F32, {16, 16}, KindFixture::values<float>(normalise.take())));
    EXPECT_EQ(with.fire(), "ok");
    const auto label = KindFixture::values<std::uint32_t>(with.take(0)).at(0);
    right += label == label_of(Pattern::Cycle, static_cast<std::uint64_t>(number)) ? 1 : 0;
  }
  return right;
}

TEST(BuiltInModel, knows_patterns_that_it_was_not_trained_with) {
  constexpr int kImages = 1000;
  EXPECT_EQ(known(20'000, 0, kImages), kImages);
  EXPECT_GE(known(20'001, 32, kImages), kImages * 998 / 1000);
}

}  // namespace
}  // namespace guest::graph
