#include "abi/npu_commands.hpp"
#include "npu/kernels/element.hpp"
#include "npu/kernels/scalar.hpp"
#include "tiles.hpp"

namespace npu::scalar {

namespace {

namespace operand = abi::npu::operand;
namespace dim = abi::npu::dim;

/// One query head of one row. The sums are those of the scores' exponentials, relative to the largest score so far, so
/// that one pass over the cache is enough and nothing is kept but them.
class Head {
 public:
  Head(const Checked& command, std::uint64_t row, std::uint64_t head)
      : command_(command),
        elements_(command.dims[dim::attention::kHeadElements]),
        query_(f32_row(command.operands[operand::kInput], row) + head * elements_),
        scale_(static_cast<double>(bits_to_f32(command.params[abi::npu::param::kScale]))) {
    const std::uint64_t sharing = command.dims[dim::attention::kQueryHeads] / command.dims[dim::attention::kKeyHeads];
    first_ = head / sharing * elements_;
  }

  /// Position `at` of the cache.
  void see(std::uint64_t at) {
    std::byte* const keys = row_of(command_.operands[operand::kKeys], at);
    const double score = multiply(keys) * scale_;
    double weight = 1;
    if (score > largest_) {
      const double shrink = exponential(largest_ - score);
      sum_ *= shrink;
      for (std::uint64_t i = 0; i < elements_; ++i) {
        values_[i] *= shrink;
      }
      largest_ = score;
    } else if (score != largest_) {
      weight = exponential(score - largest_);
    }
    sum_ += weight;
    add(row_of(command_.operands[operand::kValues], at), weight);
  }

  void write(MemF32* output) const {
    // With an infinite score there is no telling what the others weigh.
    const bool sound = largest_ != kInfinity && largest_ != -kInfinity;
    for (std::uint64_t i = 0; i < elements_; ++i) {
      output[i] = static_cast<float>(sound ? values_[i] / sum_ : kNan);
    }
  }

 private:
  double multiply(std::byte* keys) const {
    double sum = 0;
    with_type(command_.operands[operand::kKeys].type, [&]<Type kType>() {
      for (std::uint64_t i = 0; i < elements_; ++i) {
        sum += static_cast<double>(query_[i]) * static_cast<double>(element<kType>(keys, first_ + i));
      }
    });
    return sum;
  }

  void add(std::byte* values, double weight) {
    with_type(command_.operands[operand::kValues].type, [&]<Type kType>() {
      for (std::uint64_t i = 0; i < elements_; ++i) {
        values_[i] += weight * static_cast<double>(element<kType>(values, first_ + i));
      }
    });
  }

  const Checked& command_;
  std::uint64_t elements_;
  const MemF32* query_;
  double scale_;
  std::uint64_t first_ = 0;  ///< the head's first element in a row of the cache
  double largest_ = -kInfinity;
  double sum_ = 0;
  double values_[abi::npu::kMaxHeadElements] = {};
};

}  // namespace

Outcome attention(const Checked& command, Units units) {
  each_cell(command, units, [&](std::uint64_t row, std::uint64_t head) {
    Head sums(command, row, head);
    for (std::uint64_t at = 0; at <= command.dims[dim::attention::kPast] + row; ++at) {
      sums.see(at);
    }
    sums.write(f32_row(command.operands[operand::kOutput], row) + head * command.dims[dim::attention::kHeadElements]);
  });
  return std::nullopt;
}

Outcome rope(const Checked& command, Units units) {
  const std::uint64_t heads = command.dims[dim::rope::kHeads];
  const std::uint64_t elements = command.dims[dim::rope::kHeadElements];
  const std::uint64_t pairs = command.dims[dim::rope::kRotated] / 2;
  const bool half_split = (command.flags & abi::npu::command_flag::kHalfSplit) != 0;
  const double base = logarithm(static_cast<double>(bits_to_f32(command.params[abi::npu::param::kRopeBase])));
  const auto scale = static_cast<double>(bits_to_f32(command.params[abi::npu::param::kFrequencyScale]));
  each_row(command, units, [&](std::uint64_t row, std::uint64_t, std::uint64_t) {
    const MemF32* const x = f32_row(command.operands[operand::kInput], row);
    MemF32* const y = f32_row(command.operands[operand::kOutput], row);
    const double position = i32(command.operands[operand::kPositions].data)[row];
    for (std::uint64_t i = 0; i < pairs; ++i) {
      const double frequency = exponential(-static_cast<double>(i) / static_cast<double>(pairs) * base);
      const SineCosine turn = sine_cosine(position * scale * frequency);
      const std::uint64_t first = half_split ? i : 2 * i;
      const std::uint64_t second = half_split ? i + pairs : 2 * i + 1;
      for (std::uint64_t head = 0; head < heads; ++head) {
        const double a = static_cast<double>(x[head * elements + first]);
        const double b = static_cast<double>(x[head * elements + second]);
        y[head * elements + first] = static_cast<float>(a * turn.cosine - b * turn.sine);
        y[head * elements + second] = static_cast<float>(a * turn.sine + b * turn.cosine);
      }
    }
    for (std::uint64_t head = 0; head < heads; ++head) {
      for (std::uint64_t i = 2 * pairs; i < elements; ++i) {
        y[head * elements + i] = x[head * elements + i];
      }
    }
  });
  return std::nullopt;
}

}  // namespace npu::scalar
