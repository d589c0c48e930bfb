// Whether a package is the one that was signed, by who may sign, for what it is loaded as.
//
//   begin(manifest)  --> add(piece of the model file)... --> finish() --> check_model(the file)
//
// The model file may come in pieces and from anywhere; nothing of it is interpreted before all of it is known to be
// what was signed. A refusal is final.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/named_error.hpp"
#include "guest/llm/package/digest.hpp"
#include "guest/llm/package/manifest.hpp"
#include "guest/llm/package/model_facts.hpp"
#include "guest/llm/package/revisions.hpp"

namespace guest::llm::package {

/// Who is trusted.
struct Policy {
  std::optional<PublicKey> key;  ///< of who signs; absent: nobody is
  /// A model without manifest is accepted; without a key, one that is signed by anybody. What is there must still be
  /// right.
  bool allow_unsigned = false;
};

/// Whom a machine trusts, and what it has accepted.
struct Trust {
  Policy policy;
  Revisions revisions;
};

/// Whether `key` can be the key of somebody: a point of the curve's main subgroup, in its one encoding.
[[nodiscard]] bool is_valid_key(const PublicKey& key);

/// Ed25519 (RFC 8032, Ed25519 signature verification); no small-order points, no other encodings.
[[nodiscard]] bool is_signed_by(const PublicKey& key, std::span<const std::byte> message, const Signature& signature);

/// One package. Threads and host programs only: libsodium's code may use FP registers. Takes some KiB of stack.
class Verifier {
 public:
  /// Both must outlive this object.
  Verifier(const Policy& policy, const Revisions& revisions) : policy_(policy), revisions_(revisions) {}

  /// The manifest, the bytes of NAME.sig, or that there is none. `wanted_id`: what it is to be loaded as; empty: as
  /// whatever it says. Errors, in this order:
  ///   package-unsigned          there is no manifest, and that is not allowed
  ///   those of parse_manifest()
  ///   package-wrong-id          it is a package of another id
  ///   package-no-key            there is no key to check it with, and that is not allowed
  ///   package-wrong-key         it names another key than the trusted one
  ///   package-wrong-signature   the signature is not one of the key that it names, over these bytes
  ///   package-replayed          a newer revision was accepted before
  kernel::Outcome begin(std::string_view wanted_id, std::optional<std::span<const std::byte>> manifest);

  /// The model file's next bytes. Error:
  ///   package-wrong-size        there are more than the manifest says
  kernel::Outcome add(std::span<const std::byte> piece);

  /// There are no more. Errors:
  ///   package-model-truncated   there are fewer than the manifest says
  ///   package-wrong-hash        their SHA-256 is another one
  kernel::Outcome finish();

  /// After finish(): looks into the model file, all of it. Errors: those of gguf::File::open(), of read_facts(), and
  ///   package-wrong-context, package-wrong-vocabulary, package-wrong-weights   it says something else than the
  ///   manifest
  std::expected<ModelFacts, kernel::NamedError> check_model(std::span<const std::byte> file) const;

  /// Absent: it has none. After begin().
  [[nodiscard]] const std::optional<Manifest>& manifest() const { return manifest_; }
  /// Of the model file. After finish().
  [[nodiscard]] const Digest& digest() const { return digest_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  kernel::Outcome check_signature(const SignedManifest& parsed) const;

  const Policy& policy_;
  const Revisions& revisions_;
  std::optional<Manifest> manifest_;
  FileHash hash_;
  Digest digest_{};
  std::uint64_t size_ = 0;
};

/// All of it for files that are in memory. Errors: those of Verifier.
kernel::Outcome verify(const Policy& policy, const Revisions& revisions, std::string_view wanted_id,
                       std::optional<std::span<const std::byte>> manifest, std::span<const std::byte> model);

}  // namespace guest::llm::package
