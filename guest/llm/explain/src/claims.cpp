#include "claims.hpp"

#include <algorithm>

#include "guest/llm/explain/quantity.hpp"

namespace guest::llm::explain {
namespace {

constexpr std::uint64_t kGuesses = 10;  // tools/train/questions.py, GUESSES

const Operator* operator_of(const Figures& figures, std::optional<Item> item) {
  return item && item->kind == Kind::Operator ? &figures.operators[item->index] : nullptr;
}
const Channel* channel_of(const Figures& figures, std::optional<Item> item) {
  return item && item->kind == Kind::Channel ? &figures.channels[item->index] : nullptr;
}
const Server* server_of(const Figures& figures, std::optional<Item> item) {
  return item && item->kind == Kind::Server ? &figures.servers[item->index] : nullptr;
}

bool is_bottleneck(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Operator* op = operator_of(figures, item);
  return op != nullptr && std::ranges::all_of(figures.operators, [&](const Operator& other) {
           return as_shown(other.busy_permille, Unit::Permille) <= as_shown(op->busy_permille, Unit::Permille);
         });
}
bool is_slowest(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Operator* op = operator_of(figures, item);
  return op != nullptr && std::ranges::all_of(figures.operators, [&](const Operator& other) {
           return as_shown(other.run_ns, Unit::Nanoseconds) <= as_shown(op->run_ns, Unit::Nanoseconds);
         });
}

/// The first operator that the answer names and is another one than `item`.
const Operator* other_operator(const Figures& figures, Item item, std::string_view answer) {
  for (std::size_t at = 0; at + 1 < answer.size(); ++at) {
    const auto found = item_of(figures, answer.substr(at, 2));
    if (found && found->kind == Kind::Operator && *found != item) {
      return &figures.operators[found->index];
    }
  }
  return nullptr;
}
bool is_slower(const Figures& figures, std::optional<Item> item, std::string_view answer) {
  const Operator* op = operator_of(figures, item);
  const Operator* other = op != nullptr ? other_operator(figures, *item, answer) : nullptr;
  return other != nullptr && as_shown(op->run_ns, Unit::Nanoseconds) > as_shown(other->run_ns, Unit::Nanoseconds);
}
bool is_not_slower(const Figures& figures, std::optional<Item> item, std::string_view answer) {
  const Operator* op = operator_of(figures, item);
  const Operator* other = op != nullptr ? other_operator(figures, *item, answer) : nullptr;
  return other != nullptr && as_shown(op->run_ns, Unit::Nanoseconds) <= as_shown(other->run_ns, Unit::Nanoseconds);
}

bool has_no_limit(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Operator* op = operator_of(figures, item);
  return op != nullptr && op->limit_ns == 0;
}
bool is_within_limit(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Operator* op = operator_of(figures, item);
  return op != nullptr && op->limit_ns != 0 && op->over == 0;
}
bool is_over_limit(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Operator* op = operator_of(figures, item);
  return op != nullptr && op->over > 0;
}

bool is_over_budget(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Server* server = server_of(figures, item);
  return server != nullptr && server->over > 0;
}
bool is_within_budget(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Server* server = server_of(figures, item);
  return server != nullptr && server->over == 0;
}
bool missed_none(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Server* server = server_of(figures, item);
  return server != nullptr && server->misses == 0;
}

bool is_saturated(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Channel* channel = channel_of(figures, item);
  return channel != nullptr && channel->hits > 0;
}
bool lost_tensors(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Channel* channel = channel_of(figures, item);
  return channel != nullptr && channel->drops && channel->hits > 0;
}
bool is_not_saturated(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Channel* channel = channel_of(figures, item);
  return channel != nullptr && channel->hits == 0;
}

bool no_operator(const Figures& figures, std::optional<Item>, std::string_view) { return figures.operators.empty(); }
bool no_limit_exceeded(const Figures& figures, std::optional<Item>, std::string_view) {
  return std::ranges::all_of(figures.operators, [](const Operator& op) { return op.over == 0; });
}
bool no_miss(const Figures& figures, std::optional<Item>, std::string_view) {
  return std::ranges::all_of(figures.servers, [](const Server& server) { return server.misses == 0; });
}
bool no_overrun(const Figures& figures, std::optional<Item>, std::string_view) {
  return std::ranges::all_of(figures.servers, [](const Server& server) { return server.over == 0; });
}
std::uint64_t shown_count(std::uint64_t value) { return as_shown(value, Unit::Count); }
/// The largest of a list's counts, as they are shown; 0 of none.
template <typename List, typename Count>
std::uint64_t most(const List& list, Count count) {
  std::uint64_t found = 0;
  for (const auto& item : list) {
    found = std::max(found, shown_count(item.*count));
  }
  return found;
}
bool is_most_over_budget(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Server* server = server_of(figures, item);
  return server != nullptr && server->over > 0 && shown_count(server->over) == most(figures.servers, &Server::over);
}
/// An operator reads the channel that was full most often; where none was, it is over its limit most often.
bool helps_if_faster(const Figures& figures, std::optional<Item> item, std::string_view) {
  const Operator* op = operator_of(figures, item);
  if (op == nullptr) {
    return false;
  }
  const std::uint64_t hits = most(figures.channels, &Channel::hits);
  if (hits == 0) {
    return op->over > 0 && shown_count(op->over) == most(figures.operators, &Operator::over);
  }
  return std::ranges::any_of(figures.channels, [&](const Channel& channel) {
    return channel.reader == item->index && shown_count(channel.hits) == hits;
  });
}
bool none_saturated(const Figures& figures, std::optional<Item>, std::string_view) {
  return std::ranges::all_of(figures.channels, [](const Channel& channel) { return channel.hits == 0; });
}
bool none_lost(const Figures& figures, std::optional<Item>, std::string_view) {
  return std::ranges::all_of(figures.channels, [](const Channel& c) { return !c.drops || c.hits == 0; });
}
bool nothing_exceeded(const Figures& figures, std::optional<Item> item, std::string_view answer) {
  return no_overrun(figures, item, answer) && none_saturated(figures, item, answer) &&
         no_limit_exceeded(figures, item, answer);
}

bool is_guessing(const Figures& figures, std::optional<Item>, std::string_view) {
  const Audit& audit = figures.audit;
  return audit.refused >= kGuesses && as_shown(audit.refused, Unit::Count) > as_shown(audit.accepted, Unit::Count);
}
bool is_not_guessing(const Figures& figures, std::optional<Item> item, std::string_view answer) {
  return !is_guessing(figures, item, answer);
}
bool no_npu(const Figures& figures, std::optional<Item>, std::string_view) { return !figures.npu; }
bool no_llm(const Figures& figures, std::optional<Item>, std::string_view) { return !figures.llm; }

constexpr Claim kClaims[] = {
    {"is the bottleneck", "busy_permille", is_bottleneck},
    {"is the slowest", "run_ns", is_slowest},
    {"is slower", "run_ns", is_slower},
    {"is not slower", "run_ns", is_not_slower},
    {"has no limit", "limit_ns", has_no_limit},
    {"is within its limit", "over", is_within_limit},
    {"is over its limit", "over", is_over_limit},
    {"is over budget", "over", is_over_budget},
    {"is within its budget", "over", is_within_budget},
    {"missed none", "misses", missed_none},
    {"jobs took more than the budget", "over", is_over_budget},
    {"no job took more than the budget", "over", is_within_budget},
    {"is saturated", "hits", is_saturated},
    {"is not saturated", "hits", is_not_saturated},
    {"lost tensors", "hits", lost_tensors},
    {"raise the budget of", "over", is_most_over_budget, Claim::Of::Next},
    {"faster", "hits, over", helps_if_faster},
    {"nothing: no budget, channel or limit is exceeded", "over, hits", nothing_exceeded},
    {"no operator runs", "operators", no_operator},
    {"no operator is over its limit", "over", no_limit_exceeded},
    {"no deadline was missed", "misses", no_miss},
    {"no server is over budget", "over", no_overrun},
    {"no channel is saturated", "hits", none_saturated},
    {"no channel lost tensors", "hits", none_lost},
    {"it looks like token guessing", "refused, accepted", is_guessing},
    {"it does not look like token guessing", "refused, accepted", is_not_guessing},
    {"there is no npu", "npu", no_npu},
    {"there is no llm", "llm", no_llm},
};

}  // namespace

std::span<const Claim> claims() { return kClaims; }

}  // namespace guest::llm::explain
