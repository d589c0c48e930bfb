#include "guest/llm/package/verifier.hpp"

#include <sodium/crypto_core_ed25519.h>
#include <sodium/crypto_sign_ed25519.h>

#include "guest/llm/package/hex.hpp"

namespace guest::llm::package {
namespace {

using kernel::fail;
using kernel::NamedError;
using kernel::Outcome;

static_assert(crypto_sign_ed25519_PUBLICKEYBYTES == sizeof(PublicKey));
static_assert(crypto_sign_ed25519_BYTES == sizeof(Signature));

/// Hexadecimal digits for an error.
template <std::size_t N>
kernel::FixedText<2 * N> hex_text(const std::array<std::uint8_t, N>& bytes) {
  kernel::FixedText<2 * N> text;
  write_hex(text, bytes);
  return text;
}

}  // namespace

bool is_valid_key(const PublicKey& key) { return crypto_core_ed25519_is_valid_point(key.data()) == 1; }

bool is_signed_by(const PublicKey& key, std::span<const std::byte> message, const Signature& signature) {
  // unsigned char is what libsodium takes; it may alias any object.
  return crypto_sign_ed25519_verify_detached(signature.data(), reinterpret_cast<const unsigned char*>(message.data()),
                                             message.size(), key.data()) == 0;
}

Outcome Verifier::begin(std::string_view wanted_id, std::optional<std::span<const std::byte>> manifest) {
  if (!manifest) {
    return policy_.allow_unsigned
               ? Outcome()
               : fail("package-unsigned", "'{}' has no signature, and the scenario does not allow that",
                      kernel::escaped(wanted_id));
  }
  const auto parsed = parse_manifest(*manifest);
  if (!parsed) {
    return std::unexpected(parsed.error());
  }
  const Manifest& said = parsed->manifest;
  if (!wanted_id.empty() && said.id.view() != wanted_id) {
    return fail("package-wrong-id", "the manifest is that of '{}', expected '{}'", said.id.view(),
                kernel::escaped(wanted_id));
  }
  if (Outcome outcome = check_signature(*parsed); !outcome) {
    return outcome;
  }
  if (const auto newest = revisions_.newest(said.id.view()); newest && said.revision < *newest) {
    return fail("package-replayed", "'{}' is of revision {}, expected {} or later", said.id.view(), said.revision,
                *newest);
  }
  manifest_ = said;
  return {};
}

Outcome Verifier::check_signature(const SignedManifest& parsed) const {
  const PublicKey& key = parsed.manifest.key;
  if (!policy_.key && !policy_.allow_unsigned) {
    return fail("package-no-key", "the scenario names no public key that '{}' could be checked with",
                parsed.manifest.id.view());
  }
  if (policy_.key && key != *policy_.key) {
    return fail("package-wrong-key", "signed by {}, expected {}", hex_text(key).view(), hex_text(*policy_.key).view());
  }
  if (!is_signed_by(key, parsed.signed_bytes, parsed.signature)) {
    return fail("package-wrong-signature", "'{}': the signature is not that of key {} over this manifest",
                parsed.manifest.id.view(), hex_text(key).view());
  }
  return {};
}

Outcome Verifier::add(std::span<const std::byte> piece) {
  if (manifest_ && piece.size() > manifest_->size - size_) {
    return fail("package-wrong-size", "the model file has more than the {} bytes that the manifest says",
                manifest_->size);
  }
  size_ += piece.size();
  hash_.add(piece);
  return {};
}

Outcome Verifier::finish() {
  digest_ = hash_.finish();
  if (manifest_ && size_ != manifest_->size) {
    return fail("package-model-truncated", "the model file has {} bytes, the manifest says {}", size_, manifest_->size);
  }
  if (manifest_ && digest_ != manifest_->sha256) {
    return fail("package-wrong-hash", "the model file has {}, the manifest says {}", hex_text(digest_).view(),
                hex_text(manifest_->sha256).view());
  }
  return {};
}

std::expected<ModelFacts, NamedError> Verifier::check_model(std::span<const std::byte> file) const {
  const auto opened = gguf::File::open(file);
  if (!opened) {
    return std::unexpected(opened.error());
  }
  const auto facts = read_facts(*opened);
  if (!facts || !manifest_) {
    return facts;
  }
  if (facts->context != manifest_->context) {
    return fail("package-wrong-context", "the model has a context of {} tokens, the manifest says {}", facts->context,
                manifest_->context);
  }
  if (facts->vocabulary != manifest_->vocabulary) {
    return fail("package-wrong-vocabulary", "the model has a vocabulary of {} tokens, the manifest says {}",
                facts->vocabulary, manifest_->vocabulary);
  }
  if (facts->quantisation != manifest_->quantisation) {
    return fail("package-wrong-weights", "the model's weights are {}, the manifest says {}", facts->quantisation,
                manifest_->quantisation);
  }
  return facts;
}

Outcome verify(const Policy& policy, const Revisions& revisions, std::string_view wanted_id,
               std::optional<std::span<const std::byte>> manifest, std::span<const std::byte> model) {
  Verifier verifier(policy, revisions);
  Outcome outcome = verifier.begin(wanted_id, manifest);
  if (outcome) {
    outcome = verifier.add(model);
  }
  if (outcome) {
    outcome = verifier.finish();
  }
  if (!outcome) {
    return outcome;
  }
  const auto facts = verifier.check_model(model);
  return facts ? Outcome() : std::unexpected(facts.error());
}

}  // namespace guest::llm::package
