// Attention, 64 positions of the cache at a time: their scores, the largest one so far, their weights, their values.
// What is summed so far is relative to the largest score, and made smaller when there is a larger one.
#pragma once

#include "exponential.hpp"
#include "gemm_real.hpp"
#include "part.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

inline constexpr std::uint64_t kPositions = 64;

/// Some query heads of one row that share a key head.
template <unsigned kHeads>
class Heads {
 public:
  /// What is here has to begin() before anything else.
  Heads() = default;

  void begin(const Checked& command, std::uint64_t row, std::uint64_t head) {
    namespace dim = abi::npu::dim::attention;
    command_ = &command;
    elements_ = command.dims[dim::kHeadElements];
    scale_ = bits_to_f32(command.params[abi::npu::param::kScale]);
    first_ = head / (command.dims[dim::kQueryHeads] / command.dims[dim::kKeyHeads]) * elements_;
    for (unsigned h = 0; h < kHeads; ++h) {
      queries_.row[h] =
          row_of(command.operands[abi::npu::operand::kInput], row) + (head + h) * elements_ * sizeof(float);
    }
  }

  /// Positions [begin, begin + count).
  void see(std::uint64_t begin, std::uint64_t count) {
    alignas(64) float score[kHeads][kPositions];
    float shrink[kHeads];
    if (command_->operands[abi::npu::operand::kKeys].type == Type::F16) {
      find_scores<Type::F16>(begin, count, score);
    } else {
      find_scores<Type::F32>(begin, count, score);
    }
    for (unsigned h = 0; h < kHeads; ++h) {
      shrink[h] = weigh(heads_[h], score[h], count);
    }
    if (command_->operands[abi::npu::operand::kValues].type == Type::F16) {
      add_values<Type::F16>(begin, count, score, shrink);
    } else {
      add_values<Type::F32>(begin, count, score, shrink);
    }
  }

  /// Where the first head's elements go; the others' are behind them.
  void write(MemF32* output) const {
    for (unsigned h = 0; h < kHeads; ++h) {
      const State& head = heads_[h];
      const Wide sum = load_lanes(head.weights);
      // With an infinite score there is no telling what the others weigh.
      const bool sound =
          head.largest != static_cast<float>(kInfinity) && head.largest != static_cast<float>(-kInfinity);
      const float divisor = sound ? hn::GetLane(fold(sum, sum, sum, sum)) : static_cast<float>(kNan);
      map(head.values, output + h * elements_, elements_,
          [&] [[gnu::always_inline]] (FloatPart value) { return hn::Div(value, hn::Set(Floats(), divisor)); });
    }
  }

 private:
  struct State {
    alignas(64) float weights[kLanes] = {};                     ///< their sum
    alignas(64) float values[abi::npu::kMaxHeadElements] = {};  ///< theirs
    float largest = static_cast<float>(-kInfinity);
  };

  [[gnu::always_inline]] static Wide load_lanes(const float* lanes) {
    return make_wide([&] [[gnu::always_inline]] (auto i) { return hn::Load(Floats(), lanes + i * kPartLanes); });
  }

  /// Heads whose scores are found at once.
  static constexpr unsigned kTogether = kHeads < kTileRows ? kHeads : kTileRows;
  static_assert(kHeads % kTogether == 0);

  template <Type kType>
  void find_scores(std::uint64_t begin, std::uint64_t count, float (&score)[kHeads][kPositions]) const {
    constexpr std::uint64_t kBytes = kType == Type::F16 ? sizeof(std::uint16_t) : sizeof(float);
    for (std::uint64_t t = 0; t < count; t += kTileColumns) {
      RowStarts<kTileColumns> keys(command_->operands[abi::npu::operand::kKeys], begin + t,
                                   count - t < kTileColumns ? count - t : kTileColumns);
      for (std::byte*& row : keys.row) {
        row += first_ * kBytes;
      }
      for (unsigned h = 0; h < kHeads; h += kTogether) {
        RowStarts<kTogether> queries;
        for (unsigned i = 0; i < kTogether; ++i) {
          queries.row[i] = queries_.row[h + i];
        }
        const RealTile<kTogether> tile = multiply_tile<kTogether, kType>(queries, keys, elements_);
        unrolled<kTogether>([&] [[gnu::always_inline]] (auto i) {
          const Wide* const sum = tile.sum[i];
          hn::StoreU(hn::Mul(fold(sum[0], sum[1], sum[2], sum[3]), hn::Set(Four(), scale_)), Four(), &score[h + i][t]);
        });
      }
    }
    // What is missing in the last 16 weighs nothing.
    for (unsigned h = 0; h < kHeads; ++h) {
      for (std::uint64_t t = count; t % kLanes != 0; ++t) {
        score[h][t] = static_cast<float>(-kInfinity);
      }
    }
  }

  /// Makes scores weights, and adds these to their sum. Returns what the sums before are multiplied by.
  static float weigh(State& head, float* score, std::uint64_t count) {
    const Floats tag;
    auto most = hn::Set(tag, head.largest);
    for (std::uint64_t t = 0; t < count; t += kPartLanes) {
      const auto value = hn::Load(tag, score + t);
      most = hn::IfThenElse(hn::Gt(value, most), value, most);  // NaN is none
    }
    const float largest = hn::GetLane(hn::MaxOfLanes(tag, most));
    // Relative to -infinity nothing would be a number.
    const float reference = largest == static_cast<float>(-kInfinity) ? 0.0F : largest;
    const float shrink = hn::GetLane(exponential(hn::Set(tag, head.largest - reference)));
    head.largest = largest;
    Wide sum = load_lanes(head.weights);
    unrolled<kParts>([&] [[gnu::always_inline]] (auto i) { sum.part[i] = hn::Mul(sum.part[i], hn::Set(tag, shrink)); });
    for (std::uint64_t t = 0; t < count; t += kLanes) {
      unrolled<kParts>([&] [[gnu::always_inline]] (auto i) {
        float* const place = score + t + i * kPartLanes;
        const auto weight = exponential(hn::Sub(hn::Load(tag, place), hn::Set(tag, reference)));
        sum.part[i] = hn::Add(sum.part[i], weight);
        hn::Store(weight, tag, place);
      });
    }
    unrolled<kParts>(
        [&] [[gnu::always_inline]] (auto i) { hn::Store(sum.part[i], tag, head.weights + i * kPartLanes); });
    return shrink;
  }

  /// Sixteens of elements whose sums are in registers at once.
  static constexpr std::uint64_t kChunks = kHeads > 1 ? (kParts == 1 ? 2 : 1) : 4;

  template <Type kType>
  void add_values(std::uint64_t begin, std::uint64_t count, const float (&weight)[kHeads][kPositions],
                  const float (&shrink)[kHeads]) {
    std::uint64_t first = 0;
    for (; first + kChunks * kLanes <= elements_; first += kChunks * kLanes) {
      add_chunks<kType, kChunks>(begin, count, weight, shrink, first);
    }
    for (; first < elements_; first += kLanes) {
      add_chunks<kType, 1>(begin, count, weight, shrink, first);
    }
  }

  template <Type kType, std::uint64_t kCount>
  void add_chunks(std::uint64_t begin, std::uint64_t count, const float (&weight)[kHeads][kPositions],
                  const float (&shrink)[kHeads], std::uint64_t first) {
    const Floats tag;
    const Operand& values = command_->operands[abi::npu::operand::kValues];
    Wide sum[kHeads][kCount];
    unrolled<kHeads>([&] [[gnu::always_inline]] (auto h) {
      unrolled<kCount>([&] [[gnu::always_inline]] (auto c) {
        const Wide before = load_lanes(heads_[h].values + first + c * kLanes);
        sum[h][c] =
            make_wide([&] [[gnu::always_inline]] (auto i) { return hn::Mul(before.part[i], hn::Set(tag, shrink[h])); });
      });
    });
    const std::uint64_t left = elements_ - first;
    for (std::uint64_t t = 0; t < count; ++t) {
      std::byte* const row = row_of(values, begin + t);
      unrolled<kCount>([&] [[gnu::always_inline]] (auto c) {
        const std::uint64_t at = first_ + first + c * kLanes;
        const Wide value = kCount > 1 || left >= kLanes ? load_wide<kType>(row, at) : load_some<kType>(row, at, left);
        unrolled<kHeads>([&] [[gnu::always_inline]] (auto h) {
          const auto w = hn::Set(tag, weight[h][t]);
          sum[h][c] = make_wide(
              [&] [[gnu::always_inline]] (auto i) { return hn::MulAdd(w, value.part[i], sum[h][c].part[i]); });
        });
      });
    }
    unrolled<kHeads>([&] [[gnu::always_inline]] (auto h) {
      unrolled<kCount>([&] [[gnu::always_inline]] (auto c) {
        unrolled<kParts>([&] [[gnu::always_inline]] (auto i) {
          hn::Store(sum[h][c].part[i], tag, heads_[h].values + first + c * kLanes + i * kPartLanes);
        });
      });
    });
  }

  const Checked* command_ = nullptr;
  RowStarts<kHeads> queries_;
  std::uint64_t elements_ = 0;
  float scale_ = 0;
  std::uint64_t first_ = 0;  ///< the key head's first element in a row of the cache
  State heads_[kHeads];
};

/// Heads that go over the cache together. Their parts of a position lie in one page, and there are as many pages as
/// positions: one head after the other would look up all of them for each.
inline constexpr std::uint64_t kHeadsTogether = 16;
/// Query heads that share what is read of the cache.
inline constexpr std::uint64_t kHeadsAtOnce = 4;

/// `groups` times kHeads heads, from `head` on.
template <unsigned kHeads>
void attend(const Checked& command, std::uint64_t row, std::uint64_t head, std::uint64_t groups) {
  namespace dim = abi::npu::dim::attention;
  MemF32* const output = f32_row(command.operands[abi::npu::operand::kOutput], row);
  const std::uint64_t seen = command.dims[dim::kPast] + row + 1;
  Heads<kHeads> heads[kHeadsTogether / kHeads];
  for (std::uint64_t i = 0; i < groups; ++i) {
    heads[i].begin(command, row, head + i * kHeads);
  }
  for (std::uint64_t at = 0; at < seen; at += kPositions) {
    for (std::uint64_t i = 0; i < groups; ++i) {
      heads[i].see(at, seen - at < kPositions ? seen - at : kPositions);
    }
  }
  for (std::uint64_t i = 0; i < groups; ++i) {
    heads[i].write(output + (head + i * kHeads) * command.dims[dim::kHeadElements]);
  }
}

Outcome attention(const Checked& command, Units units) {
  namespace dim = abi::npu::dim::attention;
  const std::uint64_t sharing = command.dims[dim::kQueryHeads] / command.dims[dim::kKeyHeads];
  each_run(command, units, [&] [[gnu::always_inline]] (const Tile& tile) {
    // Whether there is a group of kHeadsAtOnce at a head.
    const auto is_group = [&] [[gnu::always_inline]] (std::uint64_t head) {
      return head % sharing + kHeadsAtOnce <= sharing && head + kHeadsAtOnce <= tile.column_end;
    };
    for (std::uint64_t row = tile.row_begin; row < tile.row_end; ++row) {
      for (std::uint64_t head = tile.column_begin; head < tile.column_end;) {
        std::uint64_t count = 0;  // heads
        if (is_group(head)) {
          while (count < kHeadsTogether && is_group(head + count)) {
            count += kHeadsAtOnce;
          }
          attend<kHeadsAtOnce>(command, row, head, count / kHeadsAtOnce);
        } else {
          while (count < kHeadsTogether && head + count < tile.column_end && !is_group(head + count)) {
            ++count;
          }
          attend<1>(command, row, head, count);
        }
        head += count;
      }
    }
  });
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
