// What runs the NPU's commands: a set of kernels, one for each opcode. In the guest all of it uses FP registers, so it
// is for threads.
//
// The work of a command is a row of units, each of which computes some elements of the output that no other unit
// computes, always in the same order of operations. So the result does not depend on how many threads share the units,
// and whoever runs them can stop between two.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "abi/npu.hpp"
#include "npu/stream/checked_command.hpp"

namespace npu {

/// Units [first, first + count) of a command.
struct Units {
  std::uint64_t first;
  std::uint64_t count;
};

/// How the work of a command may be shared out: its output as a grid, of which each unit is a rectangle. What rows and
/// columns are depends on the command (docs/npu.md, Units). A unit has below a million operations where the shape
/// allows it, so that it is worth stopping between two, and worth handing one to another thread.
struct Partition {
  std::uint64_t units;  ///< 0: there is nothing to do
  std::uint64_t rows;
  std::uint64_t columns;
  std::uint64_t rows_per_unit;
  std::uint64_t columns_per_unit;
};
Partition partition(const Checked& command);

/// The rectangle of one unit: rows [row_begin, row_end), and the same of columns.
struct Tile {
  std::uint64_t row_begin;
  std::uint64_t row_end;
  std::uint64_t column_begin;
  std::uint64_t column_end;
};
/// `unit` is below partition.units.
Tile tile_of(const Partition& partition, std::uint64_t unit);

/// Runs some units. An index that was found out of range in a tensor ends the command (Reason::IndexRange); what has
/// been written then is unspecified, but inside the output. Any thread; units of one command may run at once.
using Kernel = std::optional<abi::npu::Reason> (*)(const Checked& command, Units units);

/// How a set wants weights that do not change while many commands use them: a copy of them, rearranged, which results
/// do not depend on (Checked::packed_weights). It depends on the operand's bytes, type, rows and their length alone.
struct Packing {
  /// Bytes of the copy; 0: there is none of such a command. Null: the set has none at all.
  std::uint64_t (*bytes)(const Checked& command) = nullptr;
  /// Makes the copy in `to`, which has that many bytes and is aligned to 64. Any thread. What it reads may change
  /// meanwhile, and no address or length is taken from it.
  void (*pack)(const Checked& command, std::byte* to) = nullptr;
};

struct KernelSet {
  const char* name;  ///< "scalar", "avx3" (AVX-512), "avx2", "neon", "neon+dotprod"
  std::array<Kernel, abi::npu::kOpcodes> kernels;
  Packing packing = {};
};

/// The specification of every command, in plain loops (docs/npu.md, Commands).
const KernelSet& scalar_kernels();

}  // namespace npu
