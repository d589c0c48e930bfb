// Random documents both ways against another implementation of CBOR (nlohmann-json).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "guest/control/cbor.hpp"

namespace guest::control {
namespace {

using nlohmann::json;

/// Values of the subset, nested up to `depth`.
class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  json value(unsigned depth) {
    switch (below(depth == 0 ? 6 : 8)) {
      case 0:
        return random_() >> below(64);
      case 1:
        // nlohmann-json keeps negative numbers in 64 bits with a sign; ours go further.
        return -1 - static_cast<std::int64_t>(random_() >> (1 + below(63)));
      case 2: {
        std::vector<std::uint8_t> bytes(size());
        for (auto& byte : bytes) {
          byte = static_cast<std::uint8_t>(random_());
        }
        return json::binary(std::move(bytes));
      }
      case 3:
        return text();
      case 4:
        return below(2) == 0;
      case 5:
        return nullptr;
      case 6: {
        json array = json::array();
        for (std::uint64_t i = below(6); i > 0; --i) {
          array.push_back(value(depth - 1));
        }
        return array;
      }
      default: {
        json map = json::object();
        for (std::uint64_t i = below(6); i > 0; --i) {
          map[text()] = value(depth - 1);
        }
        return map;
      }
    }
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  /// Lengths around the borders of heads.
  std::size_t size() {
    static constexpr std::size_t kSizes[] = {0, 1, 5, 23, 24, 25, 255, 256, 300};
    return kSizes[below(std::size(kSizes))];
  }
  std::string text() {
    static constexpr const char* kCharacters[] = {
        "a", "Z", "\x7F", "\n", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    std::string result;
    for (std::size_t i = size(); i > 0; --i) {
      result += kCharacters[below(std::size(kCharacters))];
    }
    return result;
  }

  std::mt19937_64 random_;
};

json to_json(const CborValue& value) {
  switch (value.type) {
    case CborType::Unsigned:
      return value.number;
    case CborType::Negative:
      return -1 - static_cast<std::int64_t>(value.number);
    case CborType::Bytes: {
      std::vector<std::uint8_t> bytes;
      for (const std::byte byte : value.content) {
        bytes.push_back(std::to_integer<std::uint8_t>(byte));
      }
      return json::binary(std::move(bytes));
    }
    case CborType::Text:
      return std::string(value.text());
    case CborType::Bool:
      return value.number != 0;
    case CborType::Null:
      return nullptr;
    case CborType::Array:
    case CborType::Map:
      break;
  }
  json result = value.type == CborType::Array ? json::array() : json::object();
  CborItems items(value);
  while (const auto item = items.next()) {
    if (value.type == CborType::Array) {
      result.push_back(to_json(*item));
    } else {
      result[std::string(item->text())] = to_json(*items.next());
    }
  }
  return result;
}

void write(CborWriter& writer, const json& value) {
  if (value.is_number_unsigned()) {
    writer.number(value.get<std::uint64_t>());
  } else if (value.is_number_integer()) {
    writer.negative(static_cast<std::uint64_t>(-1 - value.get<std::int64_t>()));
  } else if (value.is_binary()) {
    writer.bytes(std::as_bytes(std::span(value.get_binary())));
  } else if (value.is_string()) {
    writer.text(value.get_ref<const std::string&>());
  } else if (value.is_boolean()) {
    writer.boolean(value.get<bool>());
  } else if (value.is_null()) {
    writer.null();
  } else if (value.is_array()) {
    writer.array(value.size());
    for (const json& item : value) {
      write(writer, item);
    }
  } else {
    writer.map(value.size());
    for (const auto& [key, item] : value.items()) {
      writer.text(key);
      write(writer, item);
    }
  }
}

TEST(CborInterop, documents_of_the_other_library_are_read_as_they_were) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    const json document = Generator(seed).value(5);
    const std::vector<std::uint8_t> encoded = json::to_cbor(document);
    if (encoded.size() > kMaxCborBytes) {
      continue;
    }
    const auto parsed = parse_cbor(std::as_bytes(std::span(encoded)));
    ASSERT_TRUE(parsed.has_value()) << "seed " << seed << ": " << parsed.error().what;
    EXPECT_EQ(to_json(*parsed), document) << "seed " << seed;
  }
}

TEST(CborInterop, our_documents_are_the_same_bytes) {
  std::vector<std::byte> memory(1 << 20);
  for (unsigned seed = 0; seed < 2000; ++seed) {
    const json document = Generator(seed).value(5);
    CborWriter writer(memory);
    write(writer, document);
    ASSERT_FALSE(writer.overflowed());
    const std::vector<std::uint8_t> expected = json::to_cbor(document);
    const auto ours = writer.written();
    EXPECT_TRUE(std::equal(ours.begin(), ours.end(), std::as_bytes(std::span(expected)).begin(),
                           std::as_bytes(std::span(expected)).end()))
        << "seed " << seed;
  }
}

TEST(CborInterop, values_copied_between_documents_stay_the_same) {
  std::vector<std::byte> memory(kMaxCborBytes * 2);
  for (unsigned seed = 0; seed < 500; ++seed) {
    const std::vector<std::uint8_t> encoded = json::to_cbor(Generator(seed).value(4));
    const auto parsed = parse_cbor(std::as_bytes(std::span(encoded)));
    if (!parsed) {
      continue;  // longer than a document may be
    }
    CborWriter writer(memory);
    writer.value(*parsed);
    EXPECT_EQ(to_json(*parse_cbor(writer.written())), to_json(*parsed)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace guest::control
