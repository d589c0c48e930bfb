// The CBOR subset: what is accepted, what is refused and where, what is written.
#include "guest/control/cbor.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace guest::control {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes(std::initializer_list<unsigned> values) {
  Bytes result;
  for (const unsigned value : values) {
    result.push_back(std::byte{static_cast<unsigned char>(value)});
  }
  return result;
}

/// "offset: reason", or "ok".
std::string problem(const Bytes& document) {
  const auto result = parse_cbor(document);
  return result ? "ok" : std::to_string(result.error().offset) + ": " + std::string(result.error().what);
}

std::string hex(std::span<const std::byte> data) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : data) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

Bytes nested(std::size_t depth, unsigned head, unsigned innermost) {
  Bytes result(depth, std::byte{static_cast<unsigned char>(head)});
  result.push_back(std::byte{static_cast<unsigned char>(innermost)});
  return result;
}

TEST(CborReader, integers_of_every_length) {
  EXPECT_EQ(parse_cbor(bytes({0x17}))->number, 23U);
  EXPECT_EQ(parse_cbor(bytes({0x18, 0xFF}))->number, 255U);
  EXPECT_EQ(parse_cbor(bytes({0x19, 0x12, 0x34}))->number, 0x1234U);
  EXPECT_EQ(parse_cbor(bytes({0x1A, 0x12, 0x34, 0x56, 0x78}))->number, 0x12345678U);
  const auto largest = parse_cbor(bytes({0x3B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}));
  EXPECT_EQ(largest->type, CborType::Negative);
  EXPECT_EQ(largest->number, ~std::uint64_t{0});
}

TEST(CborReader, simple_values) {
  EXPECT_EQ(parse_cbor(bytes({0xF4}))->number, 0U);
  EXPECT_EQ(parse_cbor(bytes({0xF5}))->number, 1U);
  EXPECT_EQ(parse_cbor(bytes({0xF5}))->type, CborType::Bool);
  EXPECT_EQ(parse_cbor(bytes({0xF6}))->type, CborType::Null);
  EXPECT_EQ(problem(bytes({0xF7})), "0: only false, true and null are allowed of the simple values");
  EXPECT_EQ(problem(bytes({0xE0})), "0: only false, true and null are allowed of the simple values");
  EXPECT_EQ(problem(bytes({0xF8, 0x20})), "0: floating point is not allowed");
  EXPECT_EQ(problem(bytes({0xF9, 0, 0})), "0: floating point is not allowed");
}

TEST(CborReader, what_the_subset_leaves_out_is_named) {
  EXPECT_EQ(problem(bytes({0xC0, 0x00})), "0: tags are not allowed");
  EXPECT_EQ(problem(bytes({0x9F, 0xFF})), "0: indefinite lengths are not allowed");
  EXPECT_EQ(problem(bytes({0x7F, 0xFF})), "0: indefinite lengths are not allowed");
  EXPECT_EQ(problem(bytes({0x1C})), "0: indefinite lengths are not allowed");
  EXPECT_EQ(problem(bytes({0xA1, 0x01, 0x02})), "1: a map's key is not a text");
}

TEST(CborReader, documents_that_end_early_or_late) {
  EXPECT_EQ(problem({}), "0: a value is missing");
  EXPECT_EQ(problem(bytes({0x19, 0x12})), "0: the document ends inside of a number or length");
  EXPECT_EQ(problem(bytes({0x43, 1, 2})), "0: the document ends inside of a string");
  EXPECT_EQ(problem(bytes({0x82, 0x01})), "2: a value is missing");
  EXPECT_EQ(problem(bytes({0xA1, 0x61, 'a'})), "3: a value is missing");
  EXPECT_EQ(problem(bytes({0x01, 0x01})), "1: there are bytes after the value");
}

TEST(CborReader, lengths_that_lie_allocate_and_read_nothing) {
  EXPECT_EQ(problem(bytes({0x5B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})),
            "0: the document ends inside of a string");
  EXPECT_EQ(problem(bytes({0x9B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})), "9: a value is missing");
  EXPECT_EQ(problem(bytes({0xBB, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})),
            "9: a map has more than 64 entries");
}

TEST(CborReader, depth_is_bounded) {
  EXPECT_EQ(problem(nested(kMaxCborDepth, 0x81, 0x00)), "ok");
  EXPECT_EQ(problem(nested(kMaxCborDepth + 1, 0x81, 0x00)), "8: arrays and maps are nested more than 8 deep");
  EXPECT_EQ(problem(nested(60'000, 0x81, 0x00)), "8: arrays and maps are nested more than 8 deep");
}

TEST(CborReader, keys_are_unique_in_each_map) {
  EXPECT_EQ(problem(bytes({0xA2, 0x61, 'a', 1, 0x61, 'a', 2})), "6: a map has a key twice");
  // Another length of the head makes the same key.
  EXPECT_EQ(problem(bytes({0xA2, 0x61, 'a', 1, 0x78, 1, 'a', 2})), "7: a map has a key twice");
  EXPECT_EQ(problem(bytes({0xA2, 0x61, 'a', 1, 0x61, 'b', 0xA1, 0x61, 'a', 2})), "ok");
}

TEST(CborReader, map_entries_are_bounded) {
  const auto map_of = [](std::size_t entries) {
    Bytes document = bytes({0xB9, static_cast<unsigned>(entries >> 8), static_cast<unsigned>(entries & 0xFF)});
    for (std::size_t i = 0; i < entries; ++i) {
      const Bytes entry = bytes({0x62, static_cast<unsigned>('a' + i / 26), static_cast<unsigned>('a' + i % 26), 0});
      document.insert(document.end(), entry.begin(), entry.end());
    }
    return document;
  };
  EXPECT_EQ(problem(map_of(kMaxCborMapEntries)), "ok");
  EXPECT_EQ(problem(map_of(kMaxCborMapEntries + 1)), "3: a map has more than 64 entries");
}

TEST(CborReader, document_length_is_bounded) {
  Bytes document = bytes({0x5A, 0, 0, 0xFF, 0xFB});
  document.resize(kMaxCborBytes);
  EXPECT_EQ(problem(document), "ok");
  document.push_back(std::byte{0});
  EXPECT_EQ(problem(document), "0: the document is longer than 64 KiB");
}

TEST(CborReader, texts_are_utf8) {
  const auto text = [](std::initializer_list<unsigned> content) {
    Bytes document = bytes({0x60 + static_cast<unsigned>(content.size())});
    const Bytes tail = bytes(content);
    document.insert(document.end(), tail.begin(), tail.end());
    return problem(document);
  };
  EXPECT_EQ(text({0xC3, 0xA4}), "ok");
  EXPECT_EQ(text({0xEF, 0xBF, 0xBF}), "ok");
  EXPECT_EQ(text({0xF4, 0x8F, 0xBF, 0xBF}), "ok");
  const std::string bad = "0: a text is not valid UTF-8";
  EXPECT_EQ(text({0x80}), bad);
  EXPECT_EQ(text({0xC3}), bad);
  EXPECT_EQ(text({0xC3, 'a'}), bad);
  EXPECT_EQ(text({0xC0, 0xAF}), bad);              // overlong
  EXPECT_EQ(text({0xC1, 0xBF}), bad);              // overlong
  EXPECT_EQ(text({0xE0, 0x9F, 0xBF}), bad);        // overlong
  EXPECT_EQ(text({0xF0, 0x8F, 0xBF, 0xBF}), bad);  // overlong
  EXPECT_EQ(text({0xED, 0xA0, 0x80}), bad);        // surrogate
  EXPECT_EQ(text({0xF4, 0x90, 0x80, 0x80}), bad);  // above U+10FFFF
  EXPECT_EQ(text({0xF5, 0x80, 0x80, 0x80}), bad);
  EXPECT_EQ(problem(bytes({0xA1, 0x61, 0xFF, 0})), "1: a text is not valid UTF-8");
}

TEST(CborReader, values_are_found_by_key) {
  const Bytes document = bytes({0xA3, 0x61, 'a', 0x82, 1, 2, 0x61, 'b', 0xA1, 0x61, 'c', 3, 0x61, 'c', 0x62, 'h', 'i'});
  const auto map = parse_cbor(document);
  ASSERT_TRUE(map.has_value());
  EXPECT_EQ(find_cbor(*map, "c")->text(), "hi");
  EXPECT_EQ(find_cbor(*find_cbor(*map, "b"), "c")->number, 3U);
  EXPECT_FALSE(find_cbor(*map, "d").has_value());
  CborItems items(*find_cbor(*map, "a"));
  EXPECT_EQ(items.next()->number, 1U);
  EXPECT_EQ(items.next()->number, 2U);
  EXPECT_FALSE(items.next().has_value());
}

TEST(CborWriter, heads_are_the_shortest) {
  std::byte memory[64];
  CborWriter writer(memory);
  for (const std::uint64_t value : {23ULL, 24ULL, 255ULL, 256ULL, 65535ULL, 65536ULL, 0xFFFFFFFFULL, 0x100000000ULL}) {
    writer.number(value);
  }
  EXPECT_EQ(hex(writer.written()), "17181818ff19010019ffff1a000100001affffffff1b0000000100000000");
}

TEST(CborWriter, containers_of_unknown_size) {
  std::byte memory[64];
  CborWriter writer(memory);
  const std::size_t map = writer.begin_map();
  writer.text("a");
  const std::size_t array = writer.begin_array();
  writer.number(1);
  writer.null();
  writer.end(array, 2);
  writer.entry_bool("b", true);
  writer.end(map, 2);
  EXPECT_EQ(hex(writer.written()),
            "b900026161990002"
            "01f6"
            "6162f5");
  const auto parsed = parse_cbor(writer.written());
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->number, 2U);
  EXPECT_EQ(find_cbor(*parsed, "a")->number, 2U);
}

TEST(CborWriter, overflow_is_told_and_writes_nothing_beyond) {
  for (std::size_t size = 0; size < 12; ++size) {
    std::vector<std::byte> memory(size);  // exact, so that ASan sees a byte too far
    CborWriter writer(memory);
    const std::size_t token = writer.begin_map();
    writer.entry("key", "value");
    writer.end(token, 1);
    EXPECT_TRUE(writer.overflowed());
  }
  std::vector<std::byte> memory(13);
  CborWriter writer(memory);
  const std::size_t token = writer.begin_map();
  writer.entry("key", "value");
  writer.end(token, 1);
  EXPECT_FALSE(writer.overflowed());
}

}  // namespace
}  // namespace guest::control
