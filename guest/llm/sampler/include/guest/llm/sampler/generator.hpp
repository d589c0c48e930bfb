// Random numbers that are the same everywhere: xoshiro256** 1.0 by Blackman and Vigna (arXiv:1805.01407), whose state
// the first four numbers of splitmix64 are, from the seed on.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace guest::llm {

class Generator {
 public:
  explicit constexpr Generator(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
      seed += 0x9E37'79B9'7F4A'7C15;
      std::uint64_t z = seed;
      z = (z ^ z >> 30) * 0xBF58'476D'1CE4'E5B9;
      z = (z ^ z >> 27) * 0x94D0'49BB'1331'11EB;
      word = z ^ z >> 31;
    }
  }
  /// In this state, of which not all is 0.
  explicit constexpr Generator(const std::array<std::uint64_t, 4>& state) : state_(state) {}

  constexpr std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace guest::llm
