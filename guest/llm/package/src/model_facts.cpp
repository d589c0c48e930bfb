#include "guest/llm/package/model_facts.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "guest/kernel/format.hpp"
#include "guest/llm/package/manifest.hpp"
#include "weight_types.hpp"

namespace guest::llm::package {
namespace {

constexpr std::size_t kMaxArchitecture = 32;

std::expected<gguf::Type, kernel::NamedError> read_quantisation(const gguf::File& file) {
  std::array<std::uint64_t, std::size(kWeightTypes)> elements{};
  for (const gguf::Tensor& tensor : file.tensors()) {
    const auto* const type = std::ranges::find(kWeightTypes, tensor.type);
    if (tensor.dimensions >= 2 && type != std::end(kWeightTypes)) {
      // No overflow: tensors share no bytes of the file, and an element takes at least half a byte.
      elements[static_cast<std::size_t>(type - kWeightTypes)] += tensor.rows() * tensor.row_elements();
    }
  }
  const auto most = std::ranges::max_element(elements);
  if (*most == 0) {
    return kernel::fail("package-bad-model", "there is no matrix of F32, F16, Q8_0 or Q4_0 among its {} tensors",
                        file.tensors().size());
  }
  return kWeightTypes[most - elements.begin()];
}

}  // namespace

std::expected<ModelFacts, kernel::NamedError> read_facts(const gguf::File& file) {
  const auto architecture = file.text("general.architecture");
  if (!architecture) {
    return std::unexpected(architecture.error());
  }
  if (architecture->size() > kMaxArchitecture) {
    return kernel::fail("package-bad-model", "general.architecture has {} bytes, at most {}", architecture->size(),
                        kMaxArchitecture);
  }
  kernel::FixedText<kMaxArchitecture + 16> key;
  kernel::format_to(key, "{}.context_length", *architecture);
  const auto context = file.integer(key.view(), {.least = 1, .most = kMaxContext});
  if (!context) {
    return std::unexpected(context.error());
  }
  const auto tokens = file.array("tokenizer.ggml.tokens", gguf::ValueType::String);
  if (!tokens) {
    return std::unexpected(tokens.error());
  }
  const auto quantisation = read_quantisation(file);
  if (!quantisation) {
    return std::unexpected(quantisation.error());
  }
  return ModelFacts{.context = *context, .vocabulary = tokens->size(), .quantisation = *quantisation};
}

}  // namespace guest::llm::package
