// What a device sees of a request: bytes to read, then bytes to write; never descriptors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "vmm/memory/guest_memory.hpp"

namespace vmm::virtio {

/// A cursor over a list of slices of guest memory. Base of Reader and Writer.
class SliceCursor {
 public:
  /// Bytes between the cursor and the end.
  [[nodiscard]] std::size_t available() const { return available_; }
  /// Bytes before the cursor.
  [[nodiscard]] std::size_t consumed() const { return consumed_; }
  /// Moves the cursor on, at most to the end; returns by how much.
  std::size_t skip(std::size_t bytes);
  /// Describes the next bytes, at most `max_bytes` of them, for readv/writev, without moving the cursor (skip() does,
  /// by what was transferred).
  /// @return how many entries of `out` were filled; fewer bytes than asked if it has too few entries
  std::size_t peek_io(std::span<iovec> out, std::size_t max_bytes) const;

 protected:
  SliceCursor() = default;
  explicit SliceCursor(std::span<const GuestSlice> slices);
  /// The part of the current slice behind the cursor, not empty unless available() is 0.
  [[nodiscard]] GuestSlice current() const;

 private:
  std::span<const GuestSlice> slices_;
  std::size_t offset_ = 0;  ///< into slices_[0]
  std::size_t available_ = 0;
  std::size_t consumed_ = 0;
};

/// Reads the device-readable part of a chain, each byte once.
class Reader : public SliceCursor {
 public:
  Reader() = default;
  explicit Reader(std::span<const GuestSlice> slices) : SliceCursor(slices) {}

  /// Copies out min(to.size(), available()) bytes; returns how many.
  std::size_t read(std::span<std::byte> to);
  /// One value, or nothing (and no movement) if fewer bytes are left.
  template <typename T>
  std::optional<T> read() {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
    if (available() < sizeof(T)) return std::nullopt;
    T value;
    read(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
};

/// Writes the device-writable part of a chain. consumed() is what the used ring must say was written.
class Writer : public SliceCursor {
 public:
  Writer() = default;
  explicit Writer(std::span<const GuestSlice> slices) : SliceCursor(slices) {}

  /// Copies in min(from.size(), available()) bytes; returns how many.
  std::size_t write(std::span<const std::byte> from);
  /// One value; false (and no movement) if it does not fit.
  template <typename T>
    requires(!std::is_convertible_v<const T&, std::span<const std::byte>>)
  bool write(const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
    if (available() < sizeof(T)) return false;
    write(std::as_bytes(std::span(&value, 1)));
    return true;
  }
};

/// One request from a virtqueue, validated: every byte of it lies in guest memory, readable parts come first. Reused
/// from request to request, so that a queue in steady state allocates nothing.
class DescriptorChain {
 public:
  [[nodiscard]] Reader reader() const { return Reader(readable_); }
  [[nodiscard]] Writer writer() const { return Writer(writable_); }
  /// What Virtqueue::push() wants back.
  [[nodiscard]] std::uint16_t head() const { return head_; }

 private:
  friend class Virtqueue;
  std::uint16_t head_ = 0;
  std::vector<GuestSlice> readable_;
  std::vector<GuestSlice> writable_;
};

}  // namespace vmm::virtio
