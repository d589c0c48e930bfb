// A histogram as an answer has it.
#pragma once

#include <cstddef>

#include "guest/control/cbor.hpp"
#include "guest/kernel/histogram.hpp"

namespace guest::control {

/// The longest map: of each bucket an array's head and three numbers, and what stands around them.
inline constexpr std::size_t kMaxHistogramBytes = kernel::Histogram::kBuckets * std::size_t{1 + 3 * 9} + 128;

/// Writes the map {unit, buckets, count, total, max}: one value.
void write_histogram(CborWriter& writer, const kernel::Histogram& histogram);

}  // namespace guest::control
