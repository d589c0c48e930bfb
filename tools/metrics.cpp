#include "tools/metrics.hpp"

#include <ostream>
#include <thread>

#include "tools/metric_changes.hpp"
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

/// By requests: so an interval may be as long as the user wants, and any number of metrics is complete.
ExitCode watch(const Context& context, Session& session, const Metrics& metrics) {
  MetricChanges changes;
  // The first one is only what is compared with.
  for (std::uint64_t i = 0; metrics.count == 0 || i <= metrics.count; ++i) {
    if (i != 0) std::this_thread::sleep_for(metrics.interval);
    const auto uptime = session.call("uptime", json::object());
    if (!uptime) return report(context, uptime.error());
    const auto all = read_all(session, arguments_of(metrics));
    if (!all) return report(context, all.error());
    const json time_ns = uptime->value("uptime_ns", json());
    if (!time_ns.is_number_unsigned()) {
      return report(context, session.wrong_reply("the reply to uptime has no uptime_ns: " + uptime->dump()));
    }
    const auto found = changes.feed(time_ns.get<std::uint64_t>(), *all);
    if (i == 0) continue;
    if (context.options.json) {
      context.out << json_line(json_of(time_ns.get<std::uint64_t>(), found));
    } else {
      context.out << "at " << duration(time_ns.get<std::int64_t>()) << (found.empty() ? ": no change\n" : ":\n")
                  << text_of(found);
    }
    context.out.flush();
    if (!context.out) return ExitCode::Ok;  // main says so
  }
  return ExitCode::Ok;
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
