#include "llm_reader.hpp"

#include <algorithm>

namespace guest::kernel {

namespace names = abi::boot_config;

std::string_view LlmReader::path() const {
  constexpr std::string_view kPaths[] = {"/", "/llm", "a model"};
  return kPaths[static_cast<std::size_t>(node_)];
}

Outcome LlmReader::begin_node() {
  if (node_ == Node::Outside) {
    if (was_there_) {
      return fail("tree-duplicate", "node /{} is there twice", std::string_view(names::kLlmNode));
    }
    was_there_ = true;
    node_ = Node::Llm;
    return {};
  }
  if (node_ == Node::Model) {
    return unknown_node();
  }
  if (const Outcome numbered = check_numbered(names::kModelNode, out_.models.size()); !numbered) {
    return numbered;
  }
  if (!out_.models.push_back({})) {
    return fail("tree-bad-value", "more than {} nodes in {}", out_.models.capacity(), path());
  }
  node_ = Node::Model;
  model_seen_ = 0;
  return {};
}

Outcome LlmReader::read_key() {
  const Bytes bytes = cursor_.value();
  PackageKey key{};
  if (bytes.size() != key.size()) {
    return bad_value("32 bytes");
  }
  std::ranges::transform(bytes, key.begin(), [](std::byte b) { return static_cast<std::uint8_t>(b); });
  out_.public_key = key;
  return {};
}

Outcome LlmReader::read_allow_unsigned() {
  out_.allow_unsigned = true;
  return flag();
}

Outcome LlmReader::read_model_name() {
  const Text value = item_name(names::kMaxModelName);
  if (!value) {
    return std::unexpected(value.error());
  }
  model().name.write(*value);
  return {};
}

Outcome LlmReader::end_model() {
  const std::string_view name = out_.models[out_.models.size() - 1].name.view();
  if (name.empty()) {
    return fail("tree-missing-property", "'{}' of model {}", std::string_view(names::kItemName),
                out_.models.size() - 1);
  }
  const auto is_namesake = [name](const ModelConfig& other) { return other.name.view() == name; };
  if (std::ranges::count_if(out_.models, is_namesake) != 1) {
    return fail("tree-duplicate", "two models are '{}'", name);
  }
  return {};
}

Outcome LlmReader::end_node() {
  if (node_ == Node::Model) {
    const Outcome outcome = end_model();
    node_ = Node::Llm;
    return outcome;
  }
  node_ = Node::Outside;
  if (!out_.models.empty() && !out_.public_key && !out_.allow_unsigned) {
    return fail("tree-missing-property", "'{}' of /{}, or '{}'", std::string_view(names::kPublicKey),
                std::string_view(names::kLlmNode), std::string_view(names::kAllowUnsigned));
  }
  return {};
}

const LlmReader::Known LlmReader::kKnown[] = {
    {Node::Llm, names::kPublicKey, &LlmReader::read_key},
    {Node::Llm, names::kAllowUnsigned, &LlmReader::read_allow_unsigned},
    {Node::Model, names::kItemName, &LlmReader::read_model_name},
    {Node::Model, names::kMinRevision, &LlmReader::read_min_revision},
    {Node::Outside, {}, nullptr},
};

}  // namespace guest::kernel
