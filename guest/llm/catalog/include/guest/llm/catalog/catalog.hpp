// The models of the LLM service: where they come from, whether they are what was signed, and whose memory they lie in
// (docs/models.md, "Loading").
//
//   NAME.gguf + NAME.sig of the boot archive --copy--+
//                                                     +--> verify --> Service::load() --> newest revision accepted
//   pages and a manifest that came over vsock --------+      |               |
//                                                            +---- refused --+--> memory is freed, the reason is kept
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/archive.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "guest/llm/catalog/owned_file.hpp"
#include "guest/llm/package/verifier.hpp"
#include "guest/llm/service/service.hpp"

namespace guest::llm {

enum class ModelState : std::uint8_t {
  Available,  ///< in the boot archive
  Loading,    ///< it is being verified and read, or unloaded
  Loaded,
  Refused,  ///< the last attempt to load it was: `refused` says why
};
/// "available", "loading", "loaded", "refused".
std::string_view to_string(ModelState state);

/// What is known of a model.
struct CatalogEntry {
  kernel::FixedText<kMaxModelId> id;
  ModelState state = ModelState::Available;
  std::uint64_t bytes = 0;                    ///< of its file; 0: there is none, or it is not known yet
  std::optional<package::Manifest> manifest;  ///< of a loaded one; nothing: it has none, which the scenario allows
  package::ModelFacts facts;                  ///< of a loaded one
  kernel::NamedError refused;
};

/// All calls in threads, from anywhere. load() takes as long as it takes to look at every byte of the model, and the
/// service's lock now and then; the others are short, but that unload() waits for the NPU.
class Catalog {
 public:
  static constexpr std::size_t kMaxModels = 16;

  /// All must outlive this. Models that are loaded then are the service's until it ends.
  Catalog(Service& service, package::Trust& trust, const kernel::Archive& archive)
      : service_(service), trust_(trust), archive_(archive) {}
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  /// Loads models/ID.gguf of the boot archive, with models/ID.sig if that is there. Errors: those of
  /// package::Verifier and Service::load();
  ///   llm-no-file           the archive has no such model
  ///   llm-model-exists      one is loaded by this id, or on its way
  ///   llm-too-many-models   how many there may be
  ///   llm-no-memory         for another copy of the file
  ///   llm-too-many-ids      so many packages were accepted that no older ones of this could be told and refused
  kernel::Outcome load(const Caller& caller, std::string_view id);
  /// Loads `file`, which is freed if it is refused, and when it is unloaded. `manifest`: the bytes of its .sig; empty:
  /// it has none. Errors: the same.
  kernel::Outcome load(const Caller& caller, std::string_view id, std::span<const std::byte> manifest, OwnedFile file);
  /// llm-no-model; llm-model-in-use: by how many requests and sessions.
  kernel::Outcome unload(const Caller& caller, std::string_view id);

  /// A walk over all models that are loaded, on their way or refused, then those that lie in the archive besides.
  /// Nothing: `index` is beyond the last. They may come and go meanwhile.
  std::optional<CatalogEntry> at(std::size_t index);

 private:
  struct Place {
    bool used = false;
    CatalogEntry entry;
    OwnedFile file;  ///< while the entry is Loading: of whoever changes it
  };
  using Manifest = std::optional<std::span<const std::byte>>;

  Place* find_place(std::string_view id);
  std::expected<Place*, kernel::NamedError> take_place(const Caller& caller, std::string_view id);
  kernel::Outcome copy_archived(Place& place, package::Verifier& verifier) const;
  kernel::Outcome settle(Place& place, const Caller& caller, package::Verifier& verifier, const kernel::Outcome& begun);

  Service& service_;
  package::Trust& trust_;
  const kernel::Archive& archive_;
  threads::Mutex mutex_;  ///< of the places
  std::array<Place, kMaxModels> places_;
};

}  // namespace guest::llm
