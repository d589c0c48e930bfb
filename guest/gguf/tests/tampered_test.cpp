// Files that are not what they should be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "guest/gguf/testing/builder.hpp"
#include "read.hpp"

namespace guest::gguf {
namespace {

using ::testing::AnyOf;
using testing::Builder;
using testing::bytes_of;
using testing::open_error;
using ::testing::StartsWith;
using testing::text_bytes;

constexpr std::uint32_t kArray = static_cast<std::uint32_t>(ValueType::Array);
constexpr std::uint32_t kString = static_cast<std::uint32_t>(ValueType::String);
constexpr std::uint32_t kBool = static_cast<std::uint32_t>(ValueType::Bool);
constexpr std::uint32_t kF32 = static_cast<std::uint32_t>(Type::F32);

struct Case {
  const char* what;
  std::string bytes;
  const char* error;
};
void PrintTo(const Case& tampered, std::ostream* out) { *out << tampered.what; }

std::string changed(Builder builder, void (*change)(Builder&)) {
  change(builder);
  return builder.bytes();
}

std::vector<Case> headers() {
  return {
      {"nothing", "", "gguf-truncated: GGUF at byte 0 needs 4 bytes, 0 of 0 are left"},
      {"magic", changed({}, [](Builder& b) { b.magic = "GGML"; }),
       "gguf-bad-file: the file begins with 'GGML', expected 'GGUF'"},
      {"control bytes", changed({}, [](Builder& b) { b.magic = "\x1B[2J"; }),
       "gguf-bad-file: the file begins with '\\x1b[2J', expected 'GGUF'"},
      {"version", changed({}, [](Builder& b) { b.version = 2; }), "gguf-unsupported: version 2 at byte 4, expected 3"},
      {"byte order", changed({}, [](Builder& b) { b.version = 0x0300'0000; }),
       "gguf-unsupported: a big-endian file: expected a little-endian one"},
      {"too many keys", Builder().set_counts(0, 1025).bytes(), "gguf-too-many: 1025 keys, at most 1024 are read"},
      {"keys beyond the file", Builder().set_counts(0, 1024).bytes(),
       "gguf-truncated: 1024 keys of at least 14 bytes, 0 are left"},
      {"2^64 - 1 keys", Builder().set_counts(0, UINT64_MAX).bytes(),
       "gguf-too-many: 18446744073709551615 keys, at most 1024 are read"},
      {"too many tensors", Builder().set_counts(4097, 0).bytes(), "gguf-too-many: 4097 tensors, at most 4096 are read"},
      {"tensors beyond the file", Builder().set_counts(1, 0).bytes(),
       "gguf-truncated: 1 tensors of at least 33 bytes, 0 are left"},
  };
}

std::vector<Case> keys() {
  return {
      {"no name", Builder().put("", std::uint64_t{1}).bytes(), "gguf-bad-file: the key at byte 24 is empty"},
      {"a name of 65536 bytes", Builder().put(std::string(65'536, 'k'), std::uint8_t{1}).bytes(),
       "gguf-bad-file: a key at byte 24 has 65536 bytes, expected at most 65535"},
      {"a name of 2^64 - 1 bytes", Builder().raw("", 0, std::string(16, '\xFF')).bytes().replace(24, 8, 8, '\xFF'),
       "gguf-bad-file: a key at byte 24 has 18446744073709551615 bytes, expected at most 65535"},
      {"a name that does not end", Builder().put("k", std::uint64_t{1}).bytes().replace(24, 1, "x"),
       "gguf-truncated: a key at byte 32 needs 120 bytes, 13 of 45 are left"},
      {"type 13", Builder().raw("k", 13, "12345678").bytes(),
       "gguf-bad-file: 'k' has type 13 at byte 33, expected 0 to 12"},
      {"a bool of 2", Builder().raw("k", kBool, "\2").put("l", 1).bytes(),
       "gguf-bad-file: 'k' has a bool of 2 at byte 37, expected 0 or 1"},
      {"a value that does not end", Builder().raw("k", static_cast<std::uint32_t>(ValueType::U64), "1234567").bytes(),
       "gguf-truncated: a value at byte 37 needs 8 bytes, 7 of 44 are left"},
      {"a text beyond the file", Builder().raw("k", kString, bytes_of(std::uint64_t{4}) + "abc").bytes(),
       "gguf-truncated: a string at byte 45 needs 4 bytes, 3 of 48 are left"},
      {"a text of 2^64 - 1 bytes", Builder().raw("k", kString, bytes_of(UINT64_MAX) + "abc").bytes(),
       "gguf-truncated: a string at byte 45 needs 18446744073709551615 bytes, 3 of 48 are left"},
      {"a name twice", Builder().put("k", 1).put("l", 2).put("k", 1).bytes(), "gguf-duplicate: two keys are 'k'"},
      {"alignment of text", Builder().put("general.alignment", "32").bytes(),
       "gguf-wrong-type: 'general.alignment' is string, expected an integer of 0 or more"},
      {"alignment 0", Builder().put("general.alignment", std::uint32_t{0}).bytes(),
       "gguf-out-of-range: 'general.alignment' is 0, expected 8 to 65536"},
      {"alignment 4", Builder().put("general.alignment", std::uint32_t{4}).bytes(),
       "gguf-out-of-range: 'general.alignment' is 4, expected 8 to 65536"},
      {"alignment 2^63", Builder().put("general.alignment", std::uint64_t{1} << 63).bytes(),
       "gguf-out-of-range: 'general.alignment' is 9223372036854775808, expected 8 to 65536"},
      {"alignment 48", Builder().put("general.alignment", std::uint32_t{48}).bytes(),
       "gguf-bad-file: 'general.alignment' is 48, expected a power of two"},
  };
}

std::vector<Case> arrays() {
  return {
      {"of arrays", Builder().raw_array("k", kArray, 1, std::string(16, '\0')).bytes(),
       "gguf-unsupported: 'k' is an array of arrays at byte 37: those are not read"},
      {"of type 99", Builder().raw_array("k", 99, 1, "1234").bytes(),
       "gguf-bad-file: 'k' has type 99 at byte 37, expected 0 to 12"},
      {"longer than the file", Builder().raw_array("k", kF32 + 6, 3, "12345678901").bytes(),
       "gguf-truncated: 'k' has 3 elements of type f32 at byte 37, 11 bytes are left"},
      {"of 2^62 floats", Builder().raw_array("k", kF32 + 6, std::uint64_t{1} << 62, "1234").bytes(),
       "gguf-truncated: 'k' has 4611686018427387904 elements of type f32 at byte 37, 4 bytes are left"},
      {"of 2^61 texts", Builder().raw_array("k", kString, std::uint64_t{1} << 61, text_bytes("a")).bytes(),
       "gguf-truncated: 'k' has 2305843009213693952 elements of type string at byte 37, 9 bytes are left"},
      {"a text that does not end",
       Builder().raw_array("k", kString, 2, text_bytes("a") + bytes_of(std::uint64_t{2}) + "b").bytes(),
       "gguf-truncated: a string of an array at byte 66 needs 2 bytes, 1 of 67 are left"},
      {"a text fewer", Builder().raw_array("k", kString, 2, text_bytes("0123456789")).bytes(),
       "gguf-truncated: a string of an array at byte 67 needs 8 bytes, 0 of 67 are left"},
      {"a bool of 255", Builder().raw_array("k", kBool, 3, std::string("\1\xFF\0", 3)).bytes(),
       "gguf-bad-file: 'k' has a bool of 255 at byte 50, expected 0 or 1"},
  };
}

std::vector<Case> tensors() {
  const std::string data(64, 'd');
  return {
      {"no name", Builder().raw_tensor("", {16, 1}, kF32, 0).put_data(data).bytes(),
       "gguf-bad-file: the name of the tensor at byte 24 is empty"},
      {"a long name", Builder().raw_tensor(std::string(65, 'n'), {16}, kF32, 0).put_data(data).bytes(),
       "gguf-bad-file: a tensor's name at byte 24 has 65 bytes, expected at most 64"},
      {"no dimension", Builder().raw_tensor("tensor_of_nothing", {}, kF32, 0).put_data(data).bytes(),
       "gguf-bad-file: tensor 'tensor_of_nothing' has 0 dimensions at byte 49, expected 1 to 4"},
      {"five dimensions", Builder().raw_tensor("t", {1, 1, 1, 1, 1}, kF32, 0).put_data(data).bytes(),
       "gguf-bad-file: tensor 't' has 5 dimensions at byte 33, expected 1 to 4"},
      {"an extent of 0", Builder().raw_tensor("t", {4, 0}, kF32, 0).put_data(data).bytes(),
       "gguf-bad-file: tensor 't' has an extent of 0 at byte 45, expected 1 to 288230376151711744"},
      {"2^64 elements",
       Builder().raw_tensor("t", {std::uint64_t{1} << 32, std::uint64_t{1} << 32}, kF32, 0).put_data(data).bytes(),
       "gguf-bad-file: tensor 't' has an extent of 4294967296 at byte 45, expected 1 to 268435456"},
      {"type 3, which is another one", Builder().raw_tensor("t", {32}, 3, 0).put_data(data).bytes(),
       "gguf-unsupported: tensor 't' has type 3, Q4_1 at byte 45, expected one of F32, F16, Q4_0, Q8_0, I8, I16, I32"},
      {"type 4, which is gone", Builder().raw_tensor("t", {32}, 4, 0).put_data(data).bytes(),
       "gguf-bad-file: tensor 't' has type 4 at byte 45, expected one of F32, F16, Q4_0, Q8_0, I8, I16, I32"},
      {"type 2^32 - 1", Builder().raw_tensor("t", {32}, UINT32_MAX, 0).put_data(data).bytes(),
       "gguf-bad-file: tensor 't' has type 4294967295 at byte 45, expected one of F32, F16, Q4_0, Q8_0, I8, I16, I32"},
      {"half a block", Builder().raw_tensor("t", {48, 2}, 8, 0).put_data(data).bytes(),
       "gguf-bad-file: tensor 't' of Q8_0 has rows of 48 elements, expected a multiple of 32"},
      {"an offset between", Builder().raw_tensor("t", {4}, kF32, 16).put_data(data).bytes(),
       "gguf-bad-file: tensor 't' has offset 16 at byte 49, expected a multiple of 32"},
      {"an element beyond the file", Builder().raw_tensor("t", {9}, kF32, 32).put_data(data).bytes(),
       "gguf-truncated: tensor 't' has 36 bytes from 32 of the data, which has 64"},
      {"an offset beyond the file", Builder().raw_tensor("t", {1}, kF32, 96).put_data(data).bytes(),
       "gguf-truncated: tensor 't' has 4 bytes from 96 of the data, which has 64"},
      {"an offset that wraps", Builder().raw_tensor("t", {16}, kF32, UINT64_MAX - 31).put_data(data).bytes(),
       "gguf-truncated: tensor 't' has 64 bytes from 18446744073709551584 of the data, which has 64"},
      {"no data at all", Builder().raw_tensor("t", {1}, kF32, 0).bytes(),
       "gguf-truncated: tensor 't' has 4 bytes from 0 of the data, which has 0"},
      {"the same bytes", Builder().raw_tensor("a", {4}, kF32, 0).raw_tensor("b", {4}, kF32, 0).put_data(data).bytes(),
       "gguf-overlap: tensor 'a' ends at byte 112, 'b' begins at 96"},
      {"a byte shared", Builder().raw_tensor("b", {4}, kF32, 32).raw_tensor("a", {9}, kF32, 0).put_data(data).bytes(),
       "gguf-overlap: tensor 'a' ends at byte 132, 'b' begins at 128"},
      {"a name twice", Builder().raw_tensor("a", {4}, kF32, 0).raw_tensor("a", {4}, kF32, 32).put_data(data).bytes(),
       "gguf-duplicate: two tensors are 'a'"},
      {"a name with control bytes", Builder().raw_tensor("\x1B[0m", {0}, kF32, 0).put_data(data).bytes(),
       "gguf-bad-file: tensor '\\x1b[0m' has an extent of 0 at byte 40, expected 1 to 1152921504606846976"},
  };
}

class Tampered : public ::testing::TestWithParam<Case> {};
TEST_P(Tampered, is_refused_with_the_reason) { EXPECT_EQ(open_error(GetParam().bytes), GetParam().error); }
INSTANTIATE_TEST_SUITE_P(Headers, Tampered, ::testing::ValuesIn(headers()));
INSTANTIATE_TEST_SUITE_P(Keys, Tampered, ::testing::ValuesIn(keys()));
INSTANTIATE_TEST_SUITE_P(Arrays, Tampered, ::testing::ValuesIn(arrays()));
INSTANTIATE_TEST_SUITE_P(Tensors, Tampered, ::testing::ValuesIn(tensors()));

/// Something of everything.
std::string whole() {
  Builder builder;
  builder.put("number", 7).put("text", "seven").put_array("texts", {"a", "bc"}).put("flag", true);
  builder.put_array("numbers", std::vector<std::uint16_t>{1, 2, 3});
  builder.put_floats("t", {2, 2}, {1, 2, 3, 4}).put_tensor("q", {32}, Type::Q8_0, std::string(34, 'q'));
  return builder.bytes();
}

TEST(GgufFile, that_ends_early_is_truncated) {
  const std::string file = whole();
  ASSERT_EQ(open_error(file), "opened");
  for (std::size_t bytes = 0; bytes < file.size(); ++bytes) {
    EXPECT_THAT(open_error(file.substr(0, bytes)), StartsWith("gguf-truncated: ")) << bytes;
  }
}

TEST(GgufFile, with_any_byte_changed_is_read_or_refused_by_name) {
  const std::string file = whole();
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (const char mask : {'\x01', '\x20', '\x80', '\xFF'}) {
      std::string other = file;
      other[at] = static_cast<char>(other[at] ^ mask);
      EXPECT_THAT(open_error(other), AnyOf("opened", StartsWith("gguf-"))) << at;
    }
  }
}

}  // namespace
}  // namespace guest::gguf
