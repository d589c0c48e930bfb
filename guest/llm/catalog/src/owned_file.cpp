#include "guest/llm/catalog/owned_file.hpp"

#include <new>

#include "guest/ml/memory.hpp"

namespace guest::llm {
namespace {

/// What regions of the NPU are aligned to.
constexpr std::align_val_t kAlign{ml::Memory::kAlignment};
static_assert(OwnedFile::kMaxBytes == ml::Memory::kMaxBytes);

}  // namespace

std::expected<OwnedFile, kernel::NamedError> OwnedFile::make(std::uint64_t bytes) {
  auto* const block = bytes == 0 || bytes > kMaxBytes ? nullptr : new (kAlign, std::nothrow) std::byte[bytes];
  if (block == nullptr) {
    return kernel::fail("llm-no-memory", "no {} bytes for a model: 1 to {}, if there are as many", bytes, kMaxBytes);
  }
  return OwnedFile({block, bytes});
}

OwnedFile::~OwnedFile() { ::operator delete[](bytes_.data(), kAlign); }

}  // namespace guest::llm
