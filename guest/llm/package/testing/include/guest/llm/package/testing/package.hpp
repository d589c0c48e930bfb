// A small model and its manifest, which tests change.
#pragma once

#include <sodium/crypto_sign_ed25519.h>

#include <string>
#include <vector>

#include "guest/gguf/testing/builder.hpp"
#include "guest/llm/package/verifier.hpp"

namespace guest::llm::package::testing {

/// Text that grows.
class StringText final : public kernel::TextOutput {
 public:
  void write(std::string_view text) override { text_ += text; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct KeyPair {
  PublicKey key{};
  std::array<std::uint8_t, crypto_sign_ed25519_SECRETKEYBYTES> secret{};
};

inline KeyPair key_pair(std::uint8_t seed_byte) {
  std::array<std::uint8_t, crypto_sign_ed25519_SEEDBYTES> seed{};
  seed.fill(seed_byte);
  KeyPair pair;
  crypto_sign_ed25519_seed_keypair(pair.key.data(), pair.secret.data(), seed.data());
  return pair;
}
inline const KeyPair kOurs = key_pair(1);
inline const KeyPair kOthers = key_pair(2);

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

inline std::string describe(const kernel::Outcome& outcome) {
  return outcome ? "accepted" : std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
}

inline Digest digest_of(const std::string& text) {
  FileHash hash;
  hash.add(bytes_of(text));
  return hash.finish();
}

/// `lines` with the line of their signature.
inline std::string with_signature(const std::string& lines, const KeyPair& by) {
  Signature signature;
  crypto_sign_ed25519_detached(signature.data(), nullptr, reinterpret_cast<const unsigned char*>(lines.data()),
                               lines.size(), by.secret.data());
  StringText line;
  write_signature_line(line, signature);
  return lines + line.text();
}

inline std::string signed_text(const Manifest& manifest, const KeyPair& by = kOurs) {
  StringText lines;
  write_signed_lines(lines, manifest);
  return with_signature(lines.text(), by);
}

/// Five tokens, a context of 16; matrices in Q8_0 and a smaller one in F32.
inline gguf::testing::Builder model_builder() {
  gguf::testing::Builder builder;
  builder.put("general.architecture", "llama").put("llama.context_length", std::uint32_t{16});
  builder.put_array("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "a", "b"});
  builder.put_tensor("token_embd.weight", {32, 5}, gguf::Type::Q8_0, std::string(170, 'q'));
  builder.put_floats("norm.weight", {4}, {1, 2, 3, 4}).put_floats("small.weight", {2, 2}, {1, 2, 3, 4});
  return builder;
}

/// That of `model`, which is one of model_builder().
inline Manifest manifest_of(const std::string& model) {
  Manifest manifest;
  manifest.id.write("tiny");
  manifest.name.write("A model of five tokens");
  manifest.revision = 3;
  manifest.context = 16;
  manifest.vocabulary = 5;
  manifest.quantisation = gguf::Type::Q8_0;
  manifest.size = model.size();
  manifest.wcet_cycles = 1'200'000;
  manifest.sha256 = digest_of(model);
  manifest.key = kOurs.key;
  return manifest;
}

}  // namespace guest::llm::package::testing
