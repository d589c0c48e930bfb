// resize and convolve, against reference computations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "image_reference.hpp"
#include "kind_fixture.hpp"

namespace guest::graph {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Size {
  int height;
  int width;
  int channels;
};
constexpr Size kSizes[] = {{1, 1, 1}, {1, 7, 1}, {7, 1, 1}, {2, 2, 3}, {5, 9, 1}, {17, 13, 3}, {32, 31, 1}, {3, 3, 2}};

std::uint32_t number(int value) { return static_cast<std::uint32_t>(value); }

template <typename T>
TensorRef tensor_of(KindFixture& with, DType dtype, const reference::Image<T>& image) {
  if (image.channels == 1) {
    return with.tensor(dtype, {number(image.height), number(image.width)}, image.values);
  }
  return with.tensor(dtype, {number(image.height), number(image.width), number(image.channels)}, image.values);
}

/// The output of an operator with one input and one output.
TensorRef run(KindFixture& with, TensorRef input) {
  with.put(0, std::move(input));
  EXPECT_EQ(with.fire(), "ok");
  return with.take();
}

TEST(Convolve, is_what_the_definition_says_for_bytes) {
  for (const std::string kernel : {"box", "gauss", "sharpen", "sobel-x", "sobel-y", "laplace"}) {
    for (const std::string edge : {"replicate", "zero"}) {
      for (const Size& size : kSizes) {
        SCOPED_TRACE(kernel + " " + edge + " " + std::to_string(size.height) + "x" + std::to_string(size.width));
        const auto image = reference::some_bytes(size.height, size.width, size.channels);
        KindFixture with("convolve", {{"kernel", kernel}, {"edge", edge}}, 1, 1);
        const TensorRef made = run(with, tensor_of(with, DType::U8, image));
        const bool is_signed = kernel == "sobel-x" || kernel == "sobel-y" || kernel == "laplace";
        ASSERT_EQ(made.info().dtype, is_signed ? DType::I16 : DType::U8);
        const auto expected = reference::convolve(image, kernel, edge == "replicate");
        const auto bytes = KindFixture::values<std::uint8_t>(made);
        const auto numbers = KindFixture::values<std::int16_t>(made);
        for (std::size_t i = 0; i < expected.size(); ++i) {
          if (is_signed) {
            ASSERT_EQ(numbers[i], std::lround(expected[i])) << i;
          } else {
            // No sum of ninths or sixteenths is so near to a half that f64 errs, but for halves themselves.
            ASSERT_EQ(bytes[i], std::floor(std::clamp(expected[i], 0.0, 255.0) + 0.5)) << i;
          }
        }
      }
    }
  }
}

TEST(Convolve, is_what_the_definition_says_for_f32) {
  for (const std::string kernel : {"box", "gauss", "sharpen", "sobel-x", "sobel-y", "laplace"}) {
    for (const Size& size : kSizes) {
      const auto image = reference::as_floats(reference::some_bytes(size.height, size.width, size.channels));
      KindFixture with("convolve", {{"kernel", kernel}, {"edge", "zero"}}, 1, 1);
      const TensorRef made = run(with, tensor_of(with, DType::F32, image));
      ASSERT_EQ(made.info().dtype, DType::F32);
      const auto expected = reference::convolve(image, kernel, false);
      const auto values = KindFixture::values<float>(made);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        // Nine products, each exact in f64, in the same order: only the rounding to f32 differs.
        ASSERT_EQ(values[i], static_cast<float>(expected[i])) << kernel << " " << i;
      }
    }
  }
}

TEST(Convolve, bounds_what_is_too_large_for_f32) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  KindFixture with("convolve", {{"kernel", "sharpen"}}, 1, 1);
  const TensorRef made = run(with, with.tensor<float>(DType::F32, {1, 2}, {kLargest, -kLargest}));
  EXPECT_EQ(KindFixture::values<float>(made), (std::vector<float>{kLargest, -kLargest}));
}

TEST(Resize, bilinear_is_within_its_rounding_of_the_real_result) {
  constexpr std::pair<int, int> kNew[] = {{1, 1}, {16, 16}, {5, 11}, {64, 3}, {31, 32}};
  for (const Size& size : kSizes) {
    const auto image = reference::some_bytes(size.height, size.width, size.channels);
    const auto floats = reference::as_floats(image);
    for (const auto& [height, width] : kNew) {
      const Values parameters = {{"height", std::to_string(height)}, {"width", std::to_string(width)}};
      KindFixture of_bytes("resize", parameters, 1, 1);
      const auto bytes = KindFixture::values<std::uint8_t>(run(of_bytes, tensor_of(of_bytes, DType::U8, image)));
      KindFixture of_floats("resize", parameters, 1, 1);
      const auto numbers = KindFixture::values<float>(run(of_floats, tensor_of(of_floats, DType::F32, floats)));
      const auto expected = reference::resize_bilinear(image, height, width);
      const auto expected_floats = reference::resize_bilinear(floats, height, width);
      ASSERT_EQ(bytes.size(), expected.size());
      // A place is off by less than 1/65536 in each direction, an element by at most 255 times that.
      constexpr double kPlace = 2.0 * 255 / 65536;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(bytes[i], expected[i], 0.5 + kPlace) << i;
        ASSERT_NEAR(numbers[i], expected_floats[i], kPlace) << i;
      }
    }
  }
}

TEST(Resize, to_the_same_size_changes_nothing) {
  const auto image = reference::some_bytes(9, 5, 3);
  for (const std::string method : {"nearest", "bilinear"}) {
    KindFixture with("resize", {{"height", "9"}, {"width", "5"}, {"method", method}}, 1, 1);
    EXPECT_EQ(KindFixture::values<std::uint8_t>(run(with, tensor_of(with, DType::U8, image))), image.values);
    const auto floats = reference::as_floats(image);
    EXPECT_EQ(KindFixture::values<float>(run(with, tensor_of(with, DType::F32, floats))), floats.values);
  }
}

TEST(Resize, rounds_halves_up) {
  // The middle of two elements, twice: (0 + 1) / 2 and (254 + 255) / 2.
  KindFixture with("resize", {{"height", "1"}, {"width", "1"}}, 1, 1);
  EXPECT_EQ(KindFixture::values<std::uint8_t>(run(with, with.bytes({1, 2}, {0, 1}))), (std::vector<std::uint8_t>{1}));
  EXPECT_EQ(KindFixture::values<std::uint8_t>(run(with, with.bytes({2, 1}, {254, 255}))),
            (std::vector<std::uint8_t>{255}));
}

TEST(Resize, nearest_is_what_the_definition_says) {
  for (const Size& size : kSizes) {
    const auto image = reference::some_bytes(size.height, size.width, size.channels);
    for (const auto& [height, width] : {std::pair(1, 1), std::pair(16, 16), std::pair(5, 11), std::pair(64, 3)}) {
      KindFixture with("resize",
                       {{"height", std::to_string(height)}, {"width", std::to_string(width)}, {"method", "nearest"}}, 1,
                       1);
      const TensorRef made = run(with, tensor_of(with, DType::U8, image));
      EXPECT_EQ(KindFixture::values<std::uint8_t>(made), reference::resize_nearest(image, height, width));
      EXPECT_EQ(KindFixture::dims(made)[0], number(height));
      EXPECT_EQ(KindFixture::dims(made)[1], number(width));
    }
  }
}

TEST(ImageOperators, refuse_what_is_no_image_and_say_what_they_were_given) {
  for (const auto& [kind, parameters] : {std::pair<std::string, Values>("resize", {{"height", "2"}, {"width", "2"}}),
                                         std::pair<std::string, Values>("convolve", {})}) {
    KindFixture with(kind, parameters, 1, 1);
    const auto refusal = [&](TensorRef tensor) {
      with.put(0, std::move(tensor));
      return with.fire();
    };
    EXPECT_THAT(refusal(with.bytes({4}, {1, 2, 3, 4})), StartsWith("graph-bad-input: input 0: expected u8 or f32 ["));
    EXPECT_THAT(refusal(with.bytes({4}, {1, 2, 3, 4})), HasSubstr(", given u8 [4]"));
    EXPECT_THAT(refusal(with.bytes({1, 1, 1, 1}, {1})), HasSubstr(", given u8 [1, 1, 1, 1]"));
    EXPECT_THAT(refusal(with.bytes({0, 3}, {})), HasSubstr(", given u8 [0, 3]"));
    EXPECT_THAT(refusal(with.bytes({2, 2, 0}, {})), HasSubstr(", given u8 [2, 2, 0]"));
    EXPECT_THAT(refusal(with.tensor<std::int16_t>(DType::I16, {1, 2}, {1, 2})), HasSubstr(", given i16 [1, 2]"));
    constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(refusal(with.tensor<float>(DType::F32, {1, 2}, {1, kNaN})),
              "graph-bad-value: input 0: element 1 of f32 [1, 2] is not a finite number");
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(refusal(with.tensor<float>(DType::F32, {1, 2}, {-kInfinity, 1})),
              "graph-bad-value: input 0: element 0 of f32 [1, 2] is not a finite number");
    EXPECT_FALSE(with.take());
  }
}

TEST(Resize, of_an_image_that_is_too_large_is_refused) {
  KindFixture with("resize", {{"height", "2"}, {"width", "2"}}, 1, 1);
  with.put(0, with.bytes({1, 4097}, std::vector<std::uint8_t>(4097)));
  EXPECT_THAT(with.fire(), HasSubstr("sides 1 to 4096, given u8 [1, 4097]"));
}

}  // namespace
}  // namespace guest::graph
