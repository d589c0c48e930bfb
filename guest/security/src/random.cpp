#include "guest/security/random.hpp"

#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/utils.h>

#include <algorithm>

namespace guest::security {

RandomBytes::RandomBytes(std::span<const std::uint8_t> seed) {
  value_.fill(0x01);
  update(seed);
}

RandomBytes::~RandomBytes() {
  sodium_memzero(key_.data(), key_.size());
  sodium_memzero(value_.data(), value_.size());
}

/// SP 800-90A, HMAC_DRBG_Update.
void RandomBytes::update(std::span<const std::uint8_t> data) {
  for (const std::uint8_t round : {std::uint8_t{0}, std::uint8_t{1}}) {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key_.data(), key_.size());
    crypto_auth_hmacsha256_update(&state, value_.data(), value_.size());
    crypto_auth_hmacsha256_update(&state, &round, 1);
    crypto_auth_hmacsha256_update(&state, data.data(), data.size());
    crypto_auth_hmacsha256_final(&state, key_.data());
    sodium_memzero(&state, sizeof(state));
    next_value();
    if (data.empty()) {
      return;
    }
  }
}

void RandomBytes::next_value() {
  Block next;
  crypto_auth_hmacsha256(next.data(), value_.data(), value_.size(), key_.data());
  value_ = next;
  sodium_memzero(next.data(), next.size());
}

/// SP 800-90A, HMAC_DRBG_Generate_algorithm.
void RandomBytes::fill(std::span<std::uint8_t> out, std::span<const std::uint8_t> additional) {
  if (!additional.empty()) {
    update(additional);
  }
  while (!out.empty()) {
    next_value();
    const std::size_t count = std::min(out.size(), value_.size());
    std::copy_n(value_.begin(), count, out.begin());
    out = out.subspan(count);
  }
  update(additional);
}

}  // namespace guest::security
