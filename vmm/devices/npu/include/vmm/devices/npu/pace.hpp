// How fast this host runs modelled cycles: learned from slices that have run, so that the next one is as long as it
// shall be, and shared where that pays.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "abi/npu.hpp"
#include "npu/stream/checked_command.hpp"

namespace vmm::npu {

/// For each opcode and type of its weights. Thread: the engine's.
class Pace {
 public:
  /// A slice of so many modelled cycles took each of `threads` so long. What the host did besides counts, so one slice
  /// changes little.
  void learn(const ::npu::Checked& command, std::uint64_t cycles, std::chrono::nanoseconds time, unsigned threads) {
    if (cycles < kLeastCycles) return;
    std::uint64_t& pace = ps_per_cycle_[index_of(command)];
    const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.count()));
    const std::uint64_t found = std::min(ns, kMostNs) * kPsPerNs * threads / cycles;
    pace = std::clamp(found, std::max<std::uint64_t>(1, pace / 2), std::min(pace * 2, kMostPs));
  }

  /// Modelled cycles that a thread runs in `time`, at least 1.
  [[nodiscard]] std::uint64_t cycles_in(const ::npu::Checked& command, std::chrono::microseconds time) const {
    const auto ps = static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count()) * kPsPerNs;
    return std::max<std::uint64_t>(1, ps / ps_per_cycle_[index_of(command)]);
  }

 private:
  static constexpr std::uint64_t kPsPerNs = 1000;
  /// Before anything is known: what slow kernels take, so that the first slices are short.
  static constexpr std::uint64_t kFirstPs = 10'000;
  static constexpr std::uint64_t kMostPs = 1'000'000'000;
  static constexpr std::uint64_t kMostNs = 1'000'000'000;
  /// Below, starting and the clock count.
  static constexpr std::uint64_t kLeastCycles = 5000;
  static constexpr std::size_t kTypes = 8;

  static std::size_t index_of(const ::npu::Checked& command) {
    const auto type = static_cast<std::size_t>(command.operands[2].type);
    return static_cast<std::size_t>(command.opcode) * kTypes + type % kTypes;
  }

  std::array<std::uint64_t, std::size_t{abi::npu::kOpcodes} * kTypes> ps_per_cycle_ = [] {
    std::array<std::uint64_t, std::size_t{abi::npu::kOpcodes} * kTypes> all{};
    all.fill(kFirstPs);
    return all;
  }();
};

}  // namespace vmm::npu
