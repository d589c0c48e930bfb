// Memory that the hostile driver shares with the NPU, and random numbers.
//
//   [ rings of both queues | requests and replies, a slot each | guard | tensors | guard ]
//
// Whatever the driver offers as writable lies in the replies, in the tensors, or nowhere in RAM: so the guards stay as
// they are, and the kernel lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "guest/drivers/dma.hpp"

namespace guest::hostile {

/// xorshift64*.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e37'79b9'7f4a'7c15 | 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545'f491'4f6c'dd1d;
  }
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>((next() >> 32) % limit); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

inline constexpr std::size_t kRingBytes = std::size_t{16} * 1024;
inline constexpr std::size_t kSlots = 16;  ///< of each queue
inline constexpr std::size_t kSlotBytes = 4096;
inline constexpr std::size_t kReplyOffset = 3072;  ///< in a slot; what is before it is the request
inline constexpr std::size_t kReplyBytes = 256;
inline constexpr std::size_t kGuardBytes = std::size_t{64} * 1024;
inline constexpr std::size_t kTensorBytes = std::size_t{2} * 1024 * 1024;

class Arena {
 public:
  static constexpr std::size_t kBytes = 2 * kRingBytes + 2 * kSlots * kSlotBytes + 2 * kGuardBytes + kTensorBytes;

  /// `memory` has kBytes.
  explicit Arena(const drivers::DmaBuffer& memory) : memory_(memory) {
    std::memset(first_guard().bytes.data(), kPattern, kGuardBytes);
    std::memset(second_guard().bytes.data(), kPattern, kGuardBytes);
  }

  [[nodiscard]] drivers::DmaBuffer ring(std::size_t queue) const {
    return memory_.part(queue * kRingBytes, kRingBytes);
  }
  [[nodiscard]] drivers::DmaBuffer request(std::size_t queue, std::size_t slot) const {
    return memory_.part(slot_offset(queue, slot), kReplyOffset);
  }
  [[nodiscard]] drivers::DmaBuffer reply(std::size_t queue, std::size_t slot) const {
    return memory_.part(slot_offset(queue, slot) + kReplyOffset, kReplyBytes);
  }
  [[nodiscard]] drivers::DmaBuffer tensors() const { return memory_.part(kTensors, kTensorBytes); }

  /// Nobody has written to them.
  [[nodiscard]] bool guards_are_whole() const { return is_whole(first_guard()) && is_whole(second_guard()); }

 private:
  static constexpr unsigned char kPattern = 0xA5;
  static constexpr std::size_t kFirstGuard = 2 * kRingBytes + 2 * kSlots * kSlotBytes;
  static constexpr std::size_t kTensors = kFirstGuard + kGuardBytes;

  static constexpr std::size_t slot_offset(std::size_t queue, std::size_t slot) {
    return 2 * kRingBytes + (queue * kSlots + slot) * kSlotBytes;
  }
  [[nodiscard]] drivers::DmaBuffer first_guard() const { return memory_.part(kFirstGuard, kGuardBytes); }
  [[nodiscard]] drivers::DmaBuffer second_guard() const { return memory_.part(kTensors + kTensorBytes, kGuardBytes); }
  static bool is_whole(const drivers::DmaBuffer& guard) {
    for (const std::byte byte : guard.bytes) {
      if (byte != std::byte{kPattern}) {
        return false;
      }
    }
    return true;
  }

  drivers::DmaBuffer memory_;
};

}  // namespace guest::hostile
