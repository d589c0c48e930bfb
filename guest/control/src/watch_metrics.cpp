// The metrics, from time to time.
#include <algorithm>

#include "flat_metrics.hpp"
#include "graph_common.hpp"
#include "subscription.hpp"

namespace guest::control {

namespace {

constexpr std::uint64_t kIntervalMs = 1000;

/// All that match, each time: one that is lost does no harm, and the guest need not remember what each client has
/// seen. What one event cannot hold comes in several of the same time.
class MetricsWatch final : public Subscription {
 public:
  MetricsWatch(Services& services, const Limits& limits, std::string_view prefix, std::string_view graph)
      : Subscription(services, limits) {
    prefix_.write(prefix);
    graph_.write(graph);
  }

 private:
  void on_turn(bool due) override {
    if (!due) {
      return;
    }
    const graph::Graph* only = nullptr;
    if (!graph_.view().empty()) {
      const graph::GraphEntry* const entry = graph::graph_set().find(graph_.view());
      if (entry == nullptr) {
        return end_as_gone();
      }
      only = entry->graph.get();
    }
    send_all(only);
  }

  /// Only the last part counts: the others are of no use without it.
  void send_all(const graph::Graph* only) {
    Counted counted(prefix_.view());
    gather_metrics(services(), only, counted);
    const std::uint64_t now_ns = services().clock.now_ns();
    for (std::uint64_t sent = 0, left_off = 1; left_off != 0; sent += kMaxMetrics) {
      left_off = counted.numbers - std::min(counted.numbers, sent + kMaxMetrics);
      const auto write = [&](ResultMap& event) {
        event.add("time_ns", now_ns);
        ResultMap metrics(event.key_for("metrics"));
        Page page(prefix_.view(), sent, kMaxMetrics, metrics);
        gather_metrics(services(), only, page);
        metrics.finish();
        event.add("left_off", left_off);
      };
      if (!send(write, left_off == 0 ? 1 : 0)) {
        return lose(left_off == 0 ? 0 : 1);
      }
    }
  }

  kernel::FixedText<kMaxMetricName> prefix_;
  kernel::FixedText<graph::kMaxGraphName> graph_;
};

}  // namespace

HandlerResult handle_watch_metrics(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  if (arguments.has("graph")) {
    if (const auto entry = find_graph(arguments); !entry) {
      return std::unexpected(entry.error());
    }
  }
  return subscribe<MetricsWatch>(services, caller, Subscription::limits_of(arguments, kIntervalMs),
                                 arguments.text("prefix"), arguments.text("graph"));
}

}  // namespace guest::control
