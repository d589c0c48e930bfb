// A model file that comes from outside, piece by piece (docs/models.md, "Uploads").
//
//   begin(manifest) --> add(offset, piece)... --> check_complete() --> the whole file, and its manifest
//
// The manifest is looked at first: it is signed, and says how long the file is. So no memory is taken, and no byte of a
// file, for who is not trusted. Whether the bytes are those that were signed is for who loads them to find out
// (package::Verifier): nothing of them is interpreted here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/named_error.hpp"
#include "guest/llm/catalog/owned_file.hpp"
#include "guest/llm/package/verifier.hpp"

namespace guest::llm {

/// Most bytes of a file that nobody who is trusted has signed: its size is only what its sender says.
inline constexpr std::uint64_t kMaxUntrustedUpload = std::uint64_t{64} << 20;
/// What is to come.
struct UploadPlan {
  std::string_view id;     ///< what it is to be loaded as; empty: what its manifest says
  std::uint64_t size = 0;  ///< of the file, bytes
  std::optional<std::span<const std::byte>> manifest = std::nullopt;  ///< the bytes of NAME.sig, hostile
};

/// One at a time uses it. Move only.
class Upload {
 public:
  /// Checks what can be known before the first byte, then takes the memory. `room`: how much there may be of it, bytes.
  /// In threads; checks a signature, which takes some 500,000 instructions. Errors: those of
  /// package::Verifier::begin(), then
  ///   package-bad-value      there is neither an id nor a manifest, or the id is none
  ///   package-wrong-size     `size` is not what the manifest says, or 0
  ///   package-too-large      more than kMaxUntrustedUpload, and nobody who is trusted has signed that
  ///   package-no-memory      more than `room`
  ///   llm-no-memory          not in one piece
  static std::expected<Upload, kernel::NamedError> begin(const package::Trust& trust, std::uint64_t room,
                                                         const UploadPlan& plan);

  /// The next bytes of the file, at least one, which lie at `offset`. A refused piece changes nothing. Errors:
  ///   package-wrong-offset   `offset` is not how many bytes have come
  ///   package-wrong-size     they reach beyond the end
  kernel::Outcome add(std::uint64_t offset, std::span<const std::byte> piece);
  /// package-model-truncated: how many bytes are missing.
  [[nodiscard]] kernel::Outcome check_complete() const;

  /// Never empty.
  [[nodiscard]] std::string_view id() const { return id_.view(); }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Bytes that have come.
  [[nodiscard]] std::uint64_t received() const { return received_; }
  /// Absent: it has none.
  [[nodiscard]] std::optional<std::span<const std::byte>> manifest() const;
  /// The file, as far as it has come.
  [[nodiscard]] std::span<const std::byte> file() const {
    return file_.bytes().first(static_cast<std::size_t>(received_));
  }
  /// Hands the file over; nothing is left of it here.
  [[nodiscard]] OwnedFile take_file();

 private:
  explicit Upload(std::uint64_t size) : size_(size) {}
  kernel::Outcome keep_names(const UploadPlan& plan, const std::optional<package::Manifest>& said);

  kernel::FixedText<package::kMaxIdBytes> id_;
  std::array<std::byte, package::kMaxManifestBytes> manifest_{};
  std::size_t manifest_bytes_ = 0;
  bool has_manifest_ = false;
  OwnedFile file_;
  std::uint64_t size_;
  std::uint64_t received_ = 0;
};

}  // namespace guest::llm
