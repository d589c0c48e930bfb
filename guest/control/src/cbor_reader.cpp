#include "guest/control/cbor.hpp"

#include <algorithm>

#include "guest/control/utf8.hpp"

namespace guest::control {
namespace {

using Bytes = std::span<const std::byte>;

enum Major : unsigned { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kSimple };

struct Head {
  unsigned major;
  std::uint64_t value;
  std::size_t size;  ///< bytes of the head itself
};

/// The head at the start of `data`; the error is static text.
std::expected<Head, std::string_view> read_head(Bytes data) {
  if (data.empty()) {
    return std::unexpected("a value is missing");
  }
  const auto first = std::to_integer<unsigned>(data[0]);
  const unsigned major = first >> 5;
  const unsigned low = first & 31;
  if (major == kTag) {
    return std::unexpected("tags are not allowed");
  }
  if (low < 24) {
    if (major == kSimple && (low < 20 || low > 22)) {
      return std::unexpected("only false, true and null are allowed of the simple values");
    }
    return Head{major, low, 1};
  }
  if (low > 27) {
    return std::unexpected("indefinite lengths are not allowed");
  }
  if (major == kSimple) {
    return std::unexpected("floating point is not allowed");
  }
  const std::size_t length = std::size_t{1} << (low - 24);
  if (length > data.size() - 1) {
    return std::unexpected("the document ends inside of a number or length");
  }
  std::uint64_t value = 0;
  for (std::size_t i = 1; i <= length; ++i) {
    value = value << 8 | std::to_integer<std::uint64_t>(data[i]);
  }
  return Head{major, value, 1 + length};
}

/// The string of `head` at the start of `data`, or nothing if the document ends before.
std::optional<Bytes> string_of(const Head& head, Bytes data) {
  if (head.value > data.size() - head.size) {
    return std::nullopt;
  }
  return data.subspan(head.size, static_cast<std::size_t>(head.value));
}

std::string_view as_text(Bytes data) { return {reinterpret_cast<const char*>(data.data()), data.size()}; }

/// Checks values from front to back.
class Checker {
 public:
  explicit Checker(Bytes document) : document_(document) {}

  /// Checks one value; false: error() says why.
  bool value(unsigned depth);
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] CborError error() const { return {what_, at_}; }
  bool fail(std::string_view what) {
    what_ = what;
    return false;
  }

 private:
  bool string(const Head& head);
  bool map(std::uint64_t entries, unsigned depth);
  [[nodiscard]] Bytes rest() const { return document_.subspan(at_); }

  Bytes document_;
  std::size_t at_ = 0;
  std::string_view what_;
};

bool Checker::string(const Head& head) {
  const auto content = string_of(head, rest());
  if (!content) {
    return fail("the document ends inside of a string");
  }
  if (head.major == kText && !is_utf8(as_text(*content))) {
    return fail("a text is not valid UTF-8");
  }
  at_ += head.size + content->size();
  return true;
}

bool Checker::map(std::uint64_t entries, unsigned depth) {
  if (entries > kMaxCborMapEntries) {
    return fail("a map has more than 64 entries");
  }
  std::string_view keys[kMaxCborMapEntries];
  for (std::size_t i = 0; i < entries; ++i) {
    const auto head = read_head(rest());
    if (!head) {
      return fail(head.error());
    }
    if (head->major != kText) {
      return fail("a map's key is not a text");
    }
    const std::size_t key_at = at_ + head->size;
    if (!string(*head)) {
      return false;
    }
    keys[i] = as_text(document_.subspan(key_at, at_ - key_at));
    if (std::find(keys, keys + i, keys[i]) != keys + i) {
      return fail("a map has a key twice");
    }
    if (!value(depth)) {
      return false;
    }
  }
  return true;
}

bool Checker::value(unsigned depth) {
  const auto head = read_head(rest());
  if (!head) {
    return fail(head.error());
  }
  if (head->major == kBytes || head->major == kText) {
    return string(*head);
  }
  if (head->major != kArray && head->major != kMap) {
    at_ += head->size;
    return true;
  }
  if (depth == kMaxCborDepth) {
    return fail("arrays and maps are nested more than 8 deep");
  }
  at_ += head->size;
  if (head->major == kMap) {
    return map(head->value, depth + 1);
  }
  // Each item takes a byte at least, so this ends with the document whatever the length says.
  for (std::uint64_t i = 0; i < head->value; ++i) {
    if (!value(depth + 1)) {
      return false;
    }
  }
  return true;
}

/// Takes the first value out of bytes that were checked.
CborValue take_checked(Bytes& data) {
  const Head head = *read_head(data);
  CborValue result{.type = CborType::Null, .number = head.value, .content = {}};
  std::size_t size = head.size;
  switch (head.major) {
    case kUnsigned:
      result.type = CborType::Unsigned;
      break;
    case kNegative:
      result.type = CborType::Negative;
      break;
    case kBytes:
    case kText:
      result.type = head.major == kBytes ? CborType::Bytes : CborType::Text;
      result.content = *string_of(head, data);
      size += result.content.size();
      break;
    case kArray:
    case kMap: {
      result.type = head.major == kArray ? CborType::Array : CborType::Map;
      Bytes items = data.subspan(head.size);
      const std::uint64_t count = head.major == kArray ? head.value : head.value * 2;
      for (std::uint64_t i = 0; i < count; ++i) {
        take_checked(items);
      }
      result.content = data.subspan(head.size, data.size() - head.size - items.size());
      size += result.content.size();
      break;
    }
    default:
      result.type = head.value == 22 ? CborType::Null : CborType::Bool;
      result.number = head.value == 21 ? 1 : 0;
      break;
  }
  data = data.subspan(size);
  return result;
}

}  // namespace

std::expected<CborValue, CborError> parse_cbor(Bytes document) {
  Checker checker(document);
  if (document.size() > kMaxCborBytes) {
    checker.fail("the document is longer than 64 KiB");
    return std::unexpected(checker.error());
  }
  if (!checker.value(0)) {
    return std::unexpected(checker.error());
  }
  if (checker.at() != document.size()) {
    checker.fail("there are bytes after the value");
    return std::unexpected(checker.error());
  }
  return take_checked(document);
}

CborValue read_own_cbor(Bytes document) { return take_checked(document); }

std::optional<CborValue> CborItems::next() {
  if (rest_.empty()) {
    return std::nullopt;
  }
  return take_checked(rest_);
}

std::optional<CborValue> find_cbor(const CborValue& map, std::string_view key) {
  if (map.type != CborType::Map) {
    return std::nullopt;
  }
  CborItems items(map);
  while (const auto name = items.next()) {
    const auto value = items.next();
    if (name->text() == key) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace guest::control
