#include "llm_reader.hpp"

#include <algorithm>

namespace guest::kernel {

namespace names = abi::boot_config;

std::string_view LlmReader::path() const {
  constexpr std::string_view kPaths[] = {"/", "/llm", "a model", "a class"};
  return kPaths[static_cast<std::size_t>(node_)];
}

Outcome LlmReader::begin_node() {
  if (node_ == Node::Outside) {
    if (was_there_) {
      return fail("tree-duplicate", "node /{} is there twice", std::string_view(names::kLlmNode));
    }
    was_there_ = true;
    out_.wanted = true;
    node_ = Node::Llm;
    return {};
  }
  if (node_ != Node::Llm) {
    return unknown_node();
  }
  return cursor_.node_name().starts_with(names::kClassNode) ? begin_item(Node::Class, names::kClassNode, out_.classes)
                                                            : begin_item(Node::Model, names::kModelNode, out_.models);
}

/// The next model or class: each are numbered from 0.
template <typename Items>
Outcome LlmReader::begin_item(Node node, std::string_view prefix, Items& items) {
  if (const Outcome numbered = check_numbered(prefix, items.size()); !numbered) {
    return numbered;
  }
  if (!items.push_back({})) {
    return fail("tree-bad-value", "more than {} nodes in {}", items.capacity(), path());
  }
  node_ = node;
  item_seen_ = 0;
  return {};
}

Outcome LlmReader::large(std::optional<std::uint64_t>& out, std::uint64_t min, std::uint64_t max) const {
  return number(8, out.emplace(), min, max);
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

Outcome LlmReader::read_load() {
  model().load = true;
  return flag();
}

Outcome LlmReader::read_class_name() {
  const Text value = item_name(names::kMaxClassName);
  if (!value) {
    return std::unexpected(value.error());
  }
  client_class().name.write(*value);
  return {};
}

bool LlmReader::is_member_elsewhere(std::string_view name) const {
  return std::ranges::any_of(out_.classes, [name](const LlmClassConfig& one) {
    return std::ranges::any_of(one.members,
                               [name](const LlmClassConfig::Member& member) { return member.view() == name; });
  });
}

Outcome LlmReader::read_members() {
  const Bytes bytes = cursor_.value();
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());  // char aliases anything
  if (rest.empty() || rest.back() != '\0') {
    return bad_value("texts, each ended by a NUL");
  }
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(name.size() + 1);
    const bool is_kind = std::ranges::find(names::kMemberKinds, name) != std::end(names::kMemberKinds);
    const std::string_view token = name.starts_with(names::kTokenMember)
                                       ? name.substr(std::string_view(names::kTokenMember).size())
                                       : std::string_view();
    const auto is_visible = [](char c) { return c >= '!' && c <= '~'; };
    if (!is_kind &&
        (token.empty() || token.size() > names::kMaxMemberToken || !std::ranges::all_of(token, is_visible))) {
      return bad_value("'shell', 'control', 'graphs', 'tasks' or 'token:' and 1 to 32 visible characters");
    }
    if (is_member_elsewhere(name)) {
      return fail("tree-duplicate", "'{}' is in two classes, or twice in one", name);
    }
    LlmClassConfig::Member member;
    member.write(name);
    if (!client_class().members.push_back(member)) {
      return fail("tree-bad-value", "more than {} members of a class", names::kMaxMembers);
    }
  }
  return {};
}

/// The last item has a name, and no other one of its kind has it.
template <typename Items>
Outcome LlmReader::check_item_name(std::string_view kind, const Items& items) const {
  const std::string_view name = items[items.size() - 1].name.view();
  if (name.empty()) {
    return fail("tree-missing-property", "'{}' of {} {}", std::string_view(names::kItemName), kind, items.size() - 1);
  }
  const auto is_namesake = [name](const auto& other) { return other.name.view() == name; };
  if (std::ranges::count_if(items, is_namesake) != 1) {
    return kind == "class" ? fail("tree-duplicate", "two classes are '{}'", name)
                           : fail("tree-duplicate", "two models are '{}'", name);
  }
  return {};
}

Outcome LlmReader::end_node() {
  if (node_ != Node::Llm) {
    const Outcome outcome =
        node_ == Node::Model ? check_item_name("model", out_.models) : check_item_name("class", out_.classes);
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
    {Node::Model, names::kLoad, &LlmReader::read_load},
    {Node::Llm, names::kTaskServer, &LlmReader::read_server},
    {Node::Llm, names::kInFlight, &LlmReader::read_in_flight},
    {Node::Llm, names::kQueue, &LlmReader::read_queue},
    {Node::Llm, names::kRequests, &LlmReader::read_requests},
    {Node::Llm, names::kRequestsPerOwner, &LlmReader::read_requests_per_owner},
    {Node::Llm, names::kPromptBytes, &LlmReader::read_prompt_bytes},
    {Node::Llm, names::kStreamChunks, &LlmReader::read_stream_chunks},
    {Node::Llm, names::kStepTokens, &LlmReader::read_step_tokens},
    {Node::Llm, names::kSessions, &LlmReader::read_sessions},
    {Node::Llm, names::kSessionBytes, &LlmReader::read_session_bytes},
    {Node::Llm, names::kPeriodNs, &LlmReader::read_period},
    {Node::Llm, names::kTokensPerPeriod, &LlmReader::read_tokens},
    {Node::Llm, names::kCyclesPerPeriod, &LlmReader::read_cycles},
    {Node::Llm, names::kHoldPeriods, &LlmReader::read_hold_periods},
    {Node::Class, names::kItemName, &LlmReader::read_class_name},
    {Node::Class, names::kTokensPerPeriod, &LlmReader::read_class_tokens},
    {Node::Class, names::kInFlight, &LlmReader::read_class_in_flight},
    {Node::Class, names::kMembers, &LlmReader::read_members},
    {Node::Outside, {}, nullptr},
};

}  // namespace guest::kernel
