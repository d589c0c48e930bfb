// Manifests: what a signed package says of its model file (docs/models.md, "Packages"). The file NAME.sig is one.
//
//   sis-model-package 1
//   id: sis-explain
//   name: Explains this kernel's telemetry
//   revision: 3
//   context: 512
//   vocabulary: 512
//   quantisation: Q8_0
//   size: 454400
//   wcet-cycles: 1200000
//   sha256: <64 hexadecimal digits>
//   key: <64>
//   signature: <128>            Ed25519 (RFC 8032), over all bytes before this line, under `key`
//
// There is one way to write each manifest: these lines in this order, each ended by a line feed and nothing else,
// numbers in decimal without leading zeros, digits of bytes in lower case. Any other bytes are refused.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "guest/gguf/tensor.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/llm/package/digest.hpp"

namespace guest::llm::package {

using PublicKey = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

// The most of each, included.
inline constexpr std::size_t kMaxManifestBytes = 1024;  ///< more than the longest that can be written
inline constexpr std::size_t kMaxIdBytes = 32;          ///< of A-Z a-z 0-9 . _ -, the first a letter or a digit
inline constexpr std::size_t kMaxNameBytes = 64;        ///< printable ASCII, without blanks at its ends
inline constexpr std::uint64_t kMaxRevision = UINT32_MAX;
inline constexpr std::uint64_t kMaxContext = std::uint64_t{1} << 24;
inline constexpr std::uint64_t kMaxVocabulary = std::uint64_t{1} << 24;
inline constexpr std::uint64_t kMaxModelBytes = std::uint64_t{1} << 40;
inline constexpr std::uint64_t kMaxWcetCycles = std::uint64_t{1} << 62;

struct Manifest {
  kernel::FixedText<kMaxIdBytes> id;
  kernel::FixedText<kMaxNameBytes> name;  ///< for people
  std::uint32_t revision = 1;             ///< counts up; the numbers below are at least 1, too
  std::uint64_t context = 1;              ///< tokens
  std::uint64_t vocabulary = 1;           ///< tokens
  gguf::Type quantisation = gguf::Type::F32;
  std::uint64_t size = 1;         ///< of the model file, bytes
  std::uint64_t wcet_cycles = 1;  ///< NPU cycles that one token takes at most (docs/npu.md, cost model)
  Digest sha256{};                ///< of the model file
  PublicKey key{};                ///< of who signs
};

struct SignedManifest {
  Manifest manifest;
  std::span<const std::byte> signed_bytes;  ///< of the text that was parsed
  Signature signature{};
};

/// Whether `id` can name a package.
[[nodiscard]] bool is_id(std::string_view id);
/// Whether `name` can be a manifest's name.
[[nodiscard]] bool is_name(std::string_view name);

/// Reads a manifest; the signature is not looked into. `text` is hostile, and is referred to by the result. Errors:
///   package-too-long          more than kMaxManifestBytes
///   package-bad-version       it does not begin with "sis-model-package 1"
///   package-truncated         it ends before its last line does
///   package-bad-line          a line is not "FIELD: VALUE"
///   package-unknown-field, package-duplicate-field, package-field-order
///   package-missing-wcet      there is no wcet-cycles
///   package-missing-field     another one is not there
///   package-bad-value         a value is not written in its one way, or out of its limits
///   package-trailing-bytes    something follows the signature
std::expected<SignedManifest, kernel::NamedError> parse_manifest(std::span<const std::byte> text);

/// Writes what is signed: all lines but the last. The values are within their limits.
void write_signed_lines(kernel::TextOutput& output, const Manifest& manifest);
/// Writes the last line.
void write_signature_line(kernel::TextOutput& output, const Signature& signature);

}  // namespace guest::llm::package
