#include "boot_operators.hpp"

#include "boot_config_step.hpp"
#include "guest/graph/operators/builtin.hpp"
#include "guest/graph/operators/kernel_services.hpp"
#include "guest/graph/operators/services.hpp"
#include "guest/graph/run/graph_set.hpp"
#include "guest/kernel/threads/threads.hpp"

namespace guest {
namespace {

class ArchiveFiles final : public graph::FileSource {
 public:
  [[nodiscard]] std::optional<std::span<const std::byte>> find(std::string_view name) const override {
    const auto file = boot_archive().find(name);
    return file ? std::optional(file->data) : std::nullopt;
  }
};

class ThreadTime final : public graph::ProcessorTime {
 public:
  std::uint64_t used_ns() override { return static_cast<std::uint64_t>(threads::dispatcher().current_ran()); }
  void spin() override { threads::spin(); }
};

constinit ArchiveFiles files;
constinit ThreadTime processor;
constinit kernel::LogHistory kept_lines;
constinit graph::HistoryLines log_lines(kept_lines);

}  // namespace

const kernel::LogHistory& kept_log_lines() { return kept_lines; }

void start_operators() {
  static graph::CounterText counter_text(kernel::counters());
  kernel::log().keep_lines(kept_lines);
  graph::set_operator_services(
      {.files = &files, .log_lines = &log_lines, .metrics = &counter_text, .processor = &processor});
  graph::graph_set().kinds().add(graph::builtin_kinds());
}

void give_operators(llm::Service& service, std::uint32_t client_class) {
  graph::OperatorServices services = graph::operator_services();
  services.llm = &service;
  services.llm_class = client_class;
  graph::set_operator_services(services);
}

}  // namespace guest
