// What `npu bench` runs: a command of each kind, in a shape of a given size, over memory of its own.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "abi/npu.hpp"
#include "guest/kernel/format.hpp"

namespace guest::control {

/// A command whose operands lie one behind the other in one region, which it does not name yet.
class BenchShape {
 public:
  explicit BenchShape(abi::npu::Opcode opcode, std::initializer_list<std::uint32_t> dims);

  /// `rows` of `columns` elements; of blocks a multiple of 32.
  BenchShape& operand(unsigned index, abi::npu::Type type, std::uint64_t rows, std::uint64_t columns);
  BenchShape& param(unsigned index, std::uint32_t bits);
  /// Additions and multiplications; not of what is made of something else, too.
  BenchShape& operations(std::uint64_t count);

  /// With its region.
  [[nodiscard]] abi::npu::Command command(std::uint32_t region) const;
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  ///< of the region, at least 1
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  /// "[64, 64] f32, [64, 64] q8_0": its inputs.
  [[nodiscard]] std::string_view inputs() const { return inputs_.view(); }

 private:
  abi::npu::Command command_{};
  std::uint64_t bytes_ = 1;
  std::uint64_t operations_ = 0;
  kernel::FixedText<96> inputs_;
};

struct BenchCommand {
  std::string_view name;  ///< "gemv-q8"
  BenchShape (*make)(std::uint32_t size);
};

std::span<const BenchCommand> npu_bench_commands();

}  // namespace guest::control
