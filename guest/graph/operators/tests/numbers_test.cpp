// normalise, threshold and statistics, against reference computations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kind_fixture.hpp"

namespace guest::graph {
namespace {

using ::testing::HasSubstr;

constexpr float kLargest = std::numeric_limits<float>::max();

TensorRef run_on(KindFixture& with, TensorRef input) {
  with.put(0, std::move(input));
  EXPECT_EQ(with.fire(), "ok");
  return with.take();
}

/// Some values of a type, its extremes among them.
template <typename T>
std::vector<T> some() {
  std::vector<T> values = {std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), T{0}, T{1}};
  for (int i = 0; i < 33; ++i) {
    values.push_back(static_cast<T>(i * 37 % 101));
  }
  return values;
}
template <>
std::vector<float> some() {
  std::vector<float> values = {-1.5F, 0.0F, -0.0F, 1e-42F, 3.25F, 1e6F};
  for (int i = 0; i < 33; ++i) {
    values.push_back(static_cast<float>(i * 37 % 101) / 7.0F);
  }
  return values;
}

struct Moments {
  long double min, max, mean, variance;
};
template <typename T>
Moments moments(const std::vector<T>& values) {
  const std::vector<long double> wide(values.begin(), values.end());
  const auto [min, max] = std::ranges::minmax(wide);
  const auto count = static_cast<long double>(wide.size());
  const long double mean = std::accumulate(wide.begin(), wide.end(), 0.0L) / count;
  long double sum = 0;
  for (const long double value : wide) {
    sum += (value - mean) * (value - mean);
  }
  return {min, max, mean, sum / count};
}

/// Within two units in the last place of an f32: one for its rounding, one for what f64 sums lose.
void expect_near(float value, long double expected) {
  const long double unit = std::max(std::abs(expected) * 0x1p-23L, 0x1p-149L);
  EXPECT_LE(std::abs(static_cast<long double>(value) - expected), 2 * unit)
      << value << " " << static_cast<double>(expected);
}

template <typename T>
void check_normalise(DType dtype) {
  const std::vector<T> values = some<T>();
  const Moments of = moments(values);
  const auto count = static_cast<std::uint32_t>(values.size());
  KindFixture range("normalise", {}, 1, 1);
  KindFixture mean_std("normalise", {{"method", "mean-std"}}, 1, 1);
  const auto in_range = KindFixture::values<float>(run_on(range, range.tensor(dtype, {count}, values)));
  const auto standard = KindFixture::values<float>(run_on(mean_std, mean_std.tensor(dtype, {count}, values)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<long double>(values[i]);
    expect_near(in_range[i], (value - of.min) / (of.max - of.min));
    // The mean's own error, in f64, counts where the value is near to it.
    EXPECT_NEAR(static_cast<double>(standard[i]), static_cast<double>((value - of.mean) / std::sqrt(of.variance)),
                2e-6);
  }
}

TEST(Normalise, is_what_the_definition_says_for_every_type) {
  check_normalise<std::uint8_t>(DType::U8);
  check_normalise<std::int8_t>(DType::I8);
  check_normalise<std::uint16_t>(DType::U16);
  check_normalise<std::int16_t>(DType::I16);
  check_normalise<std::uint32_t>(DType::U32);
  check_normalise<std::int32_t>(DType::I32);
  check_normalise<float>(DType::F32);
}

TEST(Normalise, of_equal_elements_is_0) {
  for (const std::string method : {"range", "mean-std"}) {
    KindFixture with("normalise", {{"method", method}}, 1, 1);
    EXPECT_EQ(KindFixture::values<float>(run_on(with, with.tensor<float>(DType::F32, {3}, {0.1F, 0.1F, 0.1F}))),
              (std::vector<float>{0, 0, 0}));
    EXPECT_EQ(KindFixture::values<float>(run_on(with, with.bytes({}, {7}))), (std::vector<float>{0}));
  }
}

TEST(Normalise, of_the_largest_numbers_does_not_overflow) {
  KindFixture range("normalise", {}, 1, 1);
  EXPECT_EQ(KindFixture::values<float>(run_on(range, range.tensor<float>(DType::F32, {3}, {-kLargest, 0, kLargest}))),
            (std::vector<float>{0, 0.5F, 1}));
  KindFixture mean_std("normalise", {{"method", "mean-std"}}, 1, 1);
  EXPECT_EQ(
      KindFixture::values<float>(run_on(mean_std, mean_std.tensor<float>(DType::F32, {2}, {-kLargest, kLargest}))),
      (std::vector<float>{-1, 1}));
}

TEST(Normalise, writes_in_place_where_nobody_else_looks) {
  KindFixture with("normalise", {}, 1, 1);
  TensorRef alone = with.tensor<float>(DType::F32, {2}, {1, 3}, 9);
  const TensorHandle handle = alone.handle();
  const TensorRef made = run_on(with, std::move(alone));
  EXPECT_EQ(made.handle(), handle);
  EXPECT_EQ(made.info().origin, KindFixture::kId);
  EXPECT_EQ(made.info().sequence, 0U);
  EXPECT_EQ(made.info().timestamp_ns, 1U);  // as old as what came in
  TensorRef shared = with.tensor<float>(DType::F32, {2}, {1, 3});
  const TensorRef other = shared.share();
  const TensorRef second = run_on(with, std::move(shared));
  EXPECT_NE(second.handle(), other.handle());
  EXPECT_EQ(KindFixture::values<float>(other), (std::vector<float>{1, 3}));
  EXPECT_EQ(with.graph->arena().statistics().bytes_copied, 0U);
}

template <typename T>
void check_threshold(DType dtype, std::int64_t level, std::int64_t divisor) {
  const std::vector<T> values = some<T>();
  for (const bool is_shared : {false, true}) {
    KindFixture with("threshold", {{"level", std::to_string(level)}, {"divisor", std::to_string(divisor)}}, 1, 1);
    TensorRef input = with.tensor(dtype, {1, static_cast<std::uint32_t>(values.size())}, values);
    const TensorRef other = is_shared ? input.share() : TensorRef();
    const TensorRef made = run_on(with, std::move(input));
    EXPECT_EQ(made.info().dtype, DType::U8);
    EXPECT_EQ(KindFixture::dims(made), (std::vector<std::uint32_t>{1, static_cast<std::uint32_t>(values.size())}));
    const auto bytes = KindFixture::values<std::uint8_t>(made);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool reaches =
          static_cast<long double>(values[i]) >= static_cast<long double>(level) / static_cast<long double>(divisor);
      EXPECT_EQ(bytes[i], reaches ? 255 : 0) << i;
    }
    EXPECT_EQ(with.graph->arena().statistics().allocated, is_shared ? 2U : 1U);
    EXPECT_EQ(made.info().origin, KindFixture::kId);
    EXPECT_EQ(made.info().timestamp_ns, 1U);
    if (is_shared) {
      EXPECT_EQ(KindFixture::values<T>(other), values);
    }
  }
}

TEST(Threshold, is_what_the_definition_says_for_every_type) {
  check_threshold<std::uint8_t>(DType::U8, 100, 1);
  check_threshold<std::int8_t>(DType::I8, -128, 1);
  check_threshold<std::uint16_t>(DType::U16, 65'535, 1);
  check_threshold<std::int16_t>(DType::I16, 1, 1);
  check_threshold<std::uint32_t>(DType::U32, std::int64_t{4'294'967'295} * 256, 256);
  check_threshold<std::int32_t>(DType::I32, -2'147'483'648, 1);
  check_threshold<float>(DType::F32, 3250, 1000);  // exactly one of the values
}

TEST(Statistics, are_what_the_definitions_say) {
  for (const std::uint32_t bins : {0U, 1U, 7U, 256U}) {
    KindFixture with("statistics", {{"bins", std::to_string(bins)}}, 1, 1);
    const std::vector<std::int16_t> values = some<std::int16_t>();
    const Moments of = moments(values);
    const TensorRef made = run_on(with, with.tensor(DType::I16, {static_cast<std::uint32_t>(values.size())}, values));
    const auto found = KindFixture::values<float>(made);
    ASSERT_EQ(found.size(), 5 + bins);
    EXPECT_EQ(found[0], static_cast<float>(values.size()));
    EXPECT_EQ(found[1], -32'768);
    EXPECT_EQ(found[2], 32'767);
    expect_near(found[3], of.mean);
    expect_near(found[4], of.variance);
    std::vector<float> histogram(bins, 0);
    for (const std::int16_t value : values) {
      const long double part = (value - of.min) / (of.max - of.min) * bins;
      if (bins > 0) {
        ++histogram[std::min(static_cast<std::uint32_t>(part), bins - 1)];
      }
    }
    EXPECT_EQ(std::vector<float>(found.begin() + 5, found.end()), histogram);
  }
}

TEST(Statistics, of_one_value_and_of_the_largest) {
  KindFixture with("statistics", {{"bins", "2"}}, 1, 1);
  EXPECT_EQ(KindFixture::values<float>(run_on(with, with.bytes({2}, {9, 9}))),
            (std::vector<float>{2, 9, 9, 9, 0, 2, 0}));
  // The variance would be 1.2e77.
  EXPECT_EQ(KindFixture::values<float>(run_on(with, with.tensor<float>(DType::F32, {2}, {-kLargest, kLargest}))),
            (std::vector<float>{2, -kLargest, kLargest, 0, kLargest, 1, 1}));
}

TEST(NumberOperators, refuse_other_types_no_elements_and_what_is_no_number) {
  for (const auto& [kind, parameters] :
       {std::pair<std::string, Values>("normalise", {}), std::pair<std::string, Values>("threshold", {{"level", "1"}}),
        std::pair<std::string, Values>("statistics", {})}) {
    KindFixture with(kind, parameters, 1, 1);
    const auto refusal = [&](TensorRef tensor) {
      with.put(0, std::move(tensor));
      return with.fire();
    };
    const std::string expected =
        "graph-bad-input: input 0: expected elements of u8, i8, u16, i16, u32, i32 or f32, given ";
    EXPECT_EQ(refusal(with.bytes({0}, {})), expected + "u8 [0]");
    EXPECT_EQ(refusal(with.tensor<double>(DType::F64, {1}, {1})), expected + "f64 [1]");
    EXPECT_EQ(refusal(with.tensor<std::uint64_t>(DType::U64, {}, {1})), expected + "u64 []");
    EXPECT_EQ(refusal(with.tensor<std::uint16_t>(DType::F16, {1}, {1})), expected + "f16 [1]");
    EXPECT_THAT(refusal(with.tensor<float>(DType::F32, {1}, {std::numeric_limits<float>::quiet_NaN()})),
                HasSubstr("graph-bad-value: input 0: element 0 of f32 [1] is not a finite number"));
  }
}

}  // namespace
}  // namespace guest::graph
