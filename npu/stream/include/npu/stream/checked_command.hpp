// Command streams of the NPU (abi/npu.hpp, docs/npu.md): what is checked before anything runs, and what it costs.
//
//   Command (hostile bytes, fetched once) --check_command()--> Checked: operands as addresses, shapes known to fit,
//   cost
//                                                                 |
//                                                    kernels run it, and need to check no more
//
// The device in the monitor and the guest's CPU fallback use the same code, so that what one refuses the other does.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>

#include "abi/npu.hpp"

namespace npu {

/// Memory that commands may name.
struct Region {
  std::byte* base = nullptr;  ///< where this process sees it
  std::uint64_t bytes = 0;
  std::uint32_t flags = 0;  ///< abi::npu::region_flag
};

/// The regions by handle.
class Regions {
 public:
  /// Null: there is none. `handle` is any number.
  [[nodiscard]] virtual const Region* find(std::uint32_t handle) const = 0;

 protected:
  ~Regions() = default;
};

/// Why a command or a job is refused.
struct Fault {
  abi::npu::Status status;
  abi::npu::Reason reason;
  std::uint32_t field_offset = 0;  ///< of what is at fault, bytes from the command's start
};

/// The modelled device (docs/npu.md, Cost).
struct Model {
  std::uint64_t clock_hz = 1'000'000'000;
  std::uint32_t bytes_per_cycle = 64;
  std::uint32_t f32_macs_per_cycle = 64;
  std::uint32_t i8_macs_per_cycle = 256;
  std::uint32_t f32_ops_per_cycle = 16;
  std::uint32_t start_cycles = 100;  ///< what starting a command takes
  std::uint64_t max_command_cycles = 4'000'000'000;
};

/// Of one command, by the model. Deterministic; the same on every host.
struct Cost {
  std::uint64_t cycles = 0;  ///< the larger of the next two, and what starting a command takes
  std::uint64_t compute_cycles = 0;
  std::uint64_t memory_cycles = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
};

/// An operand of a checked command. Its bytes lie in its region, all `rows` of them.
struct Operand {
  std::byte* data = nullptr;     ///< null: the command does not have it
  std::uint64_t row_stride = 0;  ///< bytes; never 0 for an operand that is there
  std::uint64_t rows = 0;
  std::uint64_t row_bytes = 0;
  std::uint32_t region = 0;
  abi::npu::Type type = abi::npu::Type::F32;
};

/// A command that may run: everything in it holds together, and lies in its regions.
struct Checked {
  abi::npu::Opcode opcode = abi::npu::Opcode::Nop;
  std::uint16_t flags = 0;
  std::array<Operand, abi::npu::kMaxOperands> operands{};
  std::array<std::uint32_t, abi::npu::kMaxDims> dims{};
  std::array<std::uint32_t, abi::npu::kMaxParams> params{};  ///< bits
  Cost cost;
  /// Weights as the kernels that will run the command have rearranged them (KernelSet::packing in npu/kernels). Whoever
  /// sets it owns them, and keeps them until the command has run. Null, as check_command() leaves it: they are used
  /// where they lie.
  const std::byte* packed_weights = nullptr;
};

/// Checks `command`, which is the caller's own copy. No floating point is used: parameters are looked at as bits.
std::expected<Checked, Fault> check_command(const abi::npu::Command& command, const Regions& regions,
                                            const Model& model);

}  // namespace npu
