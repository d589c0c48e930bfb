// From the lanes of vectors of integers to one number of each.
#pragma once

#include "wide.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

using FourI32 = hn::FixedTag<std::int32_t, 4>;
using FourInts = hn::Vec<FourI32>;

/// Four lanes that are left to fold. A template, so that what is for other targets is not looked at.
template <typename Join, typename Part>
[[gnu::always_inline]] inline FourInts fold_to_four_ints(Join&& join, Part part) {
  if constexpr (kPartLanes == 4) {
    return part;
  } else if constexpr (kPartLanes == 8) {
    return join(hn::LowerHalf(FourI32(), part), hn::UpperHalf(FourI32(), part));
  } else {
    const hn::Half<Ints> half;
    const auto eight = join(hn::LowerHalf(half, part), hn::UpperHalf(half, part));
    return join(hn::LowerHalf(FourI32(), eight), hn::UpperHalf(FourI32(), eight));
  }
}

/// Of each of four vectors what join(a, b) makes of all its lanes; its order is of no importance.
template <typename Join>
[[gnu::always_inline]] inline FourInts fold_ints_with(Join&& join, IntPart a, IntPart b, IntPart c, IntPart d) {
  const hn::RepartitionToWide<Ints> wide;
  const auto pairs = [&] [[gnu::always_inline]] (IntPart first, IntPart second) {
    return hn::BitCast(wide,
                       join(hn::InterleaveLower(Ints(), first, second), hn::InterleaveUpper(Ints(), first, second)));
  };
  const auto ab = pairs(a, b);
  const auto cd = pairs(c, d);
  return fold_to_four_ints(join, join(hn::BitCast(Ints(), hn::InterleaveLower(wide, ab, cd)),
                                      hn::BitCast(Ints(), hn::InterleaveUpper(wide, ab, cd))));
}

/// The sums of four vectors' lanes, modulo 2^32.
[[gnu::always_inline]] inline FourInts fold_ints(IntPart a, IntPart b, IntPart c, IntPart d) {
  return fold_ints_with([] [[gnu::always_inline]] (auto x, auto y) { return hn::Add(x, y); }, a, b, c, d);
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
