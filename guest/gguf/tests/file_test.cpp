// What is read of a file that is whole.
#include <gtest/gtest.h>

#include <bit>
#include <set>

#include "guest/gguf/testing/builder.hpp"
#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "read.hpp"

namespace guest::gguf {
namespace {

using testing::Builder;
using testing::describe;
using testing::Memory;

/// A key of each type.
Builder all_types() {
  Builder builder;
  builder.put("u8", std::uint8_t{200}).put("i8", std::int8_t{-5}).put("u16", std::uint16_t{60'000});
  builder.put("i16", std::int16_t{-300}).put("u32", std::uint32_t{4'000'000'000}).put("i32", std::int32_t{-70'000});
  builder.put("f32", 1.5F).put("yes", true).put("no", false).put("text", "a \xFF b").put("u64", UINT64_MAX);
  builder.put("i64", INT64_MIN).put("f64", -2.25).put("empty", "");
  return builder;
}

TEST(GgufValues, of_every_type_are_read) {
  const Memory memory(all_types().bytes());
  const auto file = File::open(memory.span());
  ASSERT_TRUE(file) << describe(file.error());
  ASSERT_EQ(file->keys().size(), 14U);
  EXPECT_EQ(file->keys()[4].name, "u32");
  EXPECT_EQ(file->find("u8")->as_unsigned(), 200U);
  EXPECT_EQ(file->find("i8")->as_signed(), -5);
  EXPECT_EQ(file->find("u16")->as_signed(), 60'000);
  EXPECT_EQ(file->find("i16")->as_signed(), -300);
  EXPECT_EQ(file->find("u32")->as_unsigned(), 4'000'000'000U);
  EXPECT_EQ(file->find("i32")->as_signed(), -70'000);
  EXPECT_EQ(file->find("f32")->as_f32_bits(), std::bit_cast<std::uint32_t>(1.5F));
  EXPECT_EQ(file->find("yes")->as_bool(), true);
  EXPECT_EQ(file->find("no")->as_bool(), false);
  EXPECT_EQ(file->find("text")->as_string(), "a \xFF b");
  EXPECT_EQ(file->find("u64")->as_unsigned(), UINT64_MAX);
  EXPECT_EQ(file->find("i64")->as_signed(), INT64_MIN);
  EXPECT_EQ(file->find("f64")->as_f64_bits(), std::bit_cast<std::uint64_t>(-2.25));
  EXPECT_EQ(file->find("empty")->as_string(), "");
  EXPECT_EQ(file->find("other"), nullptr);
}

TEST(GgufValues, are_nothing_else) {
  const Memory memory(all_types().bytes());
  const auto file = File::open(memory.span());
  ASSERT_TRUE(file);
  EXPECT_FALSE(file->find("i8")->as_unsigned());  // below 0
  EXPECT_FALSE(file->find("u64")->as_signed());   // 2^63 and above
  EXPECT_FALSE(file->find("f32")->as_unsigned());
  EXPECT_FALSE(file->find("yes")->as_signed());
  EXPECT_FALSE(file->find("u32")->as_f32_bits());
  EXPECT_FALSE(file->find("f32")->as_f64_bits());
  EXPECT_FALSE(file->find("u8")->as_bool());
  EXPECT_FALSE(file->find("u8")->as_string());
  EXPECT_FALSE(file->find("text")->as_array());
}

TEST(GgufValues, by_key_say_what_they_are_instead) {
  const Memory memory(all_types().put_array("numbers", std::vector<std::uint16_t>{1, 2}).bytes());
  const auto file = File::open(memory.span());
  ASSERT_TRUE(file);
  EXPECT_EQ(file->integer("u8").value(), 200U);
  EXPECT_EQ(file->integer_or("u8", 3).value(), 200U);
  EXPECT_EQ(file->integer_or("none", 3).value(), 3U);
  EXPECT_EQ(file->f32_bits_or("none", 7).value(), 7U);
  EXPECT_EQ(file->text_or("none", "x").value(), "x");
  EXPECT_TRUE(file->boolean_or("yes", false).value());
  EXPECT_EQ(describe(file->integer("none").error()),
            "gguf-missing-key: there is no 'none', expected an integer of 0 or more");
  EXPECT_EQ(describe(file->integer("i8").error()), "gguf-wrong-type: 'i8' is i8, expected an integer of 0 or more");
  EXPECT_EQ(describe(file->integer_or("u8", 1, {.least = 1, .most = 199}).error()),
            "gguf-out-of-range: 'u8' is 200, expected 1 to 199");
  EXPECT_EQ(describe(file->integer("u8", {.least = 201}).error()),
            "gguf-out-of-range: 'u8' is 200, expected 201 to 18446744073709551615");
  EXPECT_EQ(describe(file->boolean("u8").error()), "gguf-wrong-type: 'u8' is u8, expected bool");
  EXPECT_EQ(describe(file->text("numbers").error()), "gguf-wrong-type: 'numbers' is an array of u16, expected string");
  EXPECT_EQ(describe(file->f32_bits("f64").error()), "gguf-wrong-type: 'f64' is f64, expected f32");
  EXPECT_EQ(describe(file->array("text", ValueType::U16).error()),
            "gguf-wrong-type: 'text' is string, expected an array");
  EXPECT_EQ(describe(file->array("numbers", ValueType::String).error()),
            "gguf-wrong-type: 'numbers' is an array of u16, expected an array of string");
}

TEST(GgufArrays, are_read_in_place) {
  Builder builder;
  builder
      .put_array("texts", {"a", "",
                           "\xE2\x96\x81"
                           "b"})
      .put_array("signed", std::vector<std::int8_t>{-1, 2});
  builder.put_array("floats", std::vector<float>{0.5F, -1.0F}).put_array("none", std::vector<std::string>{});
  builder.raw_array("flags", static_cast<std::uint32_t>(ValueType::Bool), 2, std::string("\0\1", 2));
  const Memory memory(builder.bytes());
  const auto file = File::open(memory.span());
  ASSERT_TRUE(file) << describe(file.error());
  const auto texts = file->array("texts", ValueType::String);
  ASSERT_TRUE(texts);
  EXPECT_EQ(texts->size(), 3U);
  Strings strings = texts->strings();
  EXPECT_EQ(strings.next(), "a");
  EXPECT_EQ(strings.next(), "");
  EXPECT_EQ(strings.next(),
            "\xE2\x96\x81"
            "b");
  EXPECT_EQ(strings.next(), std::nullopt);
  EXPECT_EQ(static_cast<std::int64_t>(file->array("signed", ValueType::I8)->bits(0)), -1);
  EXPECT_EQ(file->array("floats", ValueType::F32)->bits(1), std::bit_cast<std::uint32_t>(-1.0F));
  EXPECT_EQ(file->array("flags", ValueType::Bool)->bits(1), 1U);
  EXPECT_EQ(file->array("none", ValueType::String)->strings().next(), std::nullopt);
}

TEST(GgufArrays, have_an_end) {
  const Memory memory(Builder().put_array("two", std::vector<std::uint8_t>{1, 2}).bytes());
  const auto file = File::open(memory.span());
  ASSERT_TRUE(file);
  EXPECT_DEATH(static_cast<void>(file->array("two", ValueType::U8)->bits(2)), "beyond the end of a GGUF array");
  EXPECT_DEATH(static_cast<void>(file->array("two", ValueType::U8)->strings()), "was read as strings");
}

TEST(GgufTensors, are_found_with_their_bytes) {
  Builder builder;
  builder.put_floats("b", {3, 2}, {1, 2, 3, 4, 5, 6}).put_tensor("a", {64, 1, 2}, Type::Q8_0, std::string(2 * 68, 'q'));
  builder.put_tensor("q4", {32}, Type::Q4_0, std::string(18, 'x')).put_tensor("h", {1}, Type::F16, "hh");
  builder.put_tensor("i8", {5}, Type::I8, "12345").put_tensor("i16", {2}, Type::I16, "1234");
  builder.put_tensor("i32", {1, 1, 1, 1}, Type::I32, "1234");
  const Memory memory(builder.bytes());
  const auto file = File::open(memory.span());
  ASSERT_TRUE(file) << describe(file.error());
  ASSERT_EQ(file->tensors().size(), 7U);
  const Tensor* const b = file->find_tensor("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b, &file->tensors()[0]);
  EXPECT_EQ(b->type, Type::F32);
  EXPECT_EQ(b->dimensions, 2U);
  EXPECT_EQ(b->row_elements(), 3U);
  EXPECT_EQ(b->rows(), 2U);
  EXPECT_EQ(b->row_bytes(), 12U);
  ASSERT_EQ(b->data.size(), 24U);
  EXPECT_EQ(b->data.data(), memory.span().data() + b->offset);
  EXPECT_EQ(b->offset % 32, 0U);
  float last = 0;
  std::memcpy(&last, b->data.data() + 20, sizeof(last));
  EXPECT_EQ(last, 6.0F);
  EXPECT_EQ(file->find_tensor("a")->row_bytes(), 68U);
  EXPECT_EQ(file->find_tensor("a")->data.size(), 136U);
  EXPECT_EQ(file->find_tensor("q4")->data.size(), 18U);
  EXPECT_EQ(file->find_tensor("i16")->data.size(), 4U);
  EXPECT_EQ(file->find_tensor("c"), nullptr);
}

TEST(GgufTensors, begin_at_the_alignment_that_the_file_states) {
  Builder builder;
  builder.alignment = 128;
  builder.put("general.alignment", std::uint32_t{128}).put_floats("a", {1}, {1}).put_floats("b", {1}, {2});
  const Memory memory(builder.bytes());
  const auto file = File::open(memory.span());
  ASSERT_TRUE(file) << describe(file.error());
  EXPECT_EQ(file->alignment(), 128U);
  EXPECT_EQ(file->find_tensor("b")->offset % 128, 0U);
}

TEST(GgufFile, without_anything_is_one) {
  const Memory memory(Builder().bytes());
  const auto file = File::open(memory.span());
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->keys().empty());
  EXPECT_TRUE(file->tensors().empty());
  EXPECT_EQ(file->find("x"), nullptr);
  EXPECT_EQ(file->find_tensor("x"), nullptr);
}

TEST(GgufFile, without_memory_is_refused) {
  const Memory memory(all_types().put_floats("a", {1}, {1}).bytes());
  std::size_t refusals = 0;
  std::set<std::string> said;
  std::expected<File, kernel::NamedError> file = kernel::fail("not-opened", "yet");
  kernel::fail_each_allocation([&] { file = File::open(memory.span()); },
                               [&] {
                                 ASSERT_FALSE(file);
                                 said.insert(describe(file.error()));
                                 ++refusals;
                               });
  EXPECT_TRUE(file);
  EXPECT_EQ(refusals, 5U);  // the last order is that of the tensors by name
  EXPECT_EQ(said, (std::set<std::string>{
                      "gguf-no-memory: no memory for 14 keys", "gguf-no-memory: no memory for an order of 14",
                      "gguf-no-memory: no memory for 1 tensors", "gguf-no-memory: no memory for an order of 1"}));
}

}  // namespace
}  // namespace guest::gguf
