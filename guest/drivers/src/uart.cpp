#include "guest/drivers/uart.hpp"

#include "guest/kernel/critical.hpp"

namespace guest::drivers {

namespace {
/// Bytes that one interrupt moves at most, so that a flood cannot keep the CPU in the handler: the line stays raised
/// and the next interrupt goes on.
constexpr unsigned kBytesPerInterrupt = 64;
}  // namespace

bool Uart::wait_for_room() {
  const std::uint32_t polls = stalled_ ? 1 : kMaxPolls;
  for (std::uint32_t i = 0; i < polls; ++i) {
    if (transmit_ready()) {
      stalled_ = false;
      return true;
    }
  }
  stalled_ = true;
  return false;
}

void Uart::write(std::string_view text) {
  std::uint64_t sent = 0;
  for (const char c : text) {
    if (wait_for_room()) {
      transmit(static_cast<std::uint8_t>(c));
      ++sent;
    }
  }
  tx_bytes_.add(sent);
  if (sent != text.size()) {
    tx_dropped_.add(text.size() - sent);
  }
}

void Uart::start_receiving(kernel::WorkQueue& queue, kernel::WorkItem& on_input) {
  queue_ = &queue;
  on_input_ = &on_input;
  if (input_.size() != 0) {
    queue.raise(on_input);
  }
  set_receive_interrupt(true);
}

void Uart::on_interrupt() {
  interrupts_.add();
  if ((move_input() || receive_held_) && queue_ != nullptr) {
    queue_->raise(*on_input_);
  }
}

bool Uart::move_input() {
  bool arrived = false;
  for (unsigned i = 0; i < kBytesPerInterrupt; ++i) {
    if (input_.full()) {
      receive_held_ = true;
      rx_held_.add();
      set_receive_interrupt(false);
      break;
    }
    const Received received = receive();
    if (received.kind == Received::Kind::Nothing) {
      break;
    }
    if (received.overrun) {
      rx_overruns_.add();
    }
    if (received.kind == Received::Kind::Error) {
      rx_errors_.add();
      continue;
    }
    input_.push(received.value);
    rx_bytes_.add();
    arrived = true;
  }
  return arrived;
}

std::size_t Uart::read(std::span<std::byte> out) {
  const std::size_t count = input_.pop(out);
  // Only this function clears receive_held_, and while it is set the interrupt is masked, so the handler does not race.
  const kernel::CriticalSection section;
  if (receive_held_ && input_.size() <= kInputBytes / 2) {
    receive_held_ = false;
    set_receive_interrupt(true);
  }
  return count;
}

void Uart::register_counters(kernel::CounterRegistry& registry) {
  for (kernel::Counter* counter :
       {&tx_bytes_, &tx_dropped_, &rx_bytes_, &rx_errors_, &rx_overruns_, &rx_held_, &interrupts_}) {
    registry.add(*counter);
  }
}

}  // namespace guest::drivers
