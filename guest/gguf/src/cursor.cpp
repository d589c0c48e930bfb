#include "cursor.hpp"

namespace guest::gguf {

std::span<const std::byte> Cursor::take(std::uint64_t bytes, std::string_view what) {
  if (failed()) {
    return {};
  }
  if (bytes > left()) {
    refuse(kernel::fail("gguf-truncated", "{} at byte {} needs {} bytes, {} of {} are left", what, at_, bytes, left(),
                        file_.size()));
    return {};
  }
  const auto taken = file_.subspan(at_, bytes);
  at_ += bytes;
  return taken;
}

std::string_view Cursor::text(std::uint64_t most, std::string_view what) {
  const std::size_t begin = at_;
  const auto length = number<std::uint64_t>(what);
  if (length > most) {
    refuse(kernel::fail("gguf-bad-file", "{} at byte {} has {} bytes, expected at most {}", what, begin, length, most));
  }
  const auto bytes = take(length, what);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // char aliases anything
}

}  // namespace guest::gguf
