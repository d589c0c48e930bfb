#include "tools/metrics.hpp"

#include <ostream>

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

}  // namespace

ExitCode run_metrics(const Context& context, const Metrics& metrics) {
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  json args = arguments_of(metrics);
  if (metrics.console) args["console"] = true;
  const auto result = metrics.console ? session->call("metrics", args) : read_all(*session, std::move(args));
  if (!result) return report(context, result.error());
  context.out << (context.options.json ? json_line(*result) : table(*result));
  return ExitCode::Ok;
}

}  // namespace sisctl
