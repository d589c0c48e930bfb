// What a file says of its tensors.
#pragma once

#include "cursor.hpp"
#include "guest/gguf/tensor.hpp"

namespace guest::gguf {

/// The fewest bytes that a tensor's entry takes: a name of one byte, and one dimension.
inline constexpr std::uint64_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

/// Reads the entry that comes next; its shape is sound, and its bytes fit 63 bits. Where the tensors' data begins is
/// not known before all entries are read, so `offset` counts from there, and there is no `data`. Errors: File::open().
Tensor read_tensor(Cursor& cursor, std::uint64_t alignment);

/// Makes `offset` one in the file, and finds `data`, of a tensor of read_tensor(). `data_begin` is at most the file's
/// size.
kernel::Outcome place_tensor(Tensor& tensor, std::span<const std::byte> file, std::uint64_t data_begin);

}  // namespace guest::gguf
