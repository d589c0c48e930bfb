#include "guest/gguf/file.hpp"

#include <algorithm>
#include <new>

#include "cursor.hpp"
#include "metadata.hpp"
#include "tensor_table.hpp"

namespace guest::gguf {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::string_view kAlignmentKey = "general.alignment";

/// Of a thing of which there are `count`, each in `least` bytes or more: memory for them, once it is known that the
/// file can have as many.
template <typename T>
std::unique_ptr<T[]> make_table(Cursor& cursor, std::uint64_t count, std::uint64_t most, std::uint64_t least,
                                std::string_view what) {
  static_assert(File::kMaxKeys <= UINT16_MAX && File::kMaxTensors <= UINT16_MAX, "an order has 16 bits");
  if (count > most) {
    cursor.refuse(kernel::fail("gguf-too-many", "{} {}, at most {} are read", count, what, most));
  }
  if (count > cursor.left() / least) {
    cursor.refuse(
        kernel::fail("gguf-truncated", "{} {} of at least {} bytes, {} are left", count, what, least, cursor.left()));
  }
  if (cursor.failed()) {
    return nullptr;
  }
  std::unique_ptr<T[]> table(new (std::nothrow) T[count]);
  if (table == nullptr) {
    cursor.refuse(kernel::fail("gguf-no-memory", "no memory for {} {}", count, what));
  }
  return table;
}

/// The order in which `before` has `count` things.
template <typename Before>
std::unique_ptr<std::uint16_t[]> make_order(Cursor& cursor, std::size_t count, Before before) {
  std::unique_ptr<std::uint16_t[]> order(new (std::nothrow) std::uint16_t[count]);
  if (order == nullptr) {
    cursor.refuse(kernel::fail("gguf-no-memory", "no memory for an order of {}", count));
    return nullptr;
  }
  for (std::size_t i = 0; i < count; ++i) {
    order[i] = static_cast<std::uint16_t>(i);
  }
  std::sort(order.get(), order.get() + count, before);
  return order;
}

/// Orders things by their names, of which no two may be the same.
template <typename T>
std::unique_ptr<std::uint16_t[]> order_by_name(Cursor& cursor, std::span<const T> things, std::string_view what) {
  auto order = make_order(cursor, things.size(),
                          [things](std::size_t a, std::size_t b) { return things[a].name < things[b].name; });
  for (std::size_t i = 1; order != nullptr && i < things.size(); ++i) {
    if (things[order[i]].name == things[order[i - 1]].name) {
      cursor.refuse(kernel::fail("gguf-duplicate", "two {} are '{}'", what, shown(things[order[i]].name)));
    }
  }
  return order;
}

/// The thing of that name; null: there is none.
template <typename T>
const T* find_by_name(std::span<const T> things, const std::uint16_t* order, std::string_view name) {
  const auto* const end = order + things.size();
  const auto* const at =
      std::lower_bound(order, end, name, [things](std::size_t i, std::string_view n) { return things[i].name < n; });
  return at != end && things[*at].name == name ? &things[*at] : nullptr;
}

void check_header(Cursor& cursor) {
  const auto magic = cursor.take(kMagic.size(), "GGUF");
  if (!cursor.failed() && !std::ranges::equal(magic, std::as_bytes(std::span(kMagic)))) {
    const std::string_view found(reinterpret_cast<const char*>(magic.data()), magic.size());  // char aliases anything
    cursor.refuse(kernel::fail("gguf-bad-file", "the file begins with '{}', expected 'GGUF'", shown(found)));
  }
  const auto version = cursor.number<std::uint32_t>("a version");
  if (version == __builtin_bswap32(File::kVersion)) {
    cursor.refuse(kernel::fail("gguf-unsupported", "a big-endian file: expected a little-endian one"));
  }
  if (version != File::kVersion) {
    cursor.refuse(kernel::fail("gguf-unsupported", "version {} at byte 4, expected {}", version, File::kVersion));
  }
}

void check_overlaps(Cursor& cursor, std::span<const Tensor> tensors) {
  const auto order = make_order(cursor, tensors.size(), [tensors](std::size_t a, std::size_t b) {
    return tensors[a].offset < tensors[b].offset;
  });
  for (std::size_t i = 1; order != nullptr && i < tensors.size(); ++i) {
    const Tensor& before = tensors[order[i - 1]];
    const Tensor& after = tensors[order[i]];
    if (before.data.size() > after.offset - before.offset) {
      cursor.refuse(kernel::fail("gguf-overlap", "tensor '{}' ends at byte {}, '{}' begins at {}", shown(before.name),
                                 before.offset + before.data.size(), shown(after.name), after.offset));
    }
  }
}

std::unexpected<kernel::NamedError> wrong_type(std::string_view key, const Value& value, std::string_view expected) {
  const auto array = value.as_array();
  return kernel::fail("gguf-wrong-type", "'{}' is {}{}, expected {}", shown(key), array ? "an array of " : "",
                      array ? array->element_type() : value.type(), expected);
}

/// What `as` makes of the key's value.
template <typename T, typename As>
std::expected<T, kernel::NamedError> typed(const File& file, std::string_view key, As as, std::string_view expected) {
  const Value* const value = file.find(key);
  if (value == nullptr) {
    return kernel::fail("gguf-missing-key", "there is no '{}', expected {}", shown(key), expected);
  }
  const std::optional<T> found = as(*value);
  if (!found) {
    return wrong_type(key, *value, expected);
  }
  return *found;
}

}  // namespace

const Value* File::find(std::string_view key) const {
  const Key* const found = find_by_name(keys(), key_order_.get(), key);
  return found != nullptr ? &found->value : nullptr;
}

const Tensor* File::find_tensor(std::string_view name) const {
  return find_by_name(tensors(), tensor_order_.get(), name);
}

std::expected<std::uint64_t, kernel::NamedError> File::integer(std::string_view key, Limits limits) const {
  const auto number = typed<std::uint64_t>(
      *this, key, [](const Value& value) { return value.as_unsigned(); }, "an integer of 0 or more");
  if (number && (*number < limits.least || *number > limits.most)) {
    return kernel::fail("gguf-out-of-range", "'{}' is {}, expected {} to {}", shown(key), *number, limits.least,
                        limits.most);
  }
  return number;
}

std::expected<std::uint32_t, kernel::NamedError> File::f32_bits(std::string_view key) const {
  return typed<std::uint32_t>(*this, key, [](const Value& value) { return value.as_f32_bits(); }, "f32");
}

std::expected<bool, kernel::NamedError> File::boolean(std::string_view key) const {
  return typed<bool>(*this, key, [](const Value& value) { return value.as_bool(); }, "bool");
}

std::expected<std::string_view, kernel::NamedError> File::text(std::string_view key) const {
  return typed<std::string_view>(*this, key, [](const Value& value) { return value.as_string(); }, "string");
}

std::expected<Array, kernel::NamedError> File::array(std::string_view key, ValueType element_type) const {
  auto array = typed<Array>(*this, key, [](const Value& value) { return value.as_array(); }, "an array");
  if (array && array->element_type() != element_type) {
    return kernel::fail("gguf-wrong-type", "'{}' is an array of {}, expected an array of {}", shown(key),
                        array->element_type(), element_type);
  }
  return array;
}

void File::read_keys(Cursor& cursor, std::uint64_t count) {
  keys_ = make_table<Key>(cursor, count, kMaxKeys, kLeastKeyBytes, "keys");
  for (std::uint64_t i = 0; i < count && !cursor.failed(); ++i) {
    keys_[i] = read_key(cursor);
  }
  if (!cursor.failed()) {
    key_count_ = count;
    key_order_ = order_by_name(cursor, keys(), "keys");
  }
}

void File::read_alignment(Cursor& cursor) {
  if (cursor.failed()) {
    return;
  }
  const auto alignment = integer_or(kAlignmentKey, kDefaultAlignment, {.least = 8, .most = kMaxAlignment});
  if (!alignment) {
    cursor.refuse(std::unexpected(alignment.error()));
  } else if ((*alignment & (*alignment - 1)) != 0) {
    cursor.refuse(kernel::fail("gguf-bad-file", "'{}' is {}, expected a power of two", kAlignmentKey, *alignment));
  } else {
    alignment_ = *alignment;
  }
}

void File::read_tensors(Cursor& cursor, std::uint64_t count, std::span<const std::byte> bytes) {
  tensors_ = make_table<Tensor>(cursor, count, kMaxTensors, kLeastTensorBytes, "tensors");
  for (std::uint64_t i = 0; i < count && !cursor.failed(); ++i) {
    tensors_[i] = read_tensor(cursor, alignment_);
  }
  // A file without data may end without the padding.
  const std::uint64_t begin = std::min<std::uint64_t>((cursor.at() + alignment_ - 1) & ~(alignment_ - 1), bytes.size());
  for (std::uint64_t i = 0; i < count && !cursor.failed(); ++i) {
    if (const kernel::Outcome placed = place_tensor(tensors_[i], bytes, begin); !placed) {
      cursor.refuse(std::unexpected(placed.error()));
    }
  }
  if (!cursor.failed()) {
    tensor_count_ = count;
    check_overlaps(cursor, tensors());
    tensor_order_ = order_by_name(cursor, tensors(), "tensors");
  }
}

std::expected<File, kernel::NamedError> File::open(std::span<const std::byte> bytes) {
  Cursor cursor(bytes);
  check_header(cursor);
  const auto tensors = cursor.number<std::uint64_t>("a number of tensors");
  const auto keys = cursor.number<std::uint64_t>("a number of keys");
  File file;
  file.read_keys(cursor, keys);
  file.read_alignment(cursor);
  file.read_tensors(cursor, tensors, bytes);
  if (cursor.failed()) {
    return cursor.error();
  }
  return file;
}

}  // namespace guest::gguf
