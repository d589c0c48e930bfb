#include "ask_figures.hpp"

#include <algorithm>

#include "abi/audit.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/llm/explain/prompt.hpp"
#include "guest/npu/job_history.hpp"
#include "guest/tasks/task_set.hpp"

namespace guest::control {

namespace explain = llm::explain;

namespace {

constexpr std::uint64_t kNamed = std::uint64_t{1} << 63;  // more than any score of what is not

/// Of many the `N` with the largest scores, of equal ones those that came first.
template <typename T, std::size_t N>
class Best {
 public:
  struct Entry {
    T item{};
    std::uint64_t score = 0;
    std::size_t order = 0;
  };

  void offer(const T& item, std::uint64_t score) {
    const Entry entry{.item = item, .score = score, .order = offered_++};
    std::size_t at = kept_.size();
    while (at > 0 && kept_[at - 1].score < score) {
      --at;
    }
    if (kept_.full() && at < N) {
      kept_.erase(N - 1);
    }
    static_cast<void>(kept_.insert(at, entry));  // behind all others there is no room
  }
  /// In the order in which they came.
  [[nodiscard]] kernel::BoundedArray<Entry, N> in_order() const {
    kernel::BoundedArray<Entry, N> sorted;
    for (const Entry& entry : kept_) {
      std::size_t at = sorted.size();
      while (at > 0 && sorted[at - 1].order > entry.order) {
        --at;
      }
      static_cast<void>(sorted.insert(at, entry));  // there is room for all
    }
    return sorted;
  }

 private:
  kernel::BoundedArray<Entry, N> kept_;
  std::size_t offered_ = 0;
};

struct PlacedOperator {
  const graph::GraphEntry* entry = nullptr;
  const graph::Operator* code = nullptr;
};
struct PlacedChannel {
  const graph::Channel* channel = nullptr;
  std::uint8_t writer = 0;
  std::uint8_t reader = 0;
};

/// The operator's processor time in thousandths of what its graph ran; of several runs, as their mean was.
std::uint32_t busy_permille(const graph::GraphEntry& entry, const graph::Operator& code) {
  const graph::RunReport run = entry.runner->report();
  std::uint64_t executions = 0;
  for (const graph::Operator* const each : entry.graph->operators()) {
    executions += each->metrics().executions;
  }
  if (executions == 0 || run.ran_ns < 1000) {
    return 0;
  }
  std::uint64_t in_run = code.execution_time().sum();
  if (run.runs > 1) {
    in_run = in_run / executions * run.executions;
  }
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(in_run / (run.ran_ns / 1000), 1000));
}

std::uint64_t hits_of(const graph::ChannelMetrics& metrics, graph::ChannelPolicy policy) {
  return policy == graph::ChannelPolicy::Block ? metrics.stalls : metrics.dropped_oldest + metrics.dropped_newest;
}

void add_operator(const PlacedOperator& placed, explain::Figures& figures) {
  const graph::Operator& code = *placed.code;
  const graph::OperatorMetrics metrics = code.metrics();
  explain::Operator made;
  made.name.write(code.name());
  made.busy_permille = busy_permille(*placed.entry, code);
  made.run_ns = metrics.executions == 0 ? 0 : code.execution_time().sum() / metrics.executions;
  made.max_ns = code.execution_time().max();
  made.limit_ns = code.wcet_ns();
  made.over = metrics.overruns;
  static_cast<void>(figures.operators.push_back(made));
}

void add_channel(const PlacedChannel& placed, explain::Figures& figures) {
  const graph::Channel& channel = *placed.channel;
  const graph::ChannelMetrics metrics = channel.metrics();
  const bool drops = channel.policy() != graph::ChannelPolicy::Block;
  const std::uint64_t hits = hits_of(metrics, channel.policy());
  const auto index = static_cast<std::uint8_t>(figures.channels.size());
  static_cast<void>(figures.channels.push_back({.id = channel.id(),
                                                .writer = placed.writer,
                                                .reader = placed.reader,
                                                .top = metrics.high_water,
                                                .capacity = channel.capacity(),
                                                .drops = drops,
                                                .hits = hits}));
  auto& input = figures.operators[placed.reader].input;
  if (!input || figures.channels[*input].hits < hits) {
    input = index;
  }
}

void gather_graphs(const graph::Graph* only, std::string_view question, explain::Figures& figures) {
  Best<PlacedOperator, explain::kMaxOperators> best;
  graph::GraphSet& set = graph::graph_set();
  for (std::size_t i = 0; i < set.size(); ++i) {
    const graph::GraphEntry& entry = set.at(i);
    if (only != nullptr && only != entry.graph.get()) {
      continue;
    }
    for (const graph::Operator* const each : entry.graph->operators()) {
      best.offer({.entry = &entry, .code = each},
                 (explain::mentions(question, each->name()) ? kNamed : 0) + each->execution_time().sum() / 2);
    }
  }
  const auto operators = best.in_order();
  for (const auto& each : operators) {
    add_operator(each.item, figures);
  }
  const auto index_of = [&](const graph::Operator* code) {
    const auto* const found = std::ranges::find_if(operators, [&](const auto& each) { return each.item.code == code; });
    return static_cast<std::uint8_t>(found - operators.begin());
  };
  Best<PlacedChannel, explain::kMaxChannels> channels;
  for (std::size_t i = 0; i < set.size(); ++i) {
    for (const graph::Channel* const each : set.at(i).graph->channels()) {
      const PlacedChannel placed{.channel = each,
                                 .writer = index_of(set.at(i).graph->producer_of(*each)),
                                 .reader = index_of(set.at(i).graph->consumer_of(*each))};
      if (std::max(placed.writer, placed.reader) < operators.size()) {
        kernel::FixedText<8> id;
        kernel::format_to(id, "{}", each->id());
        channels.offer(
            placed, (explain::mentions(question, id.view()) ? kNamed : 0) + hits_of(each->metrics(), each->policy()));
      }
    }
  }
  for (const auto& each : channels.in_order()) {
    add_channel(each.item, figures);
  }
}

void gather_servers(std::string_view question, explain::Figures& figures) {
  Best<const tasks::Server*, explain::kMaxServers> best;
  const tasks::TaskSet& set = tasks::task_set();
  for (const tasks::Server* server = set.first_server(); server != nullptr; server = tasks::TaskSet::after(*server)) {
    const threads::JobStatistics& statistics = server->statistics();
    best.offer(server, (explain::mentions(question, server->name()) ? kNamed : 0) +
                           statistics.misses.load(std::memory_order_relaxed) +
                           statistics.overruns.load(std::memory_order_relaxed));
  }
  for (const auto& each : best.in_order()) {
    const tasks::Server& server = *each.item;
    const threads::JobStatistics& statistics = server.statistics();
    explain::Server made;
    made.name.write(server.name());
    made.budget_ns = static_cast<std::uint64_t>(server.parameters().budget);
    made.period_ns = static_cast<std::uint64_t>(server.parameters().period);
    made.jobs = statistics.response.count();
    made.over = statistics.overruns.load(std::memory_order_relaxed);
    made.misses = statistics.misses.load(std::memory_order_relaxed);
    made.throttles = server.cpu() ? tasks::TaskSet::state_of(server).counters.throttles : 0;
    made.worst_ns = statistics.response.max();
    static_cast<void>(figures.servers.push_back(made));
  }
}

explain::Audit gather_audit(const security::AuditLog& log) {
  explain::Audit made;
  kernel::BoundedArray<std::uint32_t, 99> links;  // more look the same as the largest of two digits
  for (std::uint64_t number = log.overwritten() + 1; number <= log.count(); ++number) {
    const abi::audit::Record& record = log.at(number).record;
    made.accepted += record.event == static_cast<std::uint8_t>(abi::audit::Event::TokenAccepted) ? 1 : 0;
    if (record.event == static_cast<std::uint8_t>(abi::audit::Event::TokenRefused)) {
      ++made.refused;
      const std::uint32_t link = record.connection.value();
      if (std::ranges::find(links, link) == links.end()) {
        static_cast<void>(links.push_back(link));
      }
    }
  }
  made.links = links.size();
  return made;
}

}  // namespace

void gather_figures(const Services& services, const graph::Graph* only, std::string_view question,
                    explain::Figures& figures) {
  gather_graphs(only, question, figures);
  gather_servers(question, figures);
  figures.audit = gather_audit(services.audit);
  const npu::JobTotals totals = npu::job_history().totals();
  figures.npu = explain::Npu{.jobs = totals.ended,
                             .misses = totals.by_status[static_cast<std::size_t>(abi::npu::Status::Deadline)],
                             .top = totals.most_in_flight};
  if (services.llm != nullptr) {
    const llm::StatisticsSnapshot llm = services.llm->service.statistics();
    figures.llm =
        explain::Llm{.asked = llm.requests + llm.rejects, .refused = llm.rejects, .misses = llm.deadline_misses};
  }
}

}  // namespace guest::control
