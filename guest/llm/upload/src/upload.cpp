#include "guest/llm/upload/upload.hpp"

#include <algorithm>
#include <utility>

namespace guest::llm {

using kernel::fail;
using kernel::NamedError;
using kernel::Outcome;

namespace {

/// What the sender says of the size, against what is signed.
Outcome check_size(const package::Policy& policy, const UploadPlan& plan,
                   const std::optional<package::Manifest>& said) {
  if (said && plan.size != said->size) {
    return fail("package-wrong-size", "the model file is to have {} bytes, the manifest says {}", plan.size,
                said->size);
  }
  if (plan.size == 0) {
    return fail("package-wrong-size", "the model file is to have 0 bytes, expected 1 or more");
  }
  const bool trusted = said && policy.key;
  if (!trusted && plan.size > kMaxUntrustedUpload) {
    return fail("package-too-large",
                "the model file is to have {} bytes; allowed: {} unless it is signed with the "
                "scenario's key",
                plan.size, kMaxUntrustedUpload);
  }
  return {};
}

}  // namespace

std::expected<Upload, NamedError> Upload::begin(const package::Trust& trust, std::uint64_t room,
                                                const UploadPlan& plan) {
  package::Verifier verifier(trust.policy, trust.revisions);
  if (const Outcome checked = verifier.begin(plan.id, plan.manifest); !checked) {
    return std::unexpected(checked.error());
  }
  if (const Outcome checked = check_size(trust.policy, plan, verifier.manifest()); !checked) {
    return std::unexpected(checked.error());
  }
  Upload upload(plan.size);
  if (const Outcome kept = upload.keep_names(plan, verifier.manifest()); !kept) {
    return std::unexpected(kept.error());
  }
  if (plan.size > room) {
    return fail("package-no-memory", "the model file is to have {} bytes, there is room for {}", plan.size, room);
  }
  auto file = OwnedFile::make(plan.size);
  if (!file) {
    return std::unexpected(file.error());
  }
  upload.file_ = std::move(*file);
  return upload;
}

Outcome Upload::keep_names(const UploadPlan& plan, const std::optional<package::Manifest>& said) {
  const std::string_view id = said ? said->id.view() : plan.id;
  if (!package::is_id(id)) {
    return fail("package-bad-value",
                "id: found '{}', expected 1 to {} of A-Z a-z 0-9 . _ -, the first a letter or a "
                "digit",
                kernel::escaped(id.substr(0, package::kMaxIdBytes)), package::kMaxIdBytes);
  }
  id_.write(id);
  if (plan.manifest) {
    // It was parsed, so it is no longer than a manifest may be.
    has_manifest_ = true;
    manifest_bytes_ = plan.manifest->size();
    std::ranges::copy(*plan.manifest, manifest_.begin());
  }
  return {};
}

Outcome Upload::add(std::uint64_t offset, std::span<const std::byte> piece) {
  if (offset != received_) {
    return fail("package-wrong-offset", "the next byte of the model file is that at {}, given is one at {}", received_,
                offset);
  }
  if (piece.size() > size_ - received_) {
    return fail("package-wrong-size", "the model file has {} bytes, given are {} at {}", size_, piece.size(), offset);
  }
  std::ranges::copy(piece, file_.bytes().subspan(static_cast<std::size_t>(received_)).begin());
  received_ += piece.size();
  return {};
}

Outcome Upload::check_complete() const {
  if (received_ != size_) {
    return fail("package-model-truncated", "the model file has {} bytes, {} of them have come", size_, received_);
  }
  return {};
}

std::optional<std::span<const std::byte>> Upload::manifest() const {
  return has_manifest_ ? std::optional(std::span(manifest_).first(manifest_bytes_)) : std::nullopt;
}

OwnedFile Upload::take_file() {
  received_ = 0;
  return std::move(file_);
}

}  // namespace guest::llm
