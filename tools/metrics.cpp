#include "tools/metrics.hpp"

#include <ostream>
#include <vector>

#include "tools/metric_changes.hpp"
#include "tools/metric_set.hpp"
#include "tools/text.hpp"

namespace sisctl {
namespace {

using nlohmann::json;

json arguments_of(const Metrics& metrics) {
  json args = json::object();
  if (!metrics.prefix.empty()) args["prefix"] = metrics.prefix;
  if (!metrics.graph.empty()) args["graph"] = metrics.graph;
  return args;
}

/// All that match, of as many answers as it takes.
Outcome<json> read_all(Session& session, json args) {
  json all = json::object();
  for (std::uint64_t taken = 0;;) {
    args["skip"] = taken;
    auto page = session.call("metrics", args);
    if (!page) return page;
    const auto metrics = page->find("metrics");
    const auto left_off = page->find("left_off");
    if (metrics == page->end() || !metrics->is_object() || left_off == page->end() || !left_off->is_number_unsigned()) {
      return std::unexpected(session.wrong_reply("the reply to metrics is not {metrics, left_off}: " + page->dump()));
    }
    taken += metrics->size();
    const bool last = *left_off == 0U || metrics->empty();
    all.update(*metrics);
    if (last) return all;
  }
}

void print(const Context& context, std::uint64_t time_ns, const std::vector<MetricChange>& changes) {
  if (context.options.json) {
    context.out << json_line(json_of(time_ns, changes));
  } else {
    context.out << "at " << duration(static_cast<std::int64_t>(time_ns)) << (changes.empty() ? ": no change\n" : ":\n")
                << text_of(changes);
  }
  context.out.flush();
}

ExitCode watch(const Context& context, Session& session, const Metrics& metrics) {
  json args = arguments_of(metrics);
  args["interval_ms"] = metrics.interval.count();
  // The first set is only what is compared with.
  if (metrics.count != 0) args["count"] = std::uint64_t{metrics.count} + 1;
  const auto id = session.subscribe("watch metrics", args);
  if (!id) return report(context, id.error());
  MetricChanges changes;
  MetricSet set;
  for (bool first = true;;) {
    const auto next = session.next(*id, metrics.interval + context.options.timeout);
    if (!next) return report(context, next.error());
    if (!*next) {
      return report(context, {.exit_code = ExitCode::NoReply,
                              .kind = "timeout",
                              .message = "no metrics from '" + session.name() + "' in time"});
    }
    if (!(*next)->is_event) {
      if ((*next)->body.value("end", json()) == "gone") context.err << "sisctl: the graph is gone\n";
      return ExitCode::Ok;
    }
    if (!set.add((*next)->body)) {
      return report(context, session.wrong_reply("an event of metrics is not {time_ns, metrics, left_off}"));
    }
    if (!set.complete()) continue;
    const auto found = changes.feed(set.time_ns(), set.metrics());
    if (!first) print(context, set.time_ns(), found);
    first = false;
    if (!context.out) return ExitCode::Ok;  // main says so
  }
}

}  // namespace

ExitCode run_metrics(const Context& context, const Metrics& metrics) {
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  if (metrics.watch) return watch(context, *session, metrics);
  json args = arguments_of(metrics);
  if (metrics.console) args["console"] = true;
  const auto result = metrics.console ? session->call("metrics", args) : read_all(*session, std::move(args));
  if (!result) return report(context, result.error());
  context.out << (context.options.json ? json_line(*result) : table(*result));
  return ExitCode::Ok;
}

}  // namespace sisctl
