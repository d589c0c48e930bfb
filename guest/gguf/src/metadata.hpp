// Keys of a file.
#pragma once

#include "cursor.hpp"
#include "guest/gguf/value.hpp"

namespace guest::gguf {

/// The fewest bytes that a key takes: a name of one byte, and a value of one.
inline constexpr std::uint64_t kLeastKeyBytes = 8 + 1 + 4 + 1;

/// Reads the key that comes next. Errors: File::open().
Key read_key(Cursor& cursor);

}  // namespace guest::gguf
