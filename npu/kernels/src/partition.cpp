#include "abi/npu_commands.hpp"
#include "npu/kernels/kernels.hpp"

namespace npu {

namespace {

namespace dim = abi::npu::dim;
namespace image = abi::npu::dim::image;
using abi::npu::Opcode;

/// Operations of a unit.
constexpr std::uint64_t kUnitWork = 1U << 18;

/// The output of a command as cells.
struct Grid {
  std::uint64_t rows = 0;
  std::uint64_t columns = 1;
  std::uint64_t work = 1;      ///< operations of a cell
  std::uint64_t multiple = 1;  ///< units begin at multiples of this many columns
  std::uint64_t together = 1;  ///< rows that a unit has where it cannot have all columns
};

// Weights are used for several rows while they are in the cache.
constexpr std::uint64_t kRowsTogether = 32;
constexpr std::uint64_t kChannelsTogether = 16;
/// Query heads that may share a key head, which is read once for all of them.
constexpr std::uint64_t kHeadsTogether = 4;
/// A multiple of a cache line of f32 and of a block.
constexpr std::uint64_t kColumnsTogether = 64;

Grid image_grid(const Checked& command) {
  const auto& d = command.dims;
  const bool dense = command.opcode == Opcode::Conv2d;
  const std::uint64_t channels = d[image::kOutChannels] != 0 ? d[image::kOutChannels] : d[image::kChannels];
  return {.rows = std::uint64_t{d[image::kBatch]} * d[image::kOutHeight] * d[image::kOutWidth],
          .columns = channels,
          .work = std::uint64_t{d[image::kKernelHeight]} * d[image::kKernelWidth] * (dense ? d[image::kChannels] : 1),
          .multiple = kChannelsTogether,
          .together = kRowsTogether};
}

/// Cells of matrices, `work` operations each.
Grid matrix_grid(const Checked& command, std::uint64_t work) {
  return {.rows = command.dims[dim::kRows],
          .columns = command.dims[dim::kColumns],
          .work = work,
          .multiple = kColumnsTogether};
}

/// Whole rows of `elements`, `work` operations each.
Grid row_grid(const Checked& command, std::uint64_t elements, std::uint64_t work) {
  return {.rows = command.dims[dim::kRows], .work = elements * work};
}

Grid grid_of(const Checked& command) {
  const auto& d = command.dims;
  switch (command.opcode) {
    case Opcode::Nop:
      return {};
    case Opcode::Gemm:
      return {.rows = d[dim::kRows],
              .columns = d[dim::kOuter],
              .work = d[dim::kInner],
              .multiple = kChannelsTogether,
              .together = kRowsTogether};
    case Opcode::RmsNorm:
    case Opcode::LayerNorm:
    case Opcode::Softmax:
    case Opcode::TopK:
      return row_grid(command, d[dim::kColumns], 8);
    case Opcode::ArgMax:
      return row_grid(command, d[dim::kColumns], 1);
    case Opcode::Rope:
      return row_grid(command, std::uint64_t{d[dim::rope::kHeads]} * d[dim::rope::kHeadElements], 4);
    case Opcode::EmbedRows:
      return row_grid(command, d[dim::embed::kElements], 2);
    case Opcode::Attention:
      return {.rows = d[dim::kRows],
              .columns = d[dim::attention::kQueryHeads],
              .work = (std::uint64_t{d[dim::kRows]} + d[dim::attention::kPast]) * d[dim::attention::kHeadElements] * 2,
              .multiple = kHeadsTogether};
    case Opcode::SwiGlu:
    case Opcode::Silu:
    case Opcode::Gelu:
      return matrix_grid(command, 16);
    case Opcode::Relu:
    case Opcode::Add:
    case Opcode::Mul:
    case Opcode::Scale:
    case Opcode::Copy:
      return matrix_grid(command, 2);
    case Opcode::Conv2d:
    case Opcode::DepthwiseConv2d:
    case Opcode::MaxPool:
    case Opcode::AvgPool:
      return image_grid(command);
  }
  return {};
}

constexpr std::uint64_t smaller(std::uint64_t a, std::uint64_t b) { return a < b ? a : b; }
constexpr std::uint64_t larger(std::uint64_t a, std::uint64_t b) { return a > b ? a : b; }
constexpr std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

}  // namespace

Partition partition(const Checked& command) {
  const Grid grid = grid_of(command);
  const std::uint64_t cells = larger(kUnitWork / grid.work, 1);
  const std::uint64_t fit = cells / smaller(grid.together, larger(grid.rows, 1));
  std::uint64_t columns = grid.columns;
  if (columns > fit) {
    // Where that would be far more work than a unit should have, cells are so long that few of them are as good.
    const std::uint64_t whole = larger(fit / grid.multiple, 1) * grid.multiple;
    columns = smaller(columns, smaller(whole, 2 * cells));
  }
  const std::uint64_t rows = larger(smaller(cells / columns, grid.rows), 1);
  return {.units = divide_up(grid.rows, rows) * divide_up(grid.columns, columns),
          .rows = grid.rows,
          .columns = grid.columns,
          .rows_per_unit = rows,
          .columns_per_unit = columns};
}

Tile tile_of(const Partition& partition, std::uint64_t unit) {
  const std::uint64_t side_by_side = divide_up(partition.columns, partition.columns_per_unit);
  const std::uint64_t row = unit / side_by_side * partition.rows_per_unit;
  const std::uint64_t column = unit % side_by_side * partition.columns_per_unit;
  return {.row_begin = row,
          .row_end = smaller(row + partition.rows_per_unit, partition.rows),
          .column_begin = column,
          .column_end = smaller(column + partition.columns_per_unit, partition.columns)};
}

}  // namespace npu
