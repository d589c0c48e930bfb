#include "guest/llm/explain/prompt.hpp"

#include "guest/llm/explain/quantity.hpp"

namespace guest::llm::explain {
namespace {

QuantityText count(std::uint64_t value) { return quantity(value, Unit::Count); }
QuantityText time(std::uint64_t value) { return quantity(value, Unit::Nanoseconds); }

void write_operator(kernel::TextOutput& out, std::size_t number, const Operator& op) {
  kernel::format_to(out, " o{}.busy {} o{}.run {} o{}.max {}", number,
                    quantity(op.busy_permille, Unit::Permille).view(), number, time(op.run_ns).view(), number,
                    time(op.max_ns).view());
  kernel::format_to(out, " o{}.limit {} o{}.over {} o{}.input ", number,
                    op.limit_ns != 0 ? time(op.limit_ns).view() : std::string_view("-"), number, count(op.over).view(),
                    number);
  if (op.input) {
    kernel::format_to(out, "c{}", *op.input + 1);
  } else {
    out.write("-");
  }
}

void write_channel(kernel::TextOutput& out, std::size_t number, const Channel& channel) {
  kernel::format_to(out, " c{}.writer o{} c{}.reader o{}", number, channel.writer + 1, number, channel.reader + 1);
  kernel::format_to(out, " c{}.top {} c{}.room {} c{}.{} {}", number, count(channel.top).view(), number,
                    count(channel.capacity).view(), number, channel.drops ? "lost" : "stalled",
                    count(channel.hits).view());
}

void write_server(kernel::TextOutput& out, std::size_t number, const Server& server) {
  kernel::format_to(out, " s{}.budget {} s{}.period {} s{}.jobs {} s{}.over {}", number, time(server.budget_ns).view(),
                    number, time(server.period_ns).view(), number, count(server.jobs).view(), number,
                    count(server.over).view());
  kernel::format_to(out, " s{}.missed {} s{}.throttled {} s{}.worst {}", number, count(server.misses).view(), number,
                    count(server.throttles).view(), number, time(server.worst_ns).view());
}

}  // namespace

void write_figures(kernel::TextOutput& out, const Figures& figures) {
  for (std::size_t i = 0; i < figures.operators.size(); ++i) {
    write_operator(out, i + 1, figures.operators[i]);
  }
  for (std::size_t i = 0; i < figures.channels.size(); ++i) {
    write_channel(out, i + 1, figures.channels[i]);
  }
  for (std::size_t i = 0; i < figures.servers.size(); ++i) {
    write_server(out, i + 1, figures.servers[i]);
  }
  const Audit& audit = figures.audit;
  kernel::format_to(out, " audit.accepted {} audit.refused {} audit.links {}", count(audit.accepted).view(),
                    count(audit.refused).view(), count(audit.links).view());
  if (figures.npu) {
    kernel::format_to(out, " npu.jobs {} npu.missed {} npu.top {}", count(figures.npu->jobs).view(),
                      count(figures.npu->misses).view(), count(figures.npu->top).view());
  }
  if (figures.llm) {
    kernel::format_to(out, " llm.asked {} llm.refused {} llm.missed {}", count(figures.llm->asked).view(),
                      count(figures.llm->refused).view(), count(figures.llm->misses).view());
  }
}

void write_prompt(kernel::TextOutput& out, const Figures& figures, std::string_view question) {
  write_figures(out, figures);
  out.write(" ? ");
  write_question(out, figures, question);
  out.write(" =");
}

}  // namespace guest::llm::explain
