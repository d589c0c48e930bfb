// What prompts and answers call an operator, a channel, a server: a letter and its place from 1 on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "guest/llm/explain/figures.hpp"

namespace guest::llm::explain {

enum class Kind : std::uint8_t { Operator, Channel, Server, Audit, Npu, Llm };

/// Audit, Npu and Llm: there is one, 0.
struct Item {
  Kind kind;
  std::size_t index;
  bool operator==(const Item&) const = default;
};

/// Whether `word` has the form of a label: o1, c17.
constexpr bool looks_like_label(std::string_view word) {
  if (word.size() < 2 || (word[0] != 'o' && word[0] != 'c' && word[0] != 's')) {
    return false;
  }
  return word.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

/// How many of a kind there are.
constexpr std::size_t count_of(const Figures& figures, Kind kind) {
  switch (kind) {
    case Kind::Operator:
      return figures.operators.size();
    case Kind::Channel:
      return figures.channels.size();
    case Kind::Server:
      return figures.servers.size();
    case Kind::Audit:
      return 1;
    case Kind::Npu:
      return figures.npu ? 1 : 0;
    case Kind::Llm:
      return figures.llm ? 1 : 0;
  }
  return 0;
}

/// What a label means; nothing: it is none, or there is no such thing.
constexpr std::optional<Item> item_of(const Figures& figures, std::string_view label) {
  if (!looks_like_label(label) || label.size() != 2 || label[1] == '0') {
    return std::nullopt;  // no kind has more than nine
  }
  const Kind kind = label[0] == 'o' ? Kind::Operator : label[0] == 'c' ? Kind::Channel : Kind::Server;
  const auto index = static_cast<std::size_t>(label[1] - '1');
  return index < count_of(figures, kind) ? std::optional(Item{kind, index}) : std::nullopt;
}

static_assert(kMaxOperators <= 9 && kMaxChannels <= 9 && kMaxServers <= 9);

}  // namespace guest::llm::explain
