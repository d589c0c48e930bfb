#include "element.hpp"

namespace guest::graph::numeric {
namespace {

struct Summary {
  std::size_t count;
  double min;
  double max;
  double mean;
};

Summary summarise(const Elements& from) {
  Summary summary{};
  double sum = 0;
  visit_elements(from, [&](std::size_t i, double x) {
    summary.min = i == 0 || x < summary.min ? x : summary.min;
    summary.max = i == 0 || x > summary.max ? x : summary.max;
    sum += x;
    summary.count = i + 1;
  });
  summary.mean = sum / static_cast<double>(summary.count);
  return summary;
}

double variance(const Elements& from, const Summary& summary) {
  double sum = 0;
  visit_elements(from, [&](std::size_t, double x) { sum += (x - summary.mean) * (x - summary.mean); });
  return sum / static_cast<double>(summary.count);
}

/// (x - offset) / divisor; 0 for all where the divisor is 0.
void normalise(const Elements& from, double offset, double divisor, std::byte* to) {
  visit_elements(from, [&](std::size_t i, double x) { store_f32(to, i, divisor > 0 ? (x - offset) / divisor : 0.0); });
}

}  // namespace

bool is_supported(DType dtype) {
  switch (dtype) {
    case DType::U8:
    case DType::I8:
    case DType::U16:
    case DType::I16:
    case DType::U32:
    case DType::I32:
    case DType::F32:
      return true;
    default:
      return false;
  }
}

void convert(std::span<const std::uint32_t> values, DType dtype, std::span<std::byte> to) {
  std::byte* out = to.data();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<double>(values.data()[i]);
    if (dtype == DType::F64) {
      __builtin_memcpy(out + i * sizeof(double), &value, sizeof(double));
    } else {
      store_f32(out, i, value);
    }
  }
}

void normalise_range(const Elements& from, std::span<std::byte> to) {
  const Summary summary = summarise(from);
  normalise(from, summary.min, summary.max - summary.min, to.data());
}

void normalise_mean_std(const Elements& from, std::span<std::byte> to) {
  const Summary summary = summarise(from);
  // Where all are equal it is 0: their sum, of at most 2^28 elements with 24 bits, and so their mean are exact; with 32
  // bits, too, since a tensor of those is at most 1 GiB as well.
  normalise(from, summary.mean, __builtin_sqrt(variance(from, summary)), to.data());
}

void threshold(const Elements& from, std::int64_t level, std::int64_t divisor, std::span<std::byte> to) {
  // Both below 2^53, and so exact. The product of an integer is, too, up to that.
  const auto bound = static_cast<double>(level);
  const auto factor = static_cast<double>(divisor);
  std::byte* const out = to.data();
  // A byte is written where elements have been read already, if the memory is the same.
  visit_elements(from, [&](std::size_t i, double x) { out[i] = x * factor >= bound ? std::byte{255} : std::byte{0}; });
}

void statistics(const Elements& from, std::span<std::byte> to) {
  const Summary summary = summarise(from);
  const double numbers[kSummaryNumbers] = {static_cast<double>(summary.count), summary.min, summary.max, summary.mean,
                                           variance(from, summary)};
  std::byte* const out = to.data();
  for (std::size_t i = 0; i < kSummaryNumbers; ++i) {
    store_f32(out, i, numbers[i]);
  }
  const std::size_t bins = to.size() / sizeof(float) - kSummaryNumbers;
  for (std::size_t i = 0; i < bins; ++i) {
    store_f32(out, kSummaryNumbers + i, 0);
  }
  const double width = summary.max - summary.min;
  if (bins == 0) {
    return;
  }
  visit_elements(from, [&](std::size_t, double x) {
    const double place = width > 0 ? (x - summary.min) / width * static_cast<double>(bins) : 0;
    const auto bin = static_cast<std::size_t>(place);
    const std::size_t index = kSummaryNumbers + (bin < bins ? bin : bins - 1);
    store_f32(out, index, load_f32(out, index) + 1);
  });
}

void scale_bytes(std::span<const std::byte> from, std::span<std::byte> to) {
  std::byte* const out = to.data();
  visit_elements({.dtype = DType::U8, .bytes = from}, [&](std::size_t i, double x) { store_f32(out, i, x / 255); });
}

}  // namespace guest::graph::numeric
