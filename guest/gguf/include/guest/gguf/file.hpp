// GGUF files, version 3, little-endian, read in place (docs/models.md; the format is ggml's, docs/gguf.md).
//
//   "GGUF", u32 version, u64 tensors, u64 keys
//   keys      name, type, value: u64 length and bytes for text; type, count, elements for arrays
//   tensors   name, dimensions, extents, type, offset of the data from where data begins
//   padding to the alignment, and the tensors' data, each at a multiple of it
//
// A file is hostile. All of it but the tensors' elements is checked when it is opened; what is handed out lies in it.
// Memory is allocated only for as many keys and tensors as there are bytes for. No floating point. Any context that may
// allocate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "guest/gguf/tensor.hpp"
#include "guest/gguf/value.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::gguf {

class Cursor;

/// What a number may be, both included.
struct Limits {
  std::uint64_t least = 0;
  std::uint64_t most = UINT64_MAX;
};

/// An open file. Refers to its bytes. Const calls from any thread.
class File {
 public:
  static constexpr std::uint32_t kVersion = 3;
  static constexpr std::uint64_t kMaxKeys = 1024;
  static constexpr std::uint64_t kMaxTensors = 4096;
  static constexpr std::uint64_t kMaxKeyBytes = 65'535;     ///< ggml, docs/gguf.md, gguf_metadata_kv_t
  static constexpr std::uint64_t kMaxTensorNameBytes = 64;  ///< gguf_tensor_info_t
  static constexpr std::uint64_t kDefaultAlignment = 32;
  static constexpr std::uint64_t kMaxAlignment = 65'536;

  /// Reads `bytes`, which must outlive this object and stay unchanged. Errors:
  ///   gguf-bad-file      not GGUF, or a part of it is not what it must be: which, at which byte, what was expected
  ///   gguf-truncated     something does not end within the file
  ///   gguf-unsupported   another version or byte order, a tensor's type or an array of arrays that is not read here
  ///   gguf-too-many      more than kMaxKeys or kMaxTensors
  ///   gguf-duplicate     two keys or two tensors of one name
  ///   gguf-overlap       two tensors share bytes
  ///   gguf-no-memory
  /// and those of values, below, for general.alignment.
  static std::expected<File, kernel::NamedError> open(std::span<const std::byte> bytes);

  [[nodiscard]] std::uint64_t alignment() const { return alignment_; }
  /// In the file's order, as are the tensors.
  [[nodiscard]] std::span<const Key> keys() const { return {keys_.get(), key_count_}; }
  [[nodiscard]] std::span<const Tensor> tensors() const { return {tensors_.get(), tensor_count_}; }
  /// Null: there is none. Of the file, as long as it lives.
  [[nodiscard]] const Value* find(std::string_view key) const;
  [[nodiscard]] const Tensor* find_tensor(std::string_view name) const;

  // Values by key. Errors of all:
  //   gguf-missing-key    there is none of this name
  //   gguf-wrong-type     it is of another type: which, and what was expected
  //   gguf-out-of-range   a number outside of its limits

  /// Of any integer type.
  [[nodiscard]] std::expected<std::uint64_t, kernel::NamedError> integer(std::string_view key,
                                                                         Limits limits = {}) const;
  [[nodiscard]] std::expected<std::uint32_t, kernel::NamedError> f32_bits(std::string_view key) const;
  [[nodiscard]] std::expected<bool, kernel::NamedError> boolean(std::string_view key) const;
  [[nodiscard]] std::expected<std::string_view, kernel::NamedError> text(std::string_view key) const;
  [[nodiscard]] std::expected<Array, kernel::NamedError> array(std::string_view key, ValueType element_type) const;

  // The same with what holds where there is no such key.

  [[nodiscard]] std::expected<std::uint64_t, kernel::NamedError> integer_or(std::string_view key,
                                                                            std::uint64_t fallback,
                                                                            Limits limits = {}) const {
    return find(key) != nullptr ? integer(key, limits) : fallback;
  }
  [[nodiscard]] std::expected<std::uint32_t, kernel::NamedError> f32_bits_or(std::string_view key,
                                                                             std::uint32_t fallback) const {
    return find(key) != nullptr ? f32_bits(key) : fallback;
  }
  [[nodiscard]] std::expected<bool, kernel::NamedError> boolean_or(std::string_view key, bool fallback) const {
    return find(key) != nullptr ? boolean(key) : fallback;
  }
  [[nodiscard]] std::expected<std::string_view, kernel::NamedError> text_or(std::string_view key,
                                                                            std::string_view fallback) const {
    return find(key) != nullptr ? text(key) : fallback;
  }

 private:
  /// Order of the names: indexes into keys_ or tensors_.
  using Order = std::unique_ptr<std::uint16_t[]>;

  File() = default;
  void read_keys(Cursor& cursor, std::uint64_t count);
  void read_alignment(Cursor& cursor);
  void read_tensors(Cursor& cursor, std::uint64_t count, std::span<const std::byte> bytes);

  std::uint64_t alignment_ = kDefaultAlignment;
  std::unique_ptr<Key[]> keys_;
  std::unique_ptr<Tensor[]> tensors_;
  Order key_order_;
  Order tensor_order_;
  std::size_t key_count_ = 0;
  std::size_t tensor_count_ = 0;
};

}  // namespace guest::gguf
