#include "guest/kernel/counters.hpp"

namespace guest::kernel {

bool CounterRegistry::add(Counter& counter) {
  if (counter.registered_ || find(counter.name()) != nullptr) {
    return false;
  }
  counter.registered_ = true;
  counter.next_ = nullptr;
  if (last_ == nullptr) {
    first_ = &counter;
  } else {
    last_->next_ = &counter;
  }
  last_ = &counter;
  ++size_;
  return true;
}

const Counter* CounterRegistry::find(std::string_view name) const {
  for (const Counter* counter = first_; counter != nullptr; counter = counter->next_) {
    if (counter->name() == name) {
      return counter;
    }
  }
  return nullptr;
}

CounterRegistry& counters() {
  static constinit CounterRegistry registry;
  return registry;
}

}  // namespace guest::kernel
