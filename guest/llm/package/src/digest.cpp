#include "guest/llm/package/digest.hpp"

#include <sodium/crypto_hash_sha256.h>

#include <new>

namespace guest::llm::package {
namespace {

using State = crypto_hash_sha256_state;
static_assert(crypto_hash_sha256_BYTES == sizeof(Digest));

/// The state that the constructor has made there.
State* state_in(void* bytes) { return std::launder(static_cast<State*>(bytes)); }

}  // namespace

FileHash::FileHash() {
  static_assert(sizeof(State) == kStateBytes && alignof(State) <= 8);
  crypto_hash_sha256_init(new (state_.data()) State);
}

void FileHash::add(std::span<const std::byte> bytes) {
  // unsigned char is what libsodium takes; it may alias any object.
  crypto_hash_sha256_update(state_in(state_.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                            bytes.size());
}

Digest FileHash::finish() {
  Digest digest;
  crypto_hash_sha256_final(state_in(state_.data()), digest.data());
  return digest;
}

}  // namespace guest::llm::package
