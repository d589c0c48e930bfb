#include "npu_shapes.hpp"

#include "abi/npu_commands.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/ml/tensor.hpp"

namespace guest::control {

namespace {

using abi::npu::Opcode;
using abi::npu::Type;
using Size = std::uint32_t;

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint32_t kOne = ml::bits_of(ml::F32::One);
constexpr std::uint32_t kTenThousand = 0x461c'4000;  // as f32: the usual base of Rope
constexpr Type kF32 = Type::F32;

BenchShape dense(Size rows, Size size, Type weight) {
  return BenchShape(Opcode::Gemm, {rows, size, size})
      .operand(0, kF32, rows, size)
      .operand(1, kF32, rows, size)
      .operand(2, weight, size, size)
      .operations(std::uint64_t{2} * rows * size * size);
}

BenchShape dense_i8(Size size) {
  return BenchShape(Opcode::Gemm, {size, size, size})
      .operand(0, Type::I32, size, size)
      .operand(1, Type::I8, size, size)
      .operand(2, Type::I8, size, size)
      .operations(std::uint64_t{2} * size * size * size);
}

/// [S, S] to [S, S].
BenchShape unary(Opcode opcode, Size size) {
  return BenchShape(opcode, {size, size}).operand(0, kF32, size, size).operand(1, kF32, size, size);
}

BenchShape binary(Opcode opcode, Size size) { return unary(opcode, size).operand(2, kF32, size, size); }

BenchShape rope(Size size) {
  constexpr Size kHeads = 2;
  constexpr Size kElements = 32;
  constexpr Size kColumns = kHeads * kElements;
  return BenchShape(Opcode::Rope, {size, kHeads, kElements, kElements})
      .operand(0, kF32, size, kColumns)
      .operand(1, kF32, size, kColumns)
      .operand(2, Type::I32, 1, size)
      .param(abi::npu::param::kRopeBase, kTenThousand)
      .param(abi::npu::param::kFrequencyScale, kOne);
}

/// One new position behind S - 1.
BenchShape attention(Size size) {
  constexpr Size kQueryHeads = 4;
  constexpr Size kKeyHeads = 2;
  constexpr Size kElements = 32;
  constexpr Size kQueries = kQueryHeads * kElements;
  constexpr Size kKeys = kKeyHeads * kElements;
  return BenchShape(Opcode::Attention, {1, kQueryHeads, kKeyHeads, kElements, size - 1})
      .operand(0, kF32, 1, kQueries)
      .operand(1, kF32, 1, kQueries)
      .operand(2, kF32, size, kKeys)
      .operand(3, kF32, size, kKeys)
      .param(abi::npu::param::kScale, kOne)
      .operations(std::uint64_t{4} * size * kQueryHeads * kElements);
}

BenchShape embed_rows(Size size) {
  return BenchShape(Opcode::EmbedRows, {size, size, size})
      .operand(0, kF32, size, size)
      .operand(1, kF32, size, size)
      .operand(2, Type::I32, 1, size);
}

BenchShape argmax(Size size) {
  return BenchShape(Opcode::ArgMax, {size, size}).operand(0, Type::I32, 1, size).operand(1, kF32, size, size);
}

BenchShape top_k(Size size) {
  constexpr Size kTop = 8;
  return BenchShape(Opcode::TopK, {size, size, kTop})
      .operand(0, kF32, size, kTop)
      .operand(1, kF32, size, size)
      .operand(2, Type::I32, size, kTop);
}

/// Of an image of S x S: kernels of 3 x 3, and as large an output.
BenchShape convolution(Size size) {
  constexpr Size kIn = 4;
  constexpr Size kOut = 8;
  constexpr Size kTaps = 9;
  constexpr Size kWindow = kTaps * kIn;
  return BenchShape(Opcode::Conv2d, {1, size, size, kIn, size, size, kOut, 3, 3, 1, 1, 1})
      .operand(0, kF32, size, std::uint64_t{size} * kOut)
      .operand(1, kF32, size, std::uint64_t{size} * kIn)
      .operand(2, kF32, kOut, kWindow)
      .param(abi::npu::param::kPadTop, 1)
      .param(abi::npu::param::kPadLeft, 1)
      .operations(std::uint64_t{2} * size * size * kOut * kTaps * kIn);
}

constexpr Size kPlanes = 8;  // channels of what follows

BenchShape depthwise(Size size) {
  constexpr Size kTaps = 9;
  return BenchShape(Opcode::DepthwiseConv2d, {1, size, size, kPlanes, size, size, kPlanes, 3, 3, 1, 1, 1})
      .operand(0, kF32, size, std::uint64_t{size} * kPlanes)
      .operand(1, kF32, size, std::uint64_t{size} * kPlanes)
      .operand(2, kF32, kTaps, kPlanes)
      .param(abi::npu::param::kPadTop, 1)
      .param(abi::npu::param::kPadLeft, 1)
      .operations(std::uint64_t{2} * size * size * kPlanes * kTaps);
}

/// Windows of 2 x 2, side by side.
BenchShape pool(Opcode opcode, Size size) {
  const Size half = size / 2;
  return BenchShape(opcode, {1, size, size, kPlanes, half, half, 0, 2, 2, 2, 2, 0})
      .operand(0, kF32, half, std::uint64_t{half} * kPlanes)
      .operand(1, kF32, size, std::uint64_t{size} * kPlanes);
}

BenchShape convert(Size size) {
  return BenchShape(Opcode::Copy, {size, size})
      .operand(0, Type::I8, size, size)
      .operand(1, kF32, size, size)
      .param(abi::npu::param::kScale, kOne);
}

constexpr std::uint64_t square(Size size) { return std::uint64_t{size} * size; }

constexpr BenchCommand kCommands[] = {
    {"nop", [](Size) { return BenchShape(Opcode::Nop, {}); }},
    {"gemm", [](Size size) { return dense(size, size, kF32); }},
    {"gemm-i8", dense_i8},
    {"gemv", [](Size size) { return dense(1, size, kF32); }},
    {"gemv-f16", [](Size size) { return dense(1, size, Type::F16); }},
    {"gemv-q8", [](Size size) { return dense(1, size, Type::Q8_0); }},
    {"gemv-q4", [](Size size) { return dense(1, size, Type::Q4_0); }},
    {"rms-norm", [](Size size) { return unary(Opcode::RmsNorm, size); }},
    {"layer-norm", [](Size size) { return unary(Opcode::LayerNorm, size); }},
    {"softmax", [](Size size) { return unary(Opcode::Softmax, size).param(abi::npu::param::kScale, kOne); }},
    {"rope", rope},
    {"attention", attention},
    {"swi-glu", [](Size size) { return binary(Opcode::SwiGlu, size); }},
    {"silu", [](Size size) { return unary(Opcode::Silu, size); }},
    {"gelu", [](Size size) { return unary(Opcode::Gelu, size); }},
    {"relu", [](Size size) { return unary(Opcode::Relu, size); }},
    {"add", [](Size size) { return binary(Opcode::Add, size).operations(square(size)); }},
    {"mul", [](Size size) { return binary(Opcode::Mul, size).operations(square(size)); }},
    {"scale", [](Size size) { return unary(Opcode::Scale, size).param(abi::npu::param::kScale, kOne); }},
    {"embed-rows", embed_rows},
    {"arg-max", argmax},
    {"top-k", top_k},
    {"conv2d", convolution},
    {"depthwise-conv2d", depthwise},
    {"max-pool", [](Size size) { return pool(Opcode::MaxPool, size); }},
    {"avg-pool", [](Size size) { return pool(Opcode::AvgPool, size); }},
    {"copy", [](Size size) { return unary(Opcode::Copy, size); }},
    {"convert", convert},
};

}  // namespace

BenchShape::BenchShape(Opcode opcode, std::initializer_list<std::uint32_t> dims) {
  command_.opcode = static_cast<std::uint16_t>(opcode);
  unsigned i = 0;
  for (const std::uint32_t dim : dims) {
    command_.dims[i++] = dim;
  }
}

BenchShape& BenchShape::operand(unsigned index, Type type, std::uint64_t rows, std::uint64_t columns) {
  const std::uint64_t start = (bytes_ + kAlignment - 1) / kAlignment * kAlignment;
  command_.types[index] = static_cast<std::uint8_t>(type);
  command_.operands[index].offset = start;
  command_.operands[index].region = 1;  // any: that there is one
  const auto bytes = ml::bytes_of(type, rows, columns);
  kernel::require(bytes.has_value(), "a benchmark of the NPU has no whole blocks");
  bytes_ = start + *bytes;
  if (index != abi::npu::operand::kOutput) {
    kernel::format_to(inputs_, "{}{} [{}, {}]", inputs_.view().empty() ? "" : ", ", ml::to_string(type), rows, columns);
  }
  return *this;
}

BenchShape& BenchShape::param(unsigned index, std::uint32_t bits) {
  command_.params[index] = bits;
  return *this;
}

BenchShape& BenchShape::operations(std::uint64_t count) {
  operations_ = count;
  return *this;
}

abi::npu::Command BenchShape::command(std::uint32_t region) const {
  abi::npu::Command command = command_;
  for (abi::npu::TensorRef& operand : command.operands) {
    operand.region = operand.region == abi::npu::kNoRegion ? abi::npu::kNoRegion : region;
  }
  return command;
}

std::span<const BenchCommand> npu_bench_commands() { return kCommands; }

}  // namespace guest::control
