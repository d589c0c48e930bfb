// operator new and delete of the guest, on the kernel's heap. Plain new panics where there is no memory: the kernel has
// no exceptions. Code that can do without the memory uses new (std::nothrow) or the heap itself.
#include <new>

#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"

namespace std {
const nothrow_t nothrow{};  // libstdc++'s lies in a part of it that is not linked
}

namespace {

using guest::kernel::Heap;

void* allocate(std::size_t bytes, std::size_t alignment) {
  return guest::kernel::kernel_heap().allocate(bytes, alignment);
}

void* allocate_or_panic(std::size_t bytes, std::size_t alignment) {
  void* const block = allocate(bytes, alignment);
  if (block == nullptr) {
    guest::kernel::panic_at(guest::kernel::here(), "no memory for {} bytes", bytes);
  }
  return block;
}

void release(void* block) {
  if (block != nullptr) {
    guest::kernel::kernel_heap().free(block);
  }
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate_or_panic(bytes, Heap::kMinAlignment); }
void* operator new[](std::size_t bytes) { return allocate_or_panic(bytes, Heap::kMinAlignment); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_panic(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_panic(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes, Heap::kMinAlignment); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes, Heap::kMinAlignment); }
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}

void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { release(block); }
