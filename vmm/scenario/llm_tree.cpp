#include "llm_tree.hpp"

#include <sodium/utils.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "abi/boot_config.hpp"

namespace vmm::scenario {

namespace names = abi::boot_config;

namespace {

void write_limits(TreeWriter& tree, const Llm& llm) {
  tree.u32(names::kInFlight, llm.in_flight);
  tree.u32(names::kQueue, llm.queue);
  tree.u32(names::kRequests, llm.requests);
  tree.u32(names::kRequestsPerOwner, llm.requests_per_owner);
  tree.u32(names::kPromptBytes, static_cast<std::uint32_t>(llm.prompt_bytes));
  tree.u32(names::kStreamChunks, llm.stream_chunks);
  tree.u32(names::kStepTokens, llm.step_tokens);
  tree.u32(names::kSessions, llm.sessions);
  tree.u64(names::kSessionBytes, llm.session_bytes);
  tree.ns(names::kPeriodNs, llm.period);
  tree.u64(names::kTokensPerPeriod, llm.tokens_per_period);
  tree.u64(names::kCyclesPerPeriod, llm.cycles_per_period);
  tree.u32(names::kHoldPeriods, llm.hold_periods);
}

void write_class(TreeWriter& tree, std::size_t index, const LlmClass& one) {
  tree.begin((names::kClassNode + std::to_string(index)).c_str());
  tree.text(names::kItemName, one.name);
  tree.u64(names::kTokensPerPeriod, one.tokens_per_period);
  tree.u32(names::kInFlight, one.in_flight);
  if (!one.members.empty()) {
    std::string members;
    for (const std::string& member : one.members) members += member + '\0';
    tree.bytes(names::kMembers, std::as_bytes(std::span(members)));
  }
  tree.end();
}

}  // namespace

void write_llm(TreeWriter& tree, const Llm& llm, const std::vector<Server>& servers) {
  if (llm == Llm{}) return;
  tree.begin(names::kLlmNode);
  if (!llm.public_key.empty()) {
    std::array<unsigned char, names::kPublicKeyBytes> key{};  // its digits were checked when the scenario was read
    sodium_hex2bin(key.data(), key.size(), llm.public_key.data(), llm.public_key.size(), nullptr, nullptr, nullptr);
    tree.bytes(names::kPublicKey, std::as_bytes(std::span(key)));
  }
  if (llm.allow_unsigned) tree.bytes(names::kAllowUnsigned, {});
  if (!llm.server.empty()) {
    const auto server = std::ranges::find(servers, llm.server, &Server::name);
    tree.u32(names::kTaskServer, static_cast<std::uint32_t>(server - servers.begin()));
  }
  write_limits(tree, llm);
  for (std::size_t i = 0; i < llm.models.size(); ++i) {
    const Model& model = llm.models[i];
    tree.begin((names::kModelNode + std::to_string(i)).c_str());
    tree.text(names::kItemName, std::filesystem::path(model.file).stem().string());
    if (model.min_revision) tree.u32(names::kMinRevision, *model.min_revision);
    if (model.load) tree.bytes(names::kLoad, {});
    tree.end();
  }
  for (std::size_t i = 0; i < llm.classes.size(); ++i) write_class(tree, i, llm.classes[i]);
  tree.end();
}

}  // namespace vmm::scenario
