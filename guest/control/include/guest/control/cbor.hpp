// CBOR (RFC 8949), the subset that the control protocol uses: integers of 64 bits, byte and text strings, arrays, maps
// with text keys, false, true, null. Definite lengths only; no tags, no floating point.
//
// A document is checked whole before anything of it is used; after that, values are views into its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

namespace guest::control {

/// Longest document.
inline constexpr std::size_t kMaxCborBytes = 64 * 1024;
/// Deepest nesting of arrays and maps.
inline constexpr unsigned kMaxCborDepth = 8;
/// Most entries of one map. Keys are compared pair by pair, so the bound also keeps a hostile document cheap to check.
inline constexpr std::size_t kMaxCborMapEntries = 64;

enum class CborType : std::uint8_t { Unsigned, Negative, Bytes, Text, Array, Map, Bool, Null };

/// What is wrong with a document: static text, and where.
struct CborError {
  std::string_view what;
  std::size_t offset;
};

/// One value of a document that was checked. A view: valid as long as the document's bytes.
struct CborValue {
  CborType type = CborType::Null;
  /// Unsigned: the value. Negative: n of -1 - n. Bool: 0 or 1. Array: items. Map: entries.
  std::uint64_t number = 0;
  /// Bytes and Text: the string. Array and Map: the encoded items, keys and values in turn.
  std::span<const std::byte> content;

  [[nodiscard]] std::string_view text() const {
    // Text is bytes that were checked to be UTF-8.
    return {reinterpret_cast<const char*>(content.data()), content.size()};
  }
};

/// Checks that `document` is one value and nothing else, and returns it.
std::expected<CborValue, CborError> parse_cbor(std::span<const std::byte> document);

/// The value of a document that the kernel's own CborWriter has made: nothing is checked.
CborValue read_own_cbor(std::span<const std::byte> document);

/// The items of a checked array, or the keys and values of a checked map in turn.
class CborItems {
 public:
  explicit CborItems(const CborValue& container) : rest_(container.content) {}
  /// The next item, or nothing at the end.
  std::optional<CborValue> next();

 private:
  std::span<const std::byte> rest_;
};

/// The value of `key` in a checked map.
std::optional<CborValue> find_cbor(const CborValue& map, std::string_view key);

/// Writes a document into memory of the caller. When that is full the writer is "overflowed" and drops everything
/// after; the caller checks at the end. Containers whose size is not known before are closed by end().
class CborWriter {
 public:
  explicit CborWriter(std::span<std::byte> out) : out_(out) {}

  void number(std::uint64_t value);
  void negative(std::uint64_t n);  ///< -1 - n
  void text(std::string_view value);
  void bytes(std::span<const std::byte> value);
  void boolean(bool value);
  void null();
  void array(std::size_t items) { head(4, items); }
  void map(std::size_t entries) { head(5, entries); }
  /// A value that is encoded and checked already.
  void raw(std::span<const std::byte> encoded);
  /// A checked value of another document, as it was.
  void value(const CborValue& value);

  void entry(std::string_view key, std::uint64_t value);
  void entry(std::string_view key, std::string_view value);
  void entry_bool(std::string_view key, bool value);

  /// A container whose size is counted by the caller: `token` goes to end(). At most 65,535 items.
  std::size_t begin_array() { return begin(0x99); }
  std::size_t begin_map() { return begin(0xb9); }
  void end(std::size_t token, std::size_t count);

  [[nodiscard]] bool overflowed() const { return overflowed_; }
  [[nodiscard]] std::span<const std::byte> written() const { return out_.first(size_); }

 private:
  void head(unsigned major, std::uint64_t value);
  void put(std::span<const std::byte> data);
  void put_byte(unsigned value);
  std::size_t begin(unsigned head_byte);

  std::span<std::byte> out_;
  std::size_t size_ = 0;
  bool overflowed_ = false;
};

}  // namespace guest::control
