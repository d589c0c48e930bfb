#include "guest/kernel/lock_classes.hpp"

namespace guest::kernel {
namespace {
// Without measurements nothing refers to it, and the linker drops it.
constinit LockClass classes[kMaxLockClasses];
}  // namespace

void LockClass::count(bool waited) {
  acquisitions_.fetch_add(1, std::memory_order_relaxed);
  contended_.fetch_add(waited ? 1 : 0, std::memory_order_relaxed);
}

void LockClass::add(std::uint64_t held_ticks) {
  total_ticks_.fetch_add(held_ticks, std::memory_order_relaxed);
  std::uint64_t longest = max_ticks_.load(std::memory_order_relaxed);
  while (held_ticks > longest && !max_ticks_.compare_exchange_weak(longest, held_ticks, std::memory_order_relaxed)) {
  }
}

std::string_view LockClass::name() const {
  // Acquire pairs with the release in take(): with the length, the text is there.
  const std::size_t bytes = name_bytes_.load(std::memory_order_acquire);
  return {bytes == 0 ? "" : name_.load(std::memory_order_relaxed), bytes};
}

LockStatistics LockClass::read() const {
  return {.acquisitions = acquisitions_.load(std::memory_order_relaxed),
          .contended = contended_.load(std::memory_order_relaxed),
          .total_held_ticks = total_ticks_.load(std::memory_order_relaxed),
          .max_held_ticks = max_ticks_.load(std::memory_order_relaxed)};
}

/// True: the class is that of `name`, maybe since now.
bool LockClass::take(std::string_view name) {
  const char* taken = nullptr;
  if (name_.compare_exchange_strong(taken, name.data(), std::memory_order_relaxed)) {
    name_bytes_.store(name.size(), std::memory_order_release);
    return true;
  }
  // The same literal is of the same length, which another CPU may be about to write. Equal texts at two addresses: two
  // files of the source have the literal each.
  return taken == name.data() || this->name() == name;
}

LockClass& lock_class(std::string_view name) {
  for (LockClass& each : classes) {
    if (each.take(name)) {
      return each;
    }
  }
  return classes[kMaxLockClasses - 1];
}

const LockClass* find_lock_class(std::size_t index) {
  return index < kMaxLockClasses && !classes[index].name().empty() ? &classes[index] : nullptr;
}

}  // namespace guest::kernel
