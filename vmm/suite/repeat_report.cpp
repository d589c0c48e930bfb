// What a repetition came to, for programs.
#include "vmm/suite/repeat.hpp"

namespace vmm::suite {
namespace {

using nlohmann::ordered_json;

ordered_json figures_of(const std::vector<std::int64_t>& values) {
  const auto figures = observe::distribution_of(values);
  ordered_json json{{"count", values.size()}, {"min", figures.min}, {"median", figures.median}};
  if (figures.p95) json["p95"] = *figures.p95;
  json["max"] = figures.max;
  return json;
}

ordered_json figures_of(const std::vector<Series>& all) {
  ordered_json json = ordered_json::object();
  for (const Series& series : all) json[series.name] = figures_of(series.values);
  return json;
}

}  // namespace

ordered_json to_json(const Repeat& repeat) {
  ordered_json json{{"wanted_runs", repeat.options().runs},
                    {"runs", repeat.runs().size()},
                    {"exit_code", repeat.exit_code()},
                    {"duration_ns", repeat.duration().count()},
                    {"outcomes",
                     {{"passed", repeat.count(Verdict::Passed)},
                      {"failed", repeat.count(Verdict::Failed)},
                      {"error", repeat.count(Verdict::Error)}}},
                    {"steps_ns", figures_of(repeat.steps())},
                    {"metrics", figures_of(repeat.metrics())},
                    {"results", ordered_json::array()}};
  for (const RepeatedRun& run : repeat.runs()) {
    ordered_json row{{"number", run.number},
                     {"outcome", to_string(run.verdict)},
                     {"exit_code", run.exit_code},
                     {"duration_ns", run.duration.count()}};
    if (!run.message.empty()) row["message"] = run.message;
    if (!run.kept.empty()) row["run_dir"] = run.kept.string();
    json["results"].push_back(std::move(row));
  }
  return json;
}

}  // namespace vmm::suite
