// What a network refuses when a layer is added, and what it says then.
#include "ml_fixture.hpp"

namespace guest::ml {
namespace {

class NetworkRules : public Ml {
 protected:
  Value vector_of(Type type, std::uint32_t elements) {
    return *made->input({.type = type, .shape = {.channels = elements}});
  }
  Value image(Type type = Type::I8) { return *made->input({.type = type, .shape = {4, 5, 2}}); }
  std::unique_ptr<Network> made = network();
};

TEST_F(NetworkRules, that_shapes_fit_are_told_with_both_sides) {
  const Value in = vector_of(Type::F32, 3);
  EXPECT_EQ(error_of(made->dense(in, {.weight = floats({1, 2, 3, 4})}, 2, {})),
            "ml-bad-weights: layer 0 (dense): f32 [3] wants weights f32 [2, 3], which are 24 bytes: given 16");
  EXPECT_EQ(error_of(made->dense(in, {.weight = floats({1, 2, 3}), .bias = floats({1, 2})}, 1, {})),
            "ml-bad-weights: layer 0 (dense): bias: expected 1 f32, given 8 bytes of f32");
  EXPECT_EQ(error_of(made->dense(in, {.weight = bytes({1, 2, 3})}, 1, {})),
            "ml-bad-type: layer 0 (dense): weights of i8 for f32 [3]");
  EXPECT_EQ(error_of(made->dense(in, {.weight = floats({1, 2, 3}), .shifts = words({0})}, 1, {})),
            "ml-bad-weights: layer 0 (dense): multipliers and shifts are of i8 weights, not of f32");
  EXPECT_EQ(error_of(made->dense(in, {.weight = floats({})}, 0, {})),
            "ml-bad-weights: layer 0 (dense): f32 [3] wants weights f32 [0, 3], which are 0 bytes: given 0");
  EXPECT_EQ(error_of(made->dense(vector_of(Type::U8, 3), {.weight = bytes({1, 2, 3})}, 1, {})),
            "ml-bad-type: layer 0 (dense): expected f32 or i8, given u8 [3]");
  EXPECT_EQ(made->layers().size(), 0U);
}

TEST_F(NetworkRules, of_i8_one_multiplier_is_for_all_or_for_each) {
  const Value in = vector_of(Type::I8, 2);
  Weights weights = halved({1, 2, 3, 4, 5, 6});
  EXPECT_EQ(error_of(made->dense(in, weights, 3, {})), "");
  weights.shifts = words({0, 0});
  EXPECT_EQ(error_of(made->dense(in, weights, 3, {})),
            "ml-bad-weights: layer 1 (dense): shifts: expected 1 i32, given 8 bytes of i32");
  weights.multipliers = words({1, 2});
  EXPECT_EQ(error_of(made->dense(in, weights, 3, {})),
            "ml-bad-weights: layer 1 (dense): multipliers: expected 3 i32, given 8 bytes of i32");
  weights.bias = floats({1, 2, 3});
  EXPECT_EQ(error_of(made->dense(in, weights, 3, {})),
            "ml-bad-weights: layer 1 (dense): bias: expected 3 i32, given 12 bytes of f32");
}

TEST_F(NetworkRules, of_windows) {
  const Value in = image();
  const auto refused = [&](const Window& window) { return error_of(made->max_pool(in, window)); };
  EXPECT_EQ(refused({.kernel_height = 5}),
            "ml-bad-shape: layer 0 (max-pool): a window of 5 by 1, padded by 0, 0, 0, 0, does not fit in i8 [4, 5, 2]");
  EXPECT_EQ(refused({.kernel_height = 5, .pad_top = 1}), "");
  for (const Window& window :
       {Window{.kernel_width = 2, .pad_left = 2}, Window{.kernel_width = 2, .pad_right = 2}, Window{.kernel_height = 0},
        Window{.step_width = 0}, Window{.dilation = 2}, Window{.kernel_height = 0x8000'0000},
        Window{.kernel_height = 3, .pad_top = 0xffff'ffff}}) {
    EXPECT_THAT(refused(window), ::testing::HasSubstr("does not fit in i8 [4, 5, 2]"));
  }
}

TEST_F(NetworkRules, of_convolutions) {
  const Value in = image();
  EXPECT_EQ(error_of(made->conv2d(in, halved({1, 2}), 1, {.kernel_width = 2}, {})),
            "ml-bad-weights: layer 0 (conv2d): i8 [4, 5, 2] wants weights i8 [1, 4], which are 4 bytes: given 2");
  EXPECT_EQ(error_of(made->depthwise(in, halved({1, 2, 3}), 3, {}, {})),
            "ml-bad-shape: layer 0 (depthwise): 3 outputs of i8 [4, 5, 2]: expected a multiple of its channels");
  const auto out = made->conv2d(in, halved(std::vector<std::int8_t>(3 * 2 * 2 * 3)), 3,
                                {.kernel_height = 2, .kernel_width = 3, .step_height = 2, .pad_left = 1}, {});
  ASSERT_EQ(error_of(out), "");
  EXPECT_EQ(made->type_of(*out).shape, (Shape{2, 4, 3}));
}

TEST_F(NetworkRules, of_results_that_are_too_large) {
  const Value in = *made->input({.type = Type::I8, .shape = {4096, 4096, 1}});
  EXPECT_EQ(
      error_of(made->conv2d(in, halved(std::vector<std::int8_t>(128)), 128, {}, {})),
      "ml-bad-shape: layer 0 (conv2d): makes i8 [4096, 4096, 128]: expected sides of 1 to 4096, 1 to 1048576 channels, "
      "2147483647 elements together");
}

TEST_F(NetworkRules, of_types) {
  const Value in = vector_of(Type::I32, 3);
  EXPECT_EQ(error_of(made->softmax(in)), "ml-bad-type: layer 0 (softmax): expected f32, given i32 [3]");
  EXPECT_EQ(error_of(made->argmax(in)), "ml-bad-type: layer 0 (argmax): expected f32 or i8, given i32 [3]");
  EXPECT_EQ(error_of(made->relu(in)), "ml-bad-type: layer 0 (relu): expected f32 or i8, given i32 [3]");
  EXPECT_EQ(error_of(made->average_pool(in, {})),
            "ml-bad-type: layer 0 (average-pool): expected f32 or i8, given i32 [3]");
  EXPECT_EQ(error_of(made->convert(in, Type::I8)), "ml-bad-type: layer 0 (convert): i32 [3] does not become i8");
}

TEST_F(NetworkRules, of_inputs_and_batches) {
  EXPECT_EQ(error_of(Network::make(0)), "ml-bad-shape: a batch of 0 examples: expected 1 to 1024");
  EXPECT_EQ(error_of(Network::make(1025)), "ml-bad-shape: a batch of 1025 examples: expected 1 to 1024");
  EXPECT_EQ(
      error_of(made->input({.shape = {4097, 1, 1}})),
      "ml-bad-shape: an input of f32 [4097, 1, 1]: expected sides of 1 to 4096, 1 to 1048576 channels, 2147483647 "
      "elements together");
  EXPECT_THAT(error_of(made->input({.shape = {4096, 4096, 1024}})),
              ::testing::HasSubstr("2147483647 elements together"));
  EXPECT_THAT(error_of(made->input({.shape = {1, 1, 0}})), ::testing::HasSubstr("f32 [0]"));
  EXPECT_THAT(error_of(made->input({.type = Type::Q8_0, .shape = {1, 1, 31}})), ::testing::HasSubstr("q8_0 [31]"));
  EXPECT_EQ(error_of(made->input({.type = Type::I8, .quantisation = {.zero = -129}})),
            "ml-bad-type: an input of i8 whose zero point is -129: expected -128 to 127");
  EXPECT_EQ(error_of(made->input({.type = Type::U8, .quantisation = {.zero = 256}})),
            "ml-bad-type: an input of u8 whose zero point is 256: expected 0 to 255");
}

TEST_F(NetworkRules, that_there_is_an_end_of_layers) {
  Value top = vector_of(Type::F32, 3);
  for (std::size_t i = 0; i < Network::kMaxLayers; ++i) {
    top = *made->relu(top);
  }
  EXPECT_EQ(error_of(made->relu(top)), "ml-full: a network has at most 48 layers and 52 tensors");
  EXPECT_EQ(made->layers().size(), Network::kMaxLayers);
}

}  // namespace
}  // namespace guest::ml
