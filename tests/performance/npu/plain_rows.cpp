#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "abi/npu_commands.hpp"
#include "blocks.hpp"
#include "rivals.hpp"

namespace npu_bench {
namespace {

namespace operand = abi::npu::operand;
namespace dim = abi::npu::dim;
namespace param = abi::npu::param;
using abi::npu::Opcode;
using abi::npu::Type;
using npu::Checked;

float real(const Checked& command, unsigned index) { return std::bit_cast<float>(command.params[index]); }

/// Calls visit(input, output, elements) for each row.
template <typename Visit>
void each_row(const Checked& command, Visit&& visit) {
  const std::size_t columns = command.dims[dim::kColumns];
  for (std::size_t row = 0; row < command.dims[dim::kRows]; ++row) {
    visit(elements<const float>(command, operand::kInput) + row * columns,
          elements<float>(command, operand::kOutput) + row * columns, columns);
  }
}

void rms_norm(const Checked& command) {
  const float* const weight = elements<float>(command, operand::kWeight);
  each_row(command, [&](const float* in, float* out, std::size_t n) {
    float sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += in[i] * in[i];
    const float factor = 1 / std::sqrt(sum / static_cast<float>(n) + real(command, param::kEpsilon));
    for (std::size_t i = 0; i < n; ++i) out[i] = in[i] * factor * weight[i];
  });
}

void layer_norm(const Checked& command) {
  const float* const weight = elements<float>(command, operand::kWeight);
  const float* const bias = elements<float>(command, operand::kBias);
  each_row(command, [&](const float* in, float* out, std::size_t n) {
    float sum = 0, squares = 0;
    for (std::size_t i = 0; i < n; ++i) sum += in[i];
    const float mean = sum / static_cast<float>(n);
    for (std::size_t i = 0; i < n; ++i) squares += (in[i] - mean) * (in[i] - mean);
    const float factor = 1 / std::sqrt(squares / static_cast<float>(n) + real(command, param::kEpsilon));
    for (std::size_t i = 0; i < n; ++i) out[i] = (in[i] - mean) * factor * weight[i] + bias[i];
  });
}

void softmax(const Checked& command) {
  each_row(command, [&](const float* in, float* out, std::size_t n) {
    const float scale = real(command, param::kScale);
    float largest = in[0] * scale, sum = 0;
    for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, in[i] * scale);
    for (std::size_t i = 0; i < n; ++i) sum += out[i] = std::exp(in[i] * scale - largest);
    for (std::size_t i = 0; i < n; ++i) out[i] /= sum;
  });
}

/// Pairs side by side. The angles are the same for each head, and so computed once.
void rope(const Checked& command) {
  const std::size_t heads = command.dims[dim::rope::kHeads], size = command.dims[dim::rope::kHeadElements];
  const std::size_t pairs = command.dims[dim::rope::kRotated] / 2;
  std::vector<float> sines(pairs), cosines(pairs);
  for (std::size_t row = 0; row < command.dims[dim::kRows]; ++row) {
    const auto position = static_cast<float>(elements<std::int32_t>(command, operand::kPositions)[row]);
    for (std::size_t i = 0; i < pairs; ++i) {
      const float power = -2 * static_cast<float>(i) / static_cast<float>(2 * pairs);
      const float angle =
          position * real(command, param::kFrequencyScale) * std::pow(real(command, param::kRopeBase), power);
      sines[i] = std::sin(angle);
      cosines[i] = std::cos(angle);
    }
    for (std::size_t head = row * heads; head < (row + 1) * heads; ++head) {
      const float* const in = elements<float>(command, operand::kInput) + head * size;
      float* const out = elements<float>(command, operand::kOutput) + head * size;
      for (std::size_t i = 0; i < pairs; ++i) {
        out[2 * i] = in[2 * i] * cosines[i] - in[2 * i + 1] * sines[i];
        out[2 * i + 1] = in[2 * i] * sines[i] + in[2 * i + 1] * cosines[i];
      }
      std::copy(in + 2 * pairs, in + size, out + 2 * pairs);
    }
  }
}

/// What a command makes of an element of each input.
template <typename Each>
void each_element(const Checked& command, Each each) {
  const std::size_t count = std::size_t{command.dims[dim::kRows]} * command.dims[dim::kColumns];
  const float* const a = elements<float>(command, operand::kInput);
  const float* const b = elements<float>(command, operand::kOther);
  float* const out = elements<float>(command, operand::kOutput);
  if (b == nullptr) {
    for (std::size_t i = 0; i < count; ++i) out[i] = each(a[i], 0.0F);
  } else {
    for (std::size_t i = 0; i < count; ++i) out[i] = each(a[i], b[i]);
  }
}

float silu_of(float x) { return x / (1 + std::exp(-x)); }

void swiglu(const Checked& command) {
  each_element(command, [](float a, float b) { return silu_of(a) * b; });
}
void silu(const Checked& command) {
  each_element(command, [](float x, float) { return silu_of(x); });
}
void gelu(const Checked& command) {
  constexpr float kRoot = 0.79788456F;  // of 2 / pi
  each_element(command, [](float x, float) { return x / (1 + std::exp(-2 * kRoot * (x + 0.044715F * x * x * x))); });
}
void relu(const Checked& command) {
  each_element(command, [](float x, float) { return std::max(x, 0.0F); });
}
void add(const Checked& command) {
  each_element(command, [](float a, float b) { return a + b; });
}
void mul(const Checked& command) {
  each_element(command, [](float a, float b) { return a * b; });
}
void scale(const Checked& command) {
  const float factor = real(command, param::kScale), offset = real(command, param::kOffset);
  each_element(command, [=](float x, float) { return x * factor + offset; });
}

void expand(const Q8Block* from, float* to, std::size_t count) {
  for (std::size_t b = 0; b < count / abi::npu::kBlockElements; ++b) {
    const auto factor = static_cast<float>(from[b].scale);
    for (std::size_t i = 0; i < abi::npu::kBlockElements; ++i) {
      to[b * abi::npu::kBlockElements + i] = factor * static_cast<float>(from[b].values[i]);
    }
  }
}

template <typename T>
void embed(const Checked& command) {
  const std::size_t size = command.dims[dim::embed::kElements];
  for (std::size_t row = 0; row < command.dims[dim::kRows]; ++row) {
    const auto id = static_cast<std::size_t>(elements<std::int32_t>(command, operand::kIds)[row]);
    float* const out = elements<float>(command, operand::kOutput) + row * size;
    if constexpr (std::is_same_v<T, float>) {
      std::copy_n(elements<float>(command, operand::kTable) + id * size, size, out);
    } else {
      expand(elements<Q8Block>(command, operand::kTable) + id * size / abi::npu::kBlockElements, out, size);
    }
  }
}

/// The largest first, and then where it is: two loops that can be vectorised.
template <typename T>
void arg_max(const Checked& command) {
  const std::size_t columns = command.dims[dim::kColumns];
  for (std::size_t row = 0; row < command.dims[dim::kRows]; ++row) {
    const T* const in = elements<T>(command, operand::kInput) + row * columns;
    T largest = in[0];
    for (std::size_t i = 0; i < columns; ++i) largest = std::max(largest, in[i]);
    elements<std::int32_t>(command, operand::kOutput)[row] =
        static_cast<std::int32_t>(std::find(in, in + columns, largest) - in);
  }
}

void top_k(const Checked& command) {
  const std::size_t columns = command.dims[dim::kColumns], top = command.dims[dim::kTop];
  std::vector<std::int32_t> order(columns);
  for (std::size_t row = 0; row < command.dims[dim::kRows]; ++row) {
    const float* const in = elements<float>(command, operand::kInput) + row * columns;
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top), order.end(),
                      [in](std::int32_t a, std::int32_t b) { return in[a] != in[b] ? in[a] > in[b] : a < b; });
    for (std::size_t i = 0; i < top; ++i) {
      elements<float>(command, operand::kOutput)[row * top + i] = in[order[i]];
      elements<std::int32_t>(command, operand::kIndices)[row * top + i] = order[i];
    }
  }
}

std::size_t count_of(const Checked& command) {
  return std::size_t{command.dims[dim::kRows]} * command.dims[dim::kColumns];
}

void copy_bytes(const Checked& command) {
  const npu::Operand& from = command.operands[operand::kInput];
  std::memcpy(command.operands[operand::kOutput].data, from.data, from.rows * from.row_bytes);
}

template <typename To, typename From>
void convert(const Checked& command) {
  const From* const in = elements<From>(command, operand::kInput);
  To* const out = elements<To>(command, operand::kOutput);
  for (std::size_t i = 0, count = count_of(command); i < count; ++i) out[i] = static_cast<To>(in[i]);
}

void quantise(const Checked& command) {
  const float* const in = elements<float>(command, operand::kInput);
  std::int8_t* const out = elements<std::int8_t>(command, operand::kOutput);
  const float inverse = 1 / real(command, param::kScale);
  const auto zero = static_cast<float>(static_cast<std::int32_t>(command.params[param::kZeroPoint]));
  for (std::size_t i = 0, count = count_of(command); i < count; ++i) {
    out[i] = static_cast<std::int8_t>(std::clamp(std::nearbyint(in[i] * inverse) + zero, -128.0F, 127.0F));
  }
}

void dequantise(const Checked& command) {
  const std::int8_t* const in = elements<std::int8_t>(command, operand::kInput);
  float* const out = elements<float>(command, operand::kOutput);
  const auto zero = static_cast<std::int32_t>(command.params[param::kZeroPoint]);
  const float factor = real(command, param::kScale);
  for (std::size_t i = 0, count = count_of(command); i < count; ++i) out[i] = static_cast<float>(in[i] - zero) * factor;
}

void to_blocks(const Checked& command) {
  const float* in = elements<float>(command, operand::kInput);
  Q8Block* const out = elements<Q8Block>(command, operand::kOutput);
  for (std::size_t b = 0, count = count_of(command) / abi::npu::kBlockElements; b < count; ++b) {
    float largest = 0;
    for (unsigned i = 0; i < abi::npu::kBlockElements; ++i) largest = std::max(largest, std::abs(in[i]));
    const float inverse = largest > 0 ? 127 / largest : 0;
    out[b].scale = static_cast<_Float16>(largest / 127);
    for (unsigned i = 0; i < abi::npu::kBlockElements; ++i) {
      out[b].values[i] = static_cast<std::int8_t>(std::nearbyint(in[i] * inverse));
    }
    in += abi::npu::kBlockElements;
  }
}

void from_blocks(const Checked& command) {
  expand(elements<Q8Block>(command, operand::kInput), elements<float>(command, operand::kOutput), count_of(command));
}

/// Between signed and unsigned bytes.
void flip(const Checked& command) {
  const std::uint8_t* const in = elements<std::uint8_t>(command, operand::kInput);
  std::uint8_t* const out = elements<std::uint8_t>(command, operand::kOutput);
  for (std::size_t i = 0, count = count_of(command); i < count; ++i) out[i] = in[i] ^ 0x80U;
}

struct Conversion {
  Type to;
  Type from;
  Run run;
};
constexpr Conversion kConversions[] = {
    {Type::F16, Type::F32, convert<_Float16, float>},
    {Type::F32, Type::F16, convert<float, _Float16>},
    {Type::Q8_0, Type::F32, to_blocks},
    {Type::F32, Type::Q8_0, from_blocks},
    {Type::I8, Type::F32, quantise},
    {Type::F32, Type::I8, dequantise},
    {Type::I8, Type::U8, flip},
    {Type::U8, Type::I8, flip},
};

Run copy_of(const Checked& command) {
  const Type to = command.operands[operand::kOutput].type, from = command.operands[operand::kInput].type;
  if (to == from) return copy_bytes;
  const auto* const found =
      std::ranges::find_if(kConversions, [&](const Conversion& each) { return each.to == to && each.from == from; });
  return found != std::end(kConversions) ? found->run : nullptr;
}

Run embed_of(Type table) {
  if (table == Type::F32) return embed<float>;
  return table == Type::Q8_0 ? embed<Q8Block> : nullptr;
}

}  // namespace

Run plain_rows(const Checked& command) {
  const Type input = command.operands[operand::kInput].type;
  switch (command.opcode) {
    case Opcode::RmsNorm:
      return rms_norm;
    case Opcode::LayerNorm:
      return layer_norm;
    case Opcode::Softmax:
      return softmax;
    case Opcode::Rope:
      return (command.flags & abi::npu::command_flag::kHalfSplit) != 0 ? nullptr : rope;
    case Opcode::SwiGlu:
      return swiglu;
    case Opcode::Silu:
      return silu;
    case Opcode::Gelu:
      return gelu;
    case Opcode::Relu:
      return relu;
    case Opcode::Add:
      return add;
    case Opcode::Mul:
      return mul;
    case Opcode::Scale:
      return scale;
    case Opcode::EmbedRows:
      return embed_of(input);
    case Opcode::ArgMax:
      return input == Type::F32 ? arg_max<float> : arg_max<std::int8_t>;
    case Opcode::TopK:
      return top_k;
    case Opcode::Copy:
      return copy_of(command);
    default:
      return nullptr;
  }
}

}  // namespace npu_bench
