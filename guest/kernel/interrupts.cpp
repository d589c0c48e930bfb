#include "guest/kernel/interrupts.hpp"

namespace guest::kernel {

bool Interrupts::attach(IntId id, Trigger trigger, std::string_view name, InterruptHandler handler, void* context) {
  const auto number = static_cast<std::uint32_t>(id);
  const SpinGuard guard(lock_);
  const std::uint32_t used = used_.load(std::memory_order_relaxed);  // changed under the lock only
  if (controller_ == nullptr || handler == nullptr || number >= kMaxIds || number >= controller_->count() ||
      used == kMaxHandlers || index_plus_one_[number].load(std::memory_order_relaxed) != 0) {
    return false;
  }
  entries_[used] = {.id = id, .name = name, .trigger = trigger, .handler = handler, .context = context};
  // Release pairs with the acquires in size() and in dispatch() on another CPU: the entry is complete there.
  used_.store(used + 1, std::memory_order_release);
  index_plus_one_[number].store(static_cast<std::uint8_t>(used + 1), std::memory_order_release);
  controller_->enable(id, trigger);
  return true;
}

/// Nobody handles it: it must not storm.
void Interrupts::refuse(IntId id) {
  increment(per_cpu_[cpu_index()].unhandled);
  if (controller_ != nullptr && static_cast<std::uint32_t>(id) < controller_->count()) {
    controller_->disable(id);
  }
}

void Interrupts::count_spurious() { increment(per_cpu_[cpu_index()].spurious); }

bool Interrupts::enable_here(IntId id) {
  const auto number = static_cast<std::uint32_t>(id);
  if (number >= kPrivateInterrupts) {
    return false;
  }
  const SpinGuard guard(lock_);
  const std::uint8_t slot = index_plus_one_[number].load(std::memory_order_relaxed);
  if (slot == 0) {
    return false;
  }
  controller_->enable(id, entries_[slot - 1].trigger);
  return true;
}

void Interrupts::enable_software_here() {
  for (std::uint32_t number = 0; number < kSoftwareInterrupts; ++number) {
    (void)enable_here(IntId{number});  // false: nobody uses it
  }
}

std::uint64_t Interrupts::count(std::uint32_t index, std::uint32_t cpu) const {
  return per_cpu_[cpu].taken[index].load(std::memory_order_relaxed);
}

std::uint64_t Interrupts::count(std::uint32_t index) const {
  std::uint64_t sum = 0;
  for (std::uint32_t cpu = 0; cpu < kMaxCpus; ++cpu) {
    sum += count(index, cpu);
  }
  return sum;
}

std::uint64_t Interrupts::taken(std::uint32_t cpu) const {
  std::uint64_t sum = per_cpu_[cpu].unhandled.load(std::memory_order_relaxed);
  for (std::uint32_t index = 0; index < size(); ++index) {
    sum += count(index, cpu);
  }
  return sum;
}

std::uint64_t Interrupts::software_taken(std::uint32_t cpu) const {
  std::uint64_t sum = 0;
  for (std::uint32_t index = 0; index < size(); ++index) {
    if (static_cast<std::uint32_t>(entries_[index].id) < kSoftwareInterrupts) {
      sum += count(index, cpu);
    }
  }
  return sum;
}

std::uint64_t Interrupts::unhandled() const {
  std::uint64_t sum = 0;
  for (const PerCpu& counts : per_cpu_) {
    sum += counts.unhandled.load(std::memory_order_relaxed);
  }
  return sum;
}

std::uint64_t Interrupts::spurious() const {
  std::uint64_t sum = 0;
  for (const PerCpu& counts : per_cpu_) {
    sum += counts.spurious.load(std::memory_order_relaxed);
  }
  return sum;
}

constinit Interrupts the_interrupts;

}  // namespace guest::kernel
