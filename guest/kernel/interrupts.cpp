#include "guest/kernel/interrupts.hpp"

#include "guest/kernel/critical.hpp"

namespace guest::kernel {

bool Interrupts::attach(IntId id, Trigger trigger, std::string_view name, InterruptHandler handler, void* context) {
  const auto number = static_cast<std::uint32_t>(id);
  if (controller_ == nullptr || handler == nullptr || number >= kMaxIds || number >= controller_->count() ||
      used_ == kMaxHandlers || index_plus_one_[number] != 0) {
    return false;
  }
  const CriticalSection section;
  entries_[used_] = {.id = id, .name = name, .handler = handler, .context = context, .count = 0};
  ++used_;
  index_plus_one_[number] = static_cast<std::uint8_t>(used_);
  controller_->enable(id, trigger);
  return true;
}

void Interrupts::dispatch(IntId id) {
  const auto number = static_cast<std::uint32_t>(id);
  const std::uint8_t slot = number < kMaxIds ? index_plus_one_[number] : std::uint8_t{0};
  if (slot == 0) [[unlikely]] {
    ++unhandled_;
    if (controller_ != nullptr && number < controller_->count()) {
      controller_->disable(id);
    }
    return;
  }
  Entry& entry = entries_[slot - 1];
  ++entry.count;
  entry.handler(entry.context);
}

Interrupts& interrupts() {
  static constinit Interrupts table;
  return table;
}

}  // namespace guest::kernel
