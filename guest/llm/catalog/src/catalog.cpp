#include "guest/llm/catalog/catalog.hpp"

#include <algorithm>
#include <utility>

#include "abi/boot_config.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::llm {

namespace names = abi::boot_config;
using kernel::Outcome;
using threads::MutexGuard;

namespace {

/// Looked at in one go.
constexpr std::size_t kPieceBytes = 65'536;

constexpr std::string_view kFolder = names::kModelsFolder;
constexpr std::string_view kEnding = names::kModelEnding;

/// The id of a model of the archive; nothing: the file is none.
std::optional<std::string_view> id_of(std::string_view name) {
  if (!name.starts_with(kFolder) || !name.ends_with(kEnding) || name.size() < kFolder.size() + kEnding.size()) {
    return std::nullopt;
  }
  return name.substr(kFolder.size(), name.size() - kFolder.size() - kEnding.size());
}

std::optional<std::span<const std::byte>> find_file(const kernel::Archive& archive, std::string_view id,
                                                    std::string_view ending) {
  kernel::FixedText<names::kMaxNameBytes> name;
  kernel::format_to(name, "{}{}{}", kFolder, id, ending);
  const auto file = archive.find(name.view());
  return file ? std::optional(file->data) : std::nullopt;
}

/// Whether all bytes of the model are what was signed, and then what they say.
std::expected<package::ModelFacts, kernel::NamedError> check_bytes(package::Verifier& verifier,
                                                                   std::span<const std::byte> model) {
  for (std::size_t at = 0; at < model.size(); at += kPieceBytes) {
    if (const Outcome added = verifier.add(model.subspan(at, std::min(kPieceBytes, model.size() - at))); !added) {
      return std::unexpected(added.error());
    }
  }
  if (const Outcome whole = verifier.finish(); !whole) {
    return std::unexpected(whole.error());
  }
  return verifier.check_model(model);
}

}  // namespace

std::string_view to_string(ModelState state) {
  switch (state) {
    case ModelState::Available:
      return "available";
    case ModelState::Loading:
      return "loading";
    case ModelState::Loaded:
      return "loaded";
    case ModelState::Refused:
      return "refused";
  }
  return "?";
}

Outcome Catalog::load(const Caller& caller, std::string_view id) {
  const auto place = take_place(caller, id);
  if (!place) {
    return std::unexpected(place.error());
  }
  package::Verifier verifier(trust_.policy, trust_.revisions);
  return settle(**place, caller, verifier, copy_archived(**place, verifier));
}

Outcome Catalog::load(const Caller& caller, std::string_view id, std::span<const std::byte> manifest, OwnedFile file) {
  const auto place = take_place(caller, id);
  if (!place) {
    return std::unexpected(place.error());
  }
  (*place)->file = std::move(file);
  package::Verifier verifier(trust_.policy, trust_.revisions);
  return settle(**place, caller, verifier, verifier.begin(id, manifest.empty() ? Manifest() : Manifest(manifest)));
}

/// The file of the archive in memory of its own, where the NPU can read it. The copy is what is verified.
Outcome Catalog::copy_archived(Place& place, package::Verifier& verifier) const {
  const std::string_view id = place.entry.id.view();
  const auto model = find_file(archive_, id, kEnding);
  if (!model) {
    return kernel::fail("llm-no-file", "there is no '{}{}{}' in the boot archive", kFolder, id, kEnding);
  }
  if (Outcome begun = verifier.begin(id, find_file(archive_, id, names::kSignatureEnding)); !begun) {
    return begun;
  }
  auto file = OwnedFile::make(model->size());
  if (!file) {
    return std::unexpected(file.error());
  }
  place.file = std::move(*file);
  std::ranges::copy(*model, place.file.bytes().begin());
  return {};
}

/// After the first look, `begun`: all of it is verified, and then loaded.
Outcome Catalog::settle(Place& place, const Caller& caller, package::Verifier& verifier, const Outcome& begun) {
  const std::string_view id = place.entry.id.view();
  std::expected<package::ModelFacts, kernel::NamedError> facts =
      begun ? check_bytes(verifier, place.file.bytes()) : std::unexpected(begun.error());
  const auto& manifest = verifier.manifest();
  // Before the model can be used: taking it back afterwards would meet who already uses it.
  if (facts && manifest && !trust_.revisions.accept(id, 0)) {
    facts = std::unexpected(kernel::fail("llm-too-many-ids",
                                         "{} packages were accepted: an older one of this could not be told",
                                         package::Revisions::kMaxIds)
                                .error());
  }
  if (!facts) {
    service_.audit_refused_load(caller, id, facts.error());
  }
  const Outcome outcome = facts ? service_.load(caller, id, place.file.bytes()) : std::unexpected(facts.error());
  if (outcome && manifest) {
    kernel::require(trust_.revisions.accept(id, manifest->revision), "a model's revision has lost its place");
  }
  OwnedFile refused;
  const MutexGuard guard(mutex_);
  place.entry.bytes = place.file.bytes().size();
  if (outcome) {
    place.entry.state = ModelState::Loaded;
    place.entry.manifest = manifest;
    place.entry.facts = *facts;
  } else {
    place.entry.state = ModelState::Refused;
    place.entry.refused = outcome.error();
    refused = std::move(place.file);
  }
  return outcome;
}

Outcome Catalog::unload(const Caller& caller, std::string_view id) {
  Place* place = nullptr;
  {
    const MutexGuard guard(mutex_);
    place = find_place(id);
    if (place != nullptr && place->entry.state == ModelState::Loaded) {
      place->entry.state = ModelState::Loading;  // nobody else touches it
    } else {
      place = nullptr;
    }
  }
  const Outcome outcome = service_.unload(caller, id);
  if (place == nullptr) {
    return outcome;
  }
  OwnedFile file;
  const MutexGuard guard(mutex_);
  if (outcome) {
    file = std::move(place->file);
    place->entry = {};
    place->used = false;
  } else {
    place->entry.state = ModelState::Loaded;
  }
  return outcome;
}

// ---- Places

Catalog::Place* Catalog::find_place(std::string_view id) {
  const auto found =
      std::ranges::find_if(places_, [id](const Place& place) { return place.used && place.entry.id.view() == id; });
  return found == places_.end() ? nullptr : &*found;
}

std::expected<Catalog::Place*, kernel::NamedError> Catalog::take_place(const Caller& caller, std::string_view id) {
  const auto refuse = [&](const Outcome& refused) {
    service_.audit_refused_load(caller, id, refused.error());
    return std::unexpected(refused.error());
  };
  if (!package::is_id(id)) {
    return refuse(kernel::fail("llm-bad-model-id",
                               "\"{}\", expected 1 to {} of A-Z a-z 0-9 . _ -, the first a letter "
                               "or a digit",
                               kernel::escaped(id), package::kMaxIdBytes));
  }
  {
    const MutexGuard guard(mutex_);
    Place* place = find_place(id);
    if (place == nullptr) {
      const auto free = std::ranges::find(places_, false, &Place::used);
      // A refusal is forgotten where its place is needed.
      const auto refused =
          std::ranges::find_if(places_, [](const Place& each) { return each.entry.state == ModelState::Refused; });
      place = free != places_.end() ? &*free : refused != places_.end() ? &*refused : nullptr;
    } else if (place->entry.state != ModelState::Refused) {
      return refuse(kernel::fail("llm-model-exists", "the model \"{}\" is {}", id, to_string(place->entry.state)));
    }
    if (place != nullptr) {
      place->used = true;
      place->entry = {};
      place->entry.id.write(id);
      place->entry.state = ModelState::Loading;
      return place;
    }
  }
  return refuse(
      kernel::fail("llm-too-many-models", "{} models are loaded, which is as many as there may be", kMaxModels));
}

// ---- What there is

std::optional<CatalogEntry> Catalog::at(std::size_t index) {
  const MutexGuard guard(mutex_);
  for (const Place& place : places_) {
    if (place.used && index-- == 0) {
      return place.entry;
    }
  }
  for (const kernel::ArchiveFile& file : archive_.files()) {
    const auto id = id_of(file.name);
    if (id && find_place(*id) == nullptr && index-- == 0) {
      CatalogEntry entry;
      entry.id.write(*id);
      entry.bytes = file.data.size();
      return entry;
    }
  }
  return std::nullopt;
}

}  // namespace guest::llm
