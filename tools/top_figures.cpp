#include "tools/top_figures.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sisctl {
namespace {

using nlohmann::json;

/// A guest has 8; one that says it has more is not asked for all of them.
constexpr std::size_t kMaxGraphs = 64;

const json kNothing;

const json& field(const json& map, const char* key) {
  const auto found = map.is_object() ? map.find(key) : map.end();
  return map.is_object() && found != map.end() ? *found : kNothing;
}

std::uint64_t number(const json& map, const char* key) {
  const json& value = field(map, key);
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

std::optional<std::uint64_t> number_if_any(const json& map, const char* key) {
  return field(map, key).is_number_unsigned() ? std::optional(number(map, key)) : std::nullopt;
}

std::string text(const json& map, const char* key) {
  const json& value = field(map, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

/// The item of an array that has the same `key` as `like`; nothing: there is none.
const json& same(const json& array, const json& like, const char* key) {
  if (!array.is_array()) return kNothing;
  const auto found =
      std::ranges::find_if(array, [&](const json& item) { return field(item, key) == field(like, key); });
  return found == array.end() ? kNothing : *found;
}

/// How much a count has grown. One that is smaller began anew meanwhile.
std::uint64_t growth(const json& before, const json& after, const char* key) {
  const std::uint64_t was = number(before, key);
  const std::uint64_t is = number(after, key);
  return is >= was ? is - was : is;
}

/// What happened in so many nanoseconds, as a rate.
class Interval {
 public:
  Interval(const TopSample& before, const TopSample& after)
      : ns_(after.uptime_ns > before.uptime_ns ? after.uptime_ns - before.uptime_ns : 0) {}
  [[nodiscard]] std::uint64_t ns() const { return ns_; }
  [[nodiscard]] double per_s(std::uint64_t amount) const {
    return ns_ == 0 ? 0 : static_cast<double>(amount) * 1e9 / static_cast<double>(ns_);
  }
  /// Of an amount in nanoseconds.
  [[nodiscard]] double permille(std::uint64_t amount_ns) const { return per_s(amount_ns) / 1e6; }

 private:
  std::uint64_t ns_;
};

CpuFigures cpu_figures(const json& before, const json& after, const json& busy, const Interval& interval) {
  CpuFigures cpu{.cpu = number(after, "cpu"),
                 .online = text(after, "state") == "online",
                 .busy_permille = number(busy, "busy_permille"),
                 .interrupts_per_s = interval.per_s(growth(before, after, "interrupts")),
                 .stolen_permille = std::nullopt};
  if (number_if_any(after, "stolen_ns")) {
    cpu.stolen_permille = static_cast<std::uint64_t>(interval.permille(growth(before, after, "stolen_ns")));
  }
  return cpu;
}

ServerFigures server_figures(const json& before, const json& after, const Interval& interval) {
  const std::uint64_t budget = number(after, "budget_ns");
  const double share = budget == 0 ? 0 : static_cast<double>(number(after, "period_ns")) / static_cast<double>(budget);
  return {.name = text(after, "name"),
          .cpu = number_if_any(after, "cpu"),
          .state = text(after, "state"),
          .budget_permille = interval.permille(growth(before, after, "ran_ns")) * share,
          .jobs = number(field(after, "response"), "count"),
          .misses = number(after, "misses"),
          .overruns = number(after, "overruns"),
          .throttles = number(after, "throttles"),
          .p99_ns = number_if_any(field(after, "response"), "p99_ns")};
}

void add_graph(TopFigures& figures, const json& before, const json& after, const Interval& interval) {
  const std::string graph = text(after, "graph");
  for (const json& code : field(after, "operators")) {
    const json& time = field(code, "execution_time");
    figures.operators.push_back(
        {.graph = graph,
         .name = text(code, "name"),
         .cpu = number(code, "cpu"),
         .runs_per_s = interval.per_s(growth(same(field(before, "operators"), code, "id"), code, "executions")),
         .runs = number(code, "executions"),
         .p50_ns = number_if_any(time, "p50_ns"),
         .p99_ns = number_if_any(time, "p99_ns"),
         .overruns = number(code, "overruns"),
         .failures = number(code, "failures")});
  }
  for (const json& channel : field(after, "channels")) {
    figures.channels.push_back(
        {.graph = graph,
         .id = number(channel, "id"),
         .depth = number(channel, "depth"),
         .capacity = number(channel, "capacity"),
         .high_water = number(channel, "high_water"),
         .sent_per_s = interval.per_s(growth(same(field(before, "channels"), channel, "id"), channel, "sent")),
         .stalls = number(channel, "stalls"),
         .drops = number(channel, "dropped_oldest") + number(channel, "dropped_newest")});
  }
}

/// A number, or nothing at all under that name.
void set_if_any(json& map, const char* key, const std::optional<std::uint64_t>& value) {
  if (value) map[key] = *value;
}

}  // namespace

Outcome<TopSample> take_sample(Session& session) {
  TopSample sample;
  // All are on their way before the first is waited for.
  constexpr const char* kOps[] = {"uptime", "cpus", "sched", "graph list"};
  std::uint32_t ids[std::size(kOps)];
  for (std::size_t i = 0; i < std::size(kOps); ++i) {
    const auto id = session.send(kOps[i], json::object());
    if (!id) return std::unexpected(id.error());
    ids[i] = *id;
  }
  json replies[std::size(kOps)];
  for (std::size_t i = 0; i < std::size(kOps); ++i) {
    auto reply = session.receive(ids[i]);
    if (!reply) return std::unexpected(reply.error());
    replies[i] = std::move(*reply);
  }
  sample.uptime_ns = number(replies[0], "uptime_ns");
  sample.cpus = std::move(replies[1]);
  sample.sched = std::move(replies[2]);
  const json& list = field(replies[3], "graphs");
  std::vector<std::uint32_t> graphs;
  for (const json& graph : list) {
    if (graphs.size() == kMaxGraphs) break;
    const auto id = session.send("graph stats", {{"graph", text(graph, "graph")}});
    if (!id) return std::unexpected(id.error());
    graphs.push_back(*id);
  }
  for (const std::uint32_t id : graphs) {
    auto stats = session.receive(id);
    if (!stats && stats.error().exit_code != ExitCode::Refused) return std::unexpected(stats.error());
    if (stats) sample.graphs.push_back(std::move(*stats));
  }
  return sample;
}

TopFigures figures_of(const TopSample& before, const json& top, const TopSample& after) {
  const Interval interval(before, after);
  TopFigures figures{.uptime_ns = after.uptime_ns,
                     .interval_ns = interval.ns(),
                     .cpus = {},
                     .servers = {},
                     .operators = {},
                     .channels = {},
                     .threads = {}};
  for (const json& cpu : field(after.cpus, "cpus")) {
    figures.cpus.push_back(
        cpu_figures(same(field(before.cpus, "cpus"), cpu, "cpu"), cpu, same(field(top, "cpus"), cpu, "cpu"), interval));
  }
  for (const json& server : field(after.sched, "servers")) {
    figures.servers.push_back(server_figures(same(field(before.sched, "servers"), server, "id"), server, interval));
  }
  for (const json& graph : after.graphs) {
    const auto found = std::ranges::find_if(
        before.graphs, [&](const json& other) { return field(other, "graph") == field(graph, "graph"); });
    add_graph(figures, found == before.graphs.end() ? kNothing : *found, graph, interval);
  }
  for (const json& thread : field(top, "threads")) {
    figures.threads.push_back({.id = number(thread, "id"),
                               .name = text(thread, "name"),
                               .cpu = number(thread, "cpu"),
                               .permille = number(thread, "permille")});
  }
  return figures;
}

json json_of(const TopFigures& figures) {
  json all = {{"uptime_ns", figures.uptime_ns}, {"interval_ns", figures.interval_ns}};
  for (const char* const key : {"cpus", "servers", "operators", "channels", "threads"}) all[key] = json::array();
  const auto rounded = [](double value) { return std::llround(value); };
  for (const CpuFigures& cpu : figures.cpus) {
    json item = {{"cpu", cpu.cpu},
                 {"online", cpu.online},
                 {"busy_permille", cpu.busy_permille},
                 {"interrupts_per_s", rounded(cpu.interrupts_per_s)}};
    set_if_any(item, "stolen_permille", cpu.stolen_permille);
    all["cpus"].push_back(std::move(item));
  }
  for (const ServerFigures& server : figures.servers) {
    json item = {{"name", server.name},          {"state", server.state},
                 {"jobs", server.jobs},          {"budget_permille", rounded(server.budget_permille)},
                 {"misses", server.misses},      {"overruns", server.overruns},
                 {"throttles", server.throttles}};
    set_if_any(item, "cpu", server.cpu);
    set_if_any(item, "p99_ns", server.p99_ns);
    all["servers"].push_back(std::move(item));
  }
  for (const OperatorFigures& code : figures.operators) {
    json item = {{"graph", code.graph},      {"name", code.name},
                 {"cpu", code.cpu},          {"runs_per_s", rounded(code.runs_per_s)},
                 {"runs", code.runs},        {"overruns", code.overruns},
                 {"failures", code.failures}};
    set_if_any(item, "p50_ns", code.p50_ns);
    set_if_any(item, "p99_ns", code.p99_ns);
    all["operators"].push_back(std::move(item));
  }
  for (const ChannelFigures& channel : figures.channels) {
    all["channels"].push_back({{"graph", channel.graph},
                               {"id", channel.id},
                               {"depth", channel.depth},
                               {"capacity", channel.capacity},
                               {"high_water", channel.high_water},
                               {"sent_per_s", rounded(channel.sent_per_s)},
                               {"stalls", channel.stalls},
                               {"drops", channel.drops}});
  }
  for (const ThreadFigures& thread : figures.threads) {
    all["threads"].push_back(
        {{"id", thread.id}, {"name", thread.name}, {"cpu", thread.cpu}, {"permille", thread.permille}});
  }
  return all;
}

}  // namespace sisctl
