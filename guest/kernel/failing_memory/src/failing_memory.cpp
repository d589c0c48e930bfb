#include "guest/kernel/failing_memory/failing_memory.hpp"

#include <cstdint>
#include <new>

namespace guest::kernel {
namespace {

constexpr std::size_t kNever = SIZE_MAX;
std::size_t left = kNever;  ///< allocations until the one that fails
bool failed = false;

bool fails() {
  if (left == kNever) {
    return false;
  }
  if (left == 0) {
    failed = true;
    left = kNever;
    return true;
  }
  --left;
  return false;
}

}  // namespace

FailingMemory::FailingMemory(std::size_t fails_at) {
  left = fails_at;
  failed = false;
}

FailingMemory::~FailingMemory() { left = kNever; }

bool FailingMemory::has_failed() const { return failed; }

}  // namespace guest::kernel

// What the library has for these is replaced; the memory is that of the others, so that any delete fits.

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return guest::kernel::fails() ? nullptr : ::operator new(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return guest::kernel::fails() ? nullptr : ::operator new[](bytes);
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return guest::kernel::fails() ? nullptr : ::operator new(bytes, alignment);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return guest::kernel::fails() ? nullptr : ::operator new[](bytes, alignment);
}
