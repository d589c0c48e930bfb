#include "npu/testing/tolerance.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <sstream>

namespace npu::testing {

namespace {

using abi::npu::kBlockElements;
using abi::npu::Opcode;
using abi::npu::Type;
namespace dim = abi::npu::dim;
namespace image = abi::npu::dim::image;
namespace operand = abi::npu::operand;
using Row = std::vector<double>;

/// Half a unit in the last place of an f32, relative.
constexpr double kEpsilon = 0x1p-24;
/// A result below may be 0.
constexpr double kLeastNormal = 0x1p-126;

Opcode opcode_of(const Scene& scene) { return static_cast<Opcode>(scene.command.opcode.value()); }
double parameter(const Scene& scene, unsigned index) {
  return static_cast<double>(std::bit_cast<float>(scene.command.params[index].value()));
}

Row row_of(Scene& scene, unsigned index, std::uint64_t row) {
  Row values(scene.spec(index).columns);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = scene.value(index, row, i);
  }
  return values;
}

double magnitude_at(Scene& scene, unsigned index, std::uint64_t column) {
  return scene.has(index) ? std::abs(scene.value(index, 0, column)) : 0;
}

/// The numbers that blocks of a row stand for.
Row in_blocks(const Row& row) {
  Row numbers(row.size());
  for (std::size_t begin = 0; begin < row.size(); begin += kBlockElements) {
    double largest = 0;
    for (std::size_t i = begin; i < begin + kBlockElements; ++i) {
      largest = std::max(largest, std::abs(row[i]));
    }
    const float scale = static_cast<float>(largest) / 127.0F;
    for (std::size_t i = begin; i < begin + kBlockElements && scale != 0; ++i) {
      numbers[i] = static_cast<double>(scale) * static_cast<double>(std::nearbyint(static_cast<float>(row[i]) / scale));
    }
  }
  return numbers;
}

Row of_gemm(Scene& scene, std::uint64_t row) {
  Row result(scene.spec(operand::kOutput).columns);
  if (scene.spec(operand::kOutput).type != Type::F32) {
    return result;
  }
  const Type type = scene.spec(operand::kWeight).type;
  const bool blocks = type == Type::Q8_0 || type == Type::Q4_0;
  const Row input = row_of(scene, operand::kInput, row);
  const Row x = blocks ? in_blocks(input) : input;
  const double terms = blocks ? static_cast<double>(x.size()) / kBlockElements + 4 : static_cast<double>(x.size()) + 3;
  for (std::size_t n = 0; n < result.size(); ++n) {
    double sum = magnitude_at(scene, operand::kBias, n);
    for (std::size_t k = 0; k < x.size(); ++k) {
      sum += std::abs(x[k] * scene.value(operand::kWeight, n, k));
    }
    result[n] = terms * kEpsilon * sum;
  }
  return result;
}

Row of_norm(Scene& scene, std::uint64_t row) {
  const Row x = row_of(scene, operand::kInput, row);
  const Row y = row_of(scene, operand::kOutput, row);
  const auto count = static_cast<double>(x.size());
  double mean = 0;
  double away = 0;
  for (const double value : x) {
    mean += value / count;
    away += std::abs(value) / count;
  }
  double square = parameter(scene, abi::npu::param::kEpsilon);
  for (const double value : x) {
    square += (value - mean) * (value - mean) / count;
  }
  Row result(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double weight = scene.has(operand::kWeight) ? magnitude_at(scene, operand::kWeight, i) : 1;
    const double magnitude = (std::abs(x[i]) + away) * weight / std::sqrt(square);
    result[i] =
        (count + 8) * kEpsilon *
        (opcode_of(scene) == Opcode::RmsNorm ? std::abs(y[i]) : magnitude + magnitude_at(scene, operand::kBias, i));
  }
  return result;
}

Row of_softmax(Scene& scene, std::uint64_t row) {
  Row result = row_of(scene, operand::kOutput, row);
  Row scores = row_of(scene, operand::kInput, row);
  for (double& score : scores) {
    score *= parameter(scene, abi::npu::param::kScale);
  }
  const double largest = std::abs(*std::max_element(scores.begin(), scores.end()));
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double steps = static_cast<double>(result.size()) + 8 + 4 * (std::abs(scores[i]) + largest);
    result[i] = result[i] == 0 ? kLeastNormal : steps * kEpsilon * result[i] + kLeastNormal;
  }
  return result;
}

Row of_rope(Scene& scene, std::uint64_t row) {
  const Row x = row_of(scene, operand::kInput, row);
  const std::uint32_t elements = scene.command.dims[dim::rope::kHeadElements];
  const std::uint32_t rotated = scene.command.dims[dim::rope::kRotated];
  Row result(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t within = i % elements;
    if (within < rotated) {
      const std::size_t first = i - within;
      const std::size_t half = rotated / 2;
      const std::size_t partner = scene.command.flags != 0 ? (within + half) % rotated : within ^ 1U;
      result[i] = 4 * kEpsilon * (std::abs(x[i]) + std::abs(x[first + partner]));
    }
  }
  return result;
}

Row of_attention(Scene& scene, std::uint64_t row) {
  const auto& dims = scene.command.dims;
  const std::uint64_t elements = dims[dim::attention::kHeadElements];
  const std::uint64_t seen = dims[dim::attention::kPast] + row + 1;
  const Row query = row_of(scene, operand::kInput, row);
  Row result(query.size());
  for (std::uint64_t head = 0; head < dims[dim::attention::kQueryHeads]; ++head) {
    const std::uint64_t first = head / (dims[dim::attention::kQueryHeads] / dims[dim::attention::kKeyHeads]) * elements;
    double product = 0;
    double value = 0;
    for (std::uint64_t at = 0; at < seen; ++at) {
      double sum = 0;
      for (std::uint64_t i = 0; i < elements; ++i) {
        sum += std::abs(query[head * elements + i] * scene.value(operand::kKeys, at, first + i));
        value = std::max(value, std::abs(scene.value(operand::kValues, at, first + i)));
      }
      product = std::max(product, sum * std::abs(parameter(scene, abi::npu::param::kScale)));
    }
    const double steps = static_cast<double>(seen) + 8 + 2 * (static_cast<double>(elements) + 2) * product;
    std::fill_n(result.begin() + static_cast<std::ptrdiff_t>(head * elements), elements, value * kEpsilon * steps);
  }
  return result;
}

Row of_elements(Scene& scene, std::uint64_t row) {
  Row result = row_of(scene, operand::kOutput, row);
  const Row x = row_of(scene, operand::kInput, row);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double y = std::abs(result[i]);
    switch (opcode_of(scene)) {
      case Opcode::Silu:
      case Opcode::SwiGlu:
        result[i] = 9 * kEpsilon * y + kLeastNormal;
        break;
      case Opcode::Gelu:
        result[i] = (8 + 8 * std::abs(0.7978845608028654 * (x[i] + 0.044715 * x[i] * x[i] * x[i]))) * kEpsilon * y +
                    kLeastNormal;
        break;
      case Opcode::Scale:
        result[i] = 2 * kEpsilon * (std::abs(x[i] * parameter(scene, 0)) + std::abs(parameter(scene, 1)));
        break;
      case Opcode::Copy:
        result[i] = scene.spec(operand::kInput).type == Type::I32 ? 2 * kEpsilon * y : 0;
        break;
      default:
        result[i] = 0;
    }
  }
  return result;
}

/// The sum of the magnitudes in a window of an f32 convolution or pool, and how many there are.
struct Window {
  double sum = 0;
  double count = 0;
};
Window window_of(Scene& scene, std::uint64_t row, std::uint64_t column) {
  const auto& d = scene.command.dims;
  const bool dense = opcode_of(scene) == Opcode::Conv2d;
  const bool pool = opcode_of(scene) == Opcode::AvgPool;
  const std::uint64_t channels = pool ? d[image::kChannels] : d[image::kOutChannels];
  const std::uint64_t channel = column % channels;
  const std::int64_t step = std::max<std::int64_t>(d[image::kDilation], 1);
  const auto top = static_cast<std::int64_t>(row % d[image::kOutHeight] * d[image::kStrideHeight]) -
                   scene.command.params[abi::npu::param::kPadTop];
  const auto left = static_cast<std::int64_t>(column / channels * d[image::kStrideWidth]) -
                    scene.command.params[abi::npu::param::kPadLeft];
  Window window;
  for (std::uint64_t tap = 0; tap < std::uint64_t{d[image::kKernelHeight]} * d[image::kKernelWidth]; ++tap) {
    const std::int64_t y = top + static_cast<std::int64_t>(tap / d[image::kKernelWidth]) * step;
    const std::int64_t x = left + static_cast<std::int64_t>(tap % d[image::kKernelWidth]) * step;
    if (y < 0 || x < 0 || y >= d[image::kHeight] || x >= d[image::kWidth]) {
      continue;
    }
    const std::uint64_t in_row = row / d[image::kOutHeight] * d[image::kHeight] + static_cast<std::uint64_t>(y);
    const std::uint64_t first = dense ? 0 : channel / (channels / d[image::kChannels]);
    for (std::uint64_t i = 0; i < (dense ? d[image::kChannels].value() : 1U); ++i) {
      const double input =
          scene.value(operand::kInput, in_row, static_cast<std::uint64_t>(x) * d[image::kChannels] + first + i);
      const double weight = pool    ? 1
                            : dense ? scene.value(operand::kWeight, channel, tap * d[image::kChannels] + i)
                                    : scene.value(operand::kWeight, tap, channel);
      window.sum += std::abs(input * weight);
      window.count += 1;
    }
  }
  return window;
}

Row of_windows(Scene& scene, std::uint64_t row) {
  Row result(scene.spec(operand::kOutput).columns);
  if (scene.spec(operand::kOutput).type != Type::F32) {
    return result;
  }
  for (std::size_t i = 0; i < result.size(); ++i) {
    const Window window = window_of(scene, row, i);
    if (opcode_of(scene) == Opcode::AvgPool) {
      result[i] = (window.count + 2) * kEpsilon * window.sum / window.count;
    } else {
      const double bias = magnitude_at(scene, operand::kBias, i % scene.command.dims[image::kOutChannels]);
      result[i] = (window.count + 3) * kEpsilon * (window.sum + bias);
    }
  }
  return result;
}

/// Both are the same NaN, infinity, or number within `tolerance`.
bool is_same(double a, double b, double tolerance) {
  if (std::isnan(a) || std::isnan(b)) {
    return std::isnan(a) && std::isnan(b);
  }
  return a == b || std::abs(a - b) <= tolerance;
}

}  // namespace

std::vector<double> tolerances(Scene& scene, std::uint64_t row) {
  switch (opcode_of(scene)) {
    case Opcode::Gemm:
      return of_gemm(scene, row);
    case Opcode::RmsNorm:
    case Opcode::LayerNorm:
      return of_norm(scene, row);
    case Opcode::Softmax:
      return of_softmax(scene, row);
    case Opcode::Rope:
      return of_rope(scene, row);
    case Opcode::Attention:
      return of_attention(scene, row);
    case Opcode::Conv2d:
    case Opcode::DepthwiseConv2d:
    case Opcode::AvgPool:
      return of_windows(scene, row);
    case Opcode::Silu:
    case Opcode::SwiGlu:
    case Opcode::Gelu:
    case Opcode::Scale:
    case Opcode::Copy:
      return of_elements(scene, row);
    default:
      return Row(scene.spec(operand::kOutput).columns);
  }
}

std::string difference(Scene& reference, Scene& other) {
  std::string worst;
  double most = 0;
  for (const unsigned index : {operand::kOutput, operand::kIndices}) {
    if (!reference.has(index) || (index != operand::kOutput && opcode_of(reference) != Opcode::TopK)) {
      continue;
    }
    for (std::uint64_t row = 0; row < reference.spec(index).rows; ++row) {
      const Row allowed = index == operand::kOutput ? tolerances(reference, row) : Row(reference.spec(index).columns);
      for (std::uint64_t i = 0; i < reference.spec(index).columns; ++i) {
        const double a = reference.value(index, row, i);
        const double b = other.value(index, row, i);
        // In tolerances; a NaN in one of them is the worst.
        const double off = std::isfinite(a - b) ? std::abs(a - b) / std::max(allowed[i], 0x1p-149) : HUGE_VAL;
        if (!is_same(a, b, allowed[i]) && (worst.empty() || off > most)) {
          std::ostringstream text;
          text << "operand " << index << ", row " << row << ", element " << i << ": " << a << " expected, " << b
               << " found, " << allowed[i] << " allowed";
          worst = text.str();
          most = off;
        }
      }
    }
  }
  return worst;
}

}  // namespace npu::testing
