// Jobs and control requests that are right, nearly right, or not at all.
#pragma once

#include <span>

#include "abi/npu.hpp"
#include "arena.hpp"

namespace guest::hostile {

/// Handles that the device gave out, and some that it did not.
class Handles {
 public:
  void clear() { count_ = 0; }
  void add(std::uint32_t handle) { handles_[count_++ % kMax] = handle; }
  [[nodiscard]] std::uint32_t any(Random& random) const {
    if (count_ == 0 || random.one_in(12)) {
      return random.one_in(2) ? random.below(0x4000) : static_cast<std::uint32_t>(random.next());
    }
    return handles_[random.below(count_ < kMax ? count_ : kMax)];
  }

 private:
  static constexpr std::uint32_t kMax = 32;
  std::uint32_t handles_[kMax] = {};
  std::uint32_t count_ = 0;
};

/// Some commands, of which most could run if a region of all tensors is there; `whole` is its handle.
void make_commands(Random& random, const Handles& handles, std::uint32_t whole, std::span<abi::npu::Command> out);
/// One that takes a good part of a second, if `whole` is such a region.
abi::npu::Command make_long_command(std::uint32_t whole);
/// The header of a job of so many commands; it may say something else.
abi::npu::JobHeader make_header(Random& random, std::uint32_t commands);
/// Any control request. Regions that it registers lie in the tensors or are none.
abi::npu::ControlRequest make_request(Random& random, const Handles& handles, const drivers::DmaBuffer& tensors);
/// A region that must be refused: it wraps, is longer than memory, is no memory, or is empty.
abi::npu::ControlRequest make_bad_region(Random& random, const drivers::DmaBuffer& tensors);

}  // namespace guest::hostile
