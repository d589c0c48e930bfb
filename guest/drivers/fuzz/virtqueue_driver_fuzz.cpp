// A hostile device behind the driver's virtqueue: it writes anything anywhere into the queue's memory at any time. The
// queue may break; it must hand out no token twice, no length beyond the chain's, and touch no other memory.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "guest/drivers/virtqueue.hpp"

namespace {

using guest::drivers::QueueSegment;
using guest::drivers::Virtqueue;
using guest::kernel::PhysAddr;
using guest::kernel::Status;

constexpr std::uint64_t kBase = 0x4000'0000;

struct Input {
  const std::uint8_t* data;
  std::size_t size;
  std::uint8_t byte() {
    if (size == 0) return 0;
    --size;
    return *data++;
  }
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | byte();
    return value;
  }
};

class Machine {
 public:
  explicit Machine(const Virtqueue::Options& options)
      : options_(options),
        bytes_(Virtqueue::memory_bytes(options)),
        memory_(static_cast<std::byte*>(std::aligned_alloc(16, (bytes_ + 15) / 16 * 16))) {
    if (queue_.init(options, {.bytes = {memory_.get(), bytes_}, .address = PhysAddr{kBase}}) != Status::Ok) {
      __builtin_trap();
    }
    used_ = guest::kernel::raw(queue_.addresses().device_area) - kBase;
  }

  void step(Input& input) {
    switch (input.byte() % 8) {
      case 0:
      case 1:
        add(input);
        break;
      case 2:
        take();
        break;
      case 3:
        (void)queue_.take_notification();
        (void)queue_.arm_interrupt(input.byte() % 4U);
        break;
      case 4:
        queue_.disarm_interrupt();
        break;
      case 5: {  // anything anywhere
        const std::size_t at = input.word() % bytes_;
        const std::uint32_t value = input.word();
        std::memcpy(memory_.get() + at, &value, std::min<std::size_t>(4, bytes_ - at));
        break;
      }
      default:
        push_used(input);
    }
    const bool sound = queue_.broken() || queue_.in_flight() == in_flight_.size();
    if (!sound || queue_.room(1) > options_.size) __builtin_trap();
  }

 private:
  struct Free {
    void operator()(std::byte* block) const { std::free(block); }
  };

  void add(Input& input) {
    std::vector<QueueSegment> readable(input.byte() % 4U);
    std::vector<QueueSegment> writable(input.byte() % 4U);
    std::uint32_t writable_bytes = 0;
    for (auto& each : readable) each = {.address = PhysAddr{kBase}, .bytes = 1U + input.byte()};
    for (auto& each : writable) {
      each = {.address = PhysAddr{kBase}, .bytes = 1U + input.byte()};
      writable_bytes += each.bytes;
    }
    if (queue_.add(readable, writable, token_) == Status::Ok) in_flight_[token_++] = writable_bytes;
  }

  void take() {
    const auto taken = queue_.take_used();
    if (!taken) return;
    const auto at = in_flight_.find(taken->token);
    if (at == in_flight_.end() || taken->written_bytes > at->second) __builtin_trap();
    in_flight_.erase(at);
  }

  /// A used entry that may be right.
  void push_used(Input& input) {
    std::uint16_t idx = 0;
    std::memcpy(&idx, memory_.get() + used_ + 2, 2);
    const std::uint32_t entry[2] = {input.byte(), input.byte()};
    std::memcpy(memory_.get() + used_ + 4 + std::size_t{8} * (idx % options_.size), entry, 8);
    ++idx;
    std::memcpy(memory_.get() + used_ + 2, &idx, 2);
  }

  Virtqueue::Options options_;
  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t used_ = 0;
  Virtqueue queue_;
  std::map<std::uint16_t, std::uint32_t> in_flight_;
  std::uint16_t token_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const std::uint8_t shape = input.byte();
  Machine machine({.size = static_cast<std::uint16_t>(1U << (shape % 6)),
                   .event_idx = (shape & 64) != 0,
                   .indirect_segments = static_cast<std::uint16_t>((shape & 128) != 0 ? 4 : 0)});
  while (input.size != 0) machine.step(input);
  return 0;
}
