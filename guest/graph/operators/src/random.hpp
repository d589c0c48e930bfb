// Numbers that look random and are the same in every run.
#pragma once

#include <cstdint>

namespace guest::graph {

/// SplitMix64 (G. Steele, D. Lea, C. Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): the output
/// for the state `state`.
constexpr std::uint64_t mix(std::uint64_t state) {
  std::uint64_t z = state + 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

/// The `index`th number of the series `seed`.
constexpr std::uint64_t random_at(std::uint64_t seed, std::uint64_t index) { return mix(mix(seed) ^ index); }

}  // namespace guest::graph
