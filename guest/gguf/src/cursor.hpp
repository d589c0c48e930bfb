// What comes next in a file.
//
// The first thing that does not fit is kept as the error, and from then on nothing is there: numbers are 0, spans are
// empty. So a row of reads needs one look at failed() at its end, but a loop needs one in every turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/named_error.hpp"
#include "little_endian.hpp"

namespace guest::gguf {

class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> file) : file_(file) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return file_.size() - at_; }
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  /// After failed().
  [[nodiscard]] std::unexpected<kernel::NamedError> error() const { return std::unexpected(*error_); }

  /// `what` says in the error what was wanted.
  std::span<const std::byte> take(std::uint64_t bytes, std::string_view what);
  template <typename T>
  T number(std::string_view what) {
    const auto bytes = take(sizeof(T), what);
    return failed() ? T{0} : load<T>(bytes.data());
  }
  /// u64 length, bytes. Longer than `most` is an error.
  std::string_view text(std::uint64_t most, std::string_view what);

  /// Keeps the error, unless there is one: `cursor.refuse(kernel::fail(...))`.
  void refuse(const std::unexpected<kernel::NamedError>& error) {
    if (!failed()) {
      error_ = error.error();
    }
  }

 private:
  std::span<const std::byte> file_;
  std::size_t at_ = 0;
  std::optional<kernel::NamedError> error_;
};

/// The part of a name of a file that an error shows.
inline kernel::Escaped shown(std::string_view name) { return kernel::escaped(name.substr(0, 48)); }

}  // namespace guest::gguf
