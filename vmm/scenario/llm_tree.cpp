#include "llm_tree.hpp"

#include <sodium/utils.h>

#include <array>
#include <filesystem>

#include "abi/boot_config.hpp"

namespace vmm::scenario {

namespace names = abi::boot_config;

void write_llm(TreeWriter& tree, const Llm& llm) {
  if (llm == Llm{}) return;
  tree.begin(names::kLlmNode);
  if (!llm.public_key.empty()) {
    std::array<unsigned char, names::kPublicKeyBytes> key{};  // its digits were checked when the scenario was read
    sodium_hex2bin(key.data(), key.size(), llm.public_key.data(), llm.public_key.size(), nullptr, nullptr, nullptr);
    tree.bytes(names::kPublicKey, std::as_bytes(std::span(key)));
  }
  if (llm.allow_unsigned) tree.bytes(names::kAllowUnsigned, {});
  for (std::size_t i = 0; i < llm.models.size(); ++i) {
    const Model& model = llm.models[i];
    tree.begin((names::kModelNode + std::to_string(i)).c_str());
    tree.text(names::kItemName, std::filesystem::path(model.file).stem().string());
    if (model.min_revision) tree.u32(names::kMinRevision, *model.min_revision);
    tree.end();
  }
  tree.end();
}

}  // namespace vmm::scenario
