// The boot configuration from its archive.
#include <algorithm>

#include "guest/kernel/boot_config.hpp"
#include "guest/kernel/graph_config.hpp"
#include "guest/kernel/heap.hpp"

namespace guest::kernel {

namespace names = abi::boot_config;
using Bytes = std::span<const std::byte>;

namespace {

/// The scenario tree of an archive, copied: files in a cpio archive are aligned to 4, libfdt wants 8.
class TreeCopy {
 public:
  explicit TreeCopy(Heap& heap) : heap_(heap) {}
  TreeCopy(const TreeCopy&) = delete;
  TreeCopy& operator=(const TreeCopy&) = delete;
  ~TreeCopy() { heap_.free(bytes_); }

  Outcome take(std::span<const std::byte> file) {
    if (file.size() > names::kMaxTreeBytes) {
      return fail("tree-too-large", "{} bytes, at most {}", file.size(), names::kMaxTreeBytes);
    }
    bytes_ = heap_.allocate(file.size());
    if (bytes_ == nullptr) {
      return fail("config-no-memory", "{} bytes for '{}'", file.size(), std::string_view(names::kScenarioFile));
    }
    size_ = file.size();
    std::copy(file.begin(), file.end(), static_cast<std::byte*>(bytes_));
    return {};
  }
  [[nodiscard]] Bytes bytes() const { return {static_cast<const std::byte*>(bytes_), size_}; }

 private:
  Heap& heap_;
  void* bytes_ = nullptr;
  std::size_t size_ = 0;
};

/// The archive has the files of all models. What they are is for those who load them.
Outcome find_models(const Archive& archive, BootConfig& out) {
  for (const ModelConfig& model : out.llm.models) {
    FixedText<names::kMaxModelName + 16> file;
    format_to(file, "{}{}{}", std::string_view(names::kModelsFolder), model.name.view(),
              std::string_view(names::kModelEnding));
    if (!archive.find(file.view())) {
      return fail("model-missing", "there is no '{}' in the archive", file.view());
    }
  }
  return {};
}

}  // namespace

Outcome read_boot_config(std::span<const std::byte> bytes, Heap& heap, Archive& archive, BootConfig& out) {
  out.reset();
  if (Outcome outcome = archive.open(bytes); !outcome) {
    return outcome;
  }
  const auto file = archive.find(names::kScenarioFile);
  if (!file) {
    return fail("config-missing", "the archive has no '{}'", std::string_view(names::kScenarioFile));
  }
  TreeCopy copy(heap);
  Outcome outcome = copy.take(file->data);
  if (outcome) {
    outcome = read_scenario_tree(copy.bytes(), out);
  }
  if (outcome) {
    outcome = find_models(archive, out);
  }
  if (!outcome) {
    out.reset();
  }
  return outcome;
}

Outcome visit_graphs(const Archive& archive, Heap& heap, GraphConfigVisitor& visitor) {
  const auto file = archive.find(names::kScenarioFile);
  if (!file) {
    return {};
  }
  TreeCopy copy(heap);
  const Outcome taken = copy.take(file->data);
  return taken ? visit_graphs(copy.bytes(), visitor) : taken;
}

}  // namespace guest::kernel
