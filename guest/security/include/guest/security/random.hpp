// Secret random bytes from a seed that the host gives.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace guest::security {

using Seed = std::array<std::uint8_t, 32>;

/// HMAC_DRBG over SHA-256 (NIST SP 800-90A Rev. 1, HMAC_DRBG), without reseeding. What it has given cannot be computed
/// from what it holds afterwards. As secret as the seed, which is used for one of these only.
class RandomBytes {
 public:
  explicit RandomBytes(std::span<const std::uint8_t> seed);
  RandomBytes(const RandomBytes&) = delete;
  RandomBytes& operator=(const RandomBytes&) = delete;
  ~RandomBytes();

  /// Fills `out`. `additional` goes in as well: a time makes machines that go on from one snapshot differ.
  void fill(std::span<std::uint8_t> out, std::span<const std::uint8_t> additional);

 private:
  using Block = std::array<std::uint8_t, 32>;
  void update(std::span<const std::uint8_t> data);
  void next_value();

  Block key_{};
  Block value_;
};

}  // namespace guest::security
