// A file that tools/models/gguf.py wrote (tests/models/test_gguf.py holds it to that).
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "guest/gguf/testing/builder.hpp"
#include "read.hpp"

namespace guest::gguf {
namespace {

using testing::describe;
using testing::Memory;

template <typename T>
T number_at(const Tensor& tensor, std::size_t at) {
  T number{};
  std::memcpy(&number, tensor.data.data() + at, sizeof(T));
  return number;
}

/// Of a normal number; what the sample has.
float from_f16(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F;
  const float magnitude = exponent == 0 ? 0 : std::ldexp(static_cast<float>(1024 + (bits & 0x3FF)), exponent - 25);
  return bits >> 15 != 0 ? -magnitude : magnitude;
}

/// What the script's ramp() has.
float ramp(std::size_t at, std::size_t count) { return (static_cast<float>(at) - static_cast<float>(count / 2)) / 8; }

class Sample : public ::testing::Test {
 protected:
  static std::string read() {
    std::ifstream stream(SIS_GGUF_SAMPLE, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  Memory memory_{read()};
  std::expected<File, kernel::NamedError> file_ = File::open(memory_.span());
  void SetUp() override { ASSERT_TRUE(file_) << describe(file_.error()); }
};

TEST_F(Sample, has_the_values_that_were_written) {
  EXPECT_EQ(file_->alignment(), 64U);
  EXPECT_EQ(file_->find("u8")->as_unsigned(), 200U);
  EXPECT_EQ(file_->find("i8")->as_signed(), -5);
  EXPECT_EQ(file_->find("u16")->as_unsigned(), 60'000U);
  EXPECT_EQ(file_->find("i16")->as_signed(), -300);
  EXPECT_EQ(file_->find("u32")->as_unsigned(), 4'000'000'000U);
  EXPECT_EQ(file_->find("i32")->as_signed(), -70'000);
  EXPECT_EQ(file_->find("f32")->as_f32_bits(), std::bit_cast<std::uint32_t>(1.5F));
  EXPECT_EQ(file_->find("bool")->as_bool(), true);
  EXPECT_EQ(file_->find("u64")->as_unsigned(), UINT64_MAX);
  EXPECT_EQ(file_->find("i64")->as_signed(), INT64_MIN);
  EXPECT_EQ(file_->find("f64")->as_f64_bits(), std::bit_cast<std::uint64_t>(-2.25));
  EXPECT_EQ(file_->text("string").value(),
            "Gr\xC3\xBC\xC3\x9F"
            "e");
  EXPECT_EQ(file_->text("bytes").value(), "a\xFF");
  Strings strings = file_->array("strings", ValueType::String)->strings();
  EXPECT_EQ(strings.next(), "a");
  EXPECT_EQ(strings.next(), "");
  EXPECT_EQ(strings.next(), "\xFF");
  EXPECT_EQ(file_->array("floats", ValueType::F32)->bits(1), std::bit_cast<std::uint32_t>(-1.0F));
}

TEST_F(Sample, has_the_tensors_that_were_written) {
  const Tensor& f32 = *file_->find_tensor("f32");
  EXPECT_EQ(f32.rows(), 2U);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(number_at<float>(f32, 4 * i), ramp(i, 6));
  }
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(from_f16(number_at<std::uint16_t>(*file_->find_tensor("f16"), 2 * i)), ramp(i, 5));
  }
  EXPECT_EQ(number_at<std::int8_t>(*file_->find_tensor("i8"), 0), -128);
  EXPECT_EQ(number_at<std::int16_t>(*file_->find_tensor("i16"), 2), 32767);
  EXPECT_EQ(number_at<std::int32_t>(*file_->find_tensor("i32"), 0), INT32_MIN);
}

// Blocks as docs/npu.md has them. A step is 1/127 and 1/8 of the largest number, which is 8 and 4.
TEST_F(Sample, has_blocks_as_the_npu_reads_them) {
  const Tensor& q8 = *file_->find_tensor("q8_0");
  EXPECT_EQ(q8.rows(), 2U);
  for (std::size_t i = 0; i < 128; ++i) {
    const std::size_t block = i / 32 * 34;
    const float value = from_f16(number_at<std::uint16_t>(q8, block)) * number_at<std::int8_t>(q8, block + 2 + i % 32);
    EXPECT_NEAR(value, ramp(i, 128), 0.56 * 8 / 127) << i;
  }
  const Tensor& q4 = *file_->find_tensor("q4_0");
  for (std::size_t i = 0; i < 64; ++i) {
    const std::size_t block = i / 32 * 18;
    const int pair = number_at<std::uint8_t>(q4, block + 2 + i % 16);
    const int nibble = i % 32 < 16 ? pair & 0xF : pair >> 4;
    EXPECT_NEAR(from_f16(number_at<std::uint16_t>(q4, block)) * static_cast<float>(nibble - 8), ramp(i, 64),
                0.51 * 4 / 8)
        << i;
  }
}

}  // namespace
}  // namespace guest::gguf
