#include "figure_words.hpp"

namespace guest::llm::explain {
namespace {

using enum Unit;
using enum Shown;

template <auto Member>
std::uint64_t of_operator(const Figures& figures, std::size_t index) {
  return figures.operators[index].*Member;
}
std::uint64_t input_of(const Figures& figures, std::size_t index) {
  const auto input = figures.operators[index].input;
  return input ? *input : kNone;
}
template <auto Member>
std::uint64_t of_channel(const Figures& figures, std::size_t index) {
  return figures.channels[index].*Member;
}
template <auto Member>
std::uint64_t of_server(const Figures& figures, std::size_t index) {
  return figures.servers[index].*Member;
}
template <auto Member>
std::uint64_t of_audit(const Figures& figures, std::size_t) {
  return figures.audit.*Member;
}
template <auto Member>
std::uint64_t of_npu(const Figures& figures, std::size_t) {
  return (*figures.npu).*Member;
}
template <auto Member>
std::uint64_t of_llm(const Figures& figures, std::size_t) {
  return (*figures.llm).*Member;
}

using K = Kind;
constexpr FigureWord kWords[] = {
    {K::Operator, "busy", "busy_permille", "busy", Permille, Quantity, {}, of_operator<&Operator::busy_permille>},
    {K::Operator, "run", "run_ns", "a run takes", Nanoseconds, Quantity, {}, of_operator<&Operator::run_ns>},
    {K::Operator, "max", "max_ns", "at most", Nanoseconds, Quantity, {}, of_operator<&Operator::max_ns>},
    {K::Operator, "limit", "limit_ns", "limit", Nanoseconds, Limit, {}, of_operator<&Operator::limit_ns>},
    {K::Operator, "over", "over", "runs over it", Count, Quantity, {}, of_operator<&Operator::over>},
    {K::Operator, "input", "input", "input", Count, Label, K::Channel, input_of},
    {K::Channel, "writer", "writer", "writer", Count, Label, K::Operator, of_channel<&Channel::writer>},
    {K::Channel, "reader", "reader", "reader", Count, Label, K::Operator, of_channel<&Channel::reader>},
    {K::Channel, "top", "top", "held at most", Count, Quantity, {}, of_channel<&Channel::top>},
    {K::Channel, "room", "capacity", "has room for", Count, Quantity, {}, of_channel<&Channel::capacity>},
    {K::Channel, "stalled", "hits", "times stalled", Count, Quantity, {}, of_channel<&Channel::hits>},
    {K::Channel, "lost", "hits", "tensors lost", Count, Quantity, {}, of_channel<&Channel::hits>},
    {K::Server, "budget", "budget_ns", "budget", Nanoseconds, Quantity, {}, of_server<&Server::budget_ns>},
    {K::Server, "period", "period_ns", "period", Nanoseconds, Quantity, {}, of_server<&Server::period_ns>},
    {K::Server, "jobs", "jobs", "jobs", Count, Quantity, {}, of_server<&Server::jobs>},
    {K::Server, "over", "over", "over budget", Count, Quantity, {}, of_server<&Server::over>},
    {K::Server, "missed", "misses", "missed", Count, Quantity, {}, of_server<&Server::misses>},
    {K::Server, "throttled", "throttles", "throttled", Count, Quantity, {}, of_server<&Server::throttles>},
    {K::Server, "worst", "worst_ns", "longest", Nanoseconds, Quantity, {}, of_server<&Server::worst_ns>},
    {K::Audit, "accepted", "accepted", "accepted", Count, Quantity, {}, of_audit<&Audit::accepted>},
    {K::Audit, "refused", "refused", "refused", Count, Quantity, {}, of_audit<&Audit::refused>},
    {K::Audit, "links", "links", "connections", Count, Quantity, {}, of_audit<&Audit::links>},
    {K::Npu, "jobs", "jobs", "jobs", Count, Quantity, {}, of_npu<&Npu::jobs>},
    {K::Npu, "missed", "misses", "missed", Count, Quantity, {}, of_npu<&Npu::misses>},
    {K::Npu, "top", "top", "at most at a time", Count, Quantity, {}, of_npu<&Npu::top>},
    {K::Llm, "asked", "asked", "requests", Count, Quantity, {}, of_llm<&Llm::asked>},
    {K::Llm, "refused", "refused", "refused", Count, Quantity, {}, of_llm<&Llm::refused>},
    {K::Llm, "missed", "misses", "missed", Count, Quantity, {}, of_llm<&Llm::misses>},
};

std::optional<Item> whose_of(const Figures& figures, std::string_view whose) {
  struct Single {
    std::string_view name;
    Kind kind;
  };
  constexpr Single kSingles[] = {{"audit", K::Audit}, {"npu", K::Npu}, {"llm", K::Llm}};
  for (const Single& single : kSingles) {
    if (whose == single.name) {
      return count_of(figures, single.kind) != 0 ? std::optional(Item{single.kind, 0}) : std::nullopt;
    }
  }
  return item_of(figures, whose);
}

}  // namespace

bool looks_like_figure(std::string_view text) {
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos) {
    return false;
  }
  const std::string_view whose = text.substr(0, point);
  return whose == "audit" || whose == "npu" || whose == "llm" || looks_like_label(whose);
}

std::optional<Cited> cited(const Figures& figures, std::string_view text) {
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view whose = text.substr(0, point);
  const auto item = whose_of(figures, whose);
  for (const FigureWord& word : kWords) {
    if (item && word.kind == item->kind && word.word == text.substr(point + 1)) {
      // A channel has one of two words, by what it does when it is full.
      const bool channel = item->kind == Kind::Channel;
      if (channel && (word.word == "lost" || word.word == "stalled") &&
          figures.channels[item->index].drops != (word.word == "lost")) {
        return std::nullopt;
      }
      return Cited{.item = *item, .whose = whose, .word = &word};
    }
  }
  return std::nullopt;
}

QuantityText show(const Figures& figures, const Cited& figure) {
  const FigureWord& word = *figure.word;
  const std::uint64_t value = word.value(figures, figure.item.index);
  if (word.shown == Limit ? value == 0 : word.shown == Label && value == kNone) {
    QuantityText none;
    none.write("-");
    return none;
  }
  if (word.shown == Label) {
    QuantityText label;
    kernel::format_to(label, "{}{}", word.other == Kind::Channel ? "c" : "o", value + 1);
    return label;
  }
  return quantity(value, word.unit);
}

}  // namespace guest::llm::explain
