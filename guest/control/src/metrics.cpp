// Gathers the kernel's figures.
//
// A flat name is made of parts: op_<graph>_<operator>_runs. Parts come from names that have more characters than a
// metric's may, and '_' is both a character of theirs and what parts them, so two things may come to one name: "a.b"
// and "a-b", or operator "b_c" of graph "a" and "c" of "a_b". Whoever is later in the order then gets a number, "_2".
#include "metrics.hpp"

#include <algorithm>
#include <initializer_list>

#include "guest/kernel/bounded_array.hpp"
#include "guest/npu/job_history.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/names.hpp"
#include "guest/tasks/task_set.hpp"
#include "llm_metrics.hpp"

namespace guest::control {
namespace {

using Name = kernel::FixedText<kMaxMetricName>;

/// Makes beginnings of names, and remembers them.
class Beginnings {
 public:
  explicit Beginnings(const MetricSink& sink) : named_(sink.wants_names()) {}
  /// The parts, joined by '_', and a number if they were there before. Nothing where nobody asks for names.
  void make(Name& name, std::initializer_list<std::string_view> parts) {
    if (!named_) {
      return;
    }
    join(name, parts);
    for (unsigned number = 2; is_taken(name.view()); ++number) {
      join(name, parts);
      kernel::format_to(name, "_{}", number);
    }
    (void)hashes_.push_back(hash(name.view()));
  }

 private:
  /// Graphs, their operators, servers.
  static constexpr std::size_t kMax =
      graph::GraphSet::kMaxGraphs * (1 + graph::kMaxOperators) + tasks::kMaxItems + graph::GraphSet::kMaxGraphs;

  static void join(Name& name, std::initializer_list<std::string_view> parts) {
    name.clear();
    for (const std::string_view part : parts) {
      name.write(name.view().empty() ? "" : "_");
      for (const char c : part) {
        const bool upper = c >= 'A' && c <= 'Z';
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        const char mapped = upper ? static_cast<char>(c - 'A' + 'a') : plain ? c : '_';
        name.write({&mapped, 1});
      }
    }
  }
  /// FNV-1a, 64 bits: of a few hundred names no two have the same but by a chance of 10^-14, and then one gets a number
  /// that it did not need.
  static std::uint64_t hash(std::string_view text) {
    std::uint64_t value = 0xcbf2'9ce4'8422'2325;
    for (const char c : text) {
      value = (value ^ static_cast<unsigned char>(c)) * 0x0000'0100'0000'01b3;
    }
    return value;
  }
  [[nodiscard]] bool is_taken(std::string_view name) const {
    return std::find(hashes_.begin(), hashes_.end(), hash(name)) != hashes_.end();
  }

  bool named_;
  kernel::BoundedArray<std::uint64_t, kMax> hashes_;
};

/// The beginning of the names of number `number` of something: "cpu3".
void number_name(const MetricSink& sink, Name& name, std::string_view what, std::uint64_t number) {
  if (sink.wants_names()) {
    kernel::format_to(name, "{}{}", what, number);
  }
}

/// Hands on what is of one thing.
class Subject {
 public:
  Subject(MetricSink& sink, std::string_view beginning)
      : sink_(sink), beginning_(beginning), named_(sink.wants_names()) {}

  void count(std::string_view what, std::uint64_t value) { sink_.count(named(what), value); }
  void level(std::string_view what, std::uint64_t value) { sink_.level(named(what), value); }
  void times(std::string_view what, const kernel::Histogram& histogram) {
    sink_.times(what.empty() ? beginning_ : named(what), histogram);
  }

 private:
  std::string_view named(std::string_view what) {
    if (!named_) {
      return {};
    }
    name_.clear();
    kernel::format_to(name_, "{}_{}", beginning_, what);
    return name_.view();
  }

  MetricSink& sink_;
  std::string_view beginning_;
  bool named_;
  Name name_;
};

std::uint64_t at_least_0(sched::Time time) { return static_cast<std::uint64_t>(std::max<sched::Time>(time, 0)); }

void gather_kernel(const Services& services, MetricSink& sink) {
  sink.count("uptime_ns", services.clock.now_ns());
  sink.level("boot_to_control_ready_ns", services.boot_to_control_ready_ns);
  const kernel::PageStatistics pages = services.pages.statistics();
  sink.level("pages_free_bytes", pages.free_pages << kernel::kPageShift);
  sink.count("pages_failures", pages.failures);
  const kernel::HeapStatistics heap = services.heap.statistics();
  sink.level("heap_live_bytes", heap.live_bytes);
  sink.level("heap_peak_live_bytes", heap.peak_live_bytes);
  sink.count("heap_failures", heap.failures);
  sink.count("interrupts_unhandled", services.interrupts.unhandled());
  sink.count("interrupts_spurious", services.interrupts.spurious());
  // A counter does not say whether it is a level; there are few that are.
  services.counters.for_each([&](const kernel::Counter& counter) { sink.count(counter.name(), counter.value()); });
}

Name joined(const MetricSink& sink, std::string_view first, std::string_view second) {
  Name name;
  if (sink.wants_names()) {
    kernel::format_to(name, "{}{}", first, second);
  }
  return name;
}

/// What its counters do not say.
void gather_npu(const Services& services, MetricSink& sink) {
  const npu::JobTotals totals = npu::job_history().totals();
  Subject subject(sink, "npu");
  for (unsigned i = 0; i < abi::npu::kStatuses; ++i) {
    subject.count(joined(sink, "jobs_", npu::to_string(static_cast<abi::npu::Status>(i))).view(), totals.by_status[i]);
  }
  subject.level("queue_depth_max", totals.most_in_flight);
  subject.count("busy_ns", totals.run_ns);
  const std::uint64_t since_reset_us = services.clock.now_ns() / 1000;
  subject.level("busy_permille", since_reset_us == 0 ? 0 : totals.run_ns / since_reset_us);
  for (unsigned i = 0; i < abi::npu::kPriorities; ++i) {
    const auto priority = static_cast<abi::npu::Priority>(i);
    subject.times(joined(sink, "latency_", npu::to_string(priority)).view(), npu::job_latency(priority));
  }
}

void gather_cpus(const Services& services, MetricSink& sink) {
  for (std::uint32_t cpu = 0; cpu < services.cpus.count(); ++cpu) {
    const CpuReport report = services.cpus.report(cpu);
    Name beginning;
    number_name(sink, beginning, "cpu", cpu);
    const threads::Dispatcher* const dispatcher = threads::find_dispatcher(cpu);
    sink.thing((report.stolen_ns ? 1U : 0U) | (dispatcher != nullptr ? 2U : 0U));
    Subject subject(sink, beginning.view());
    subject.count("interrupts", services.interrupts.taken(cpu));
    subject.count("ipis_sent", report.ipis_sent);
    if (dispatcher != nullptr) {
      subject.count("switches", dispatcher->switches());
    }
    if (report.stolen_ns) {
      subject.count("stolen_ns", *report.stolen_ns);
    }
  }
}

void gather_server(const tasks::Server& server, bool all, Subject& subject) {
  const threads::JobStatistics& statistics = server.statistics();
  subject.count("misses", statistics.misses.load(std::memory_order_relaxed));
  subject.count("overruns", statistics.overruns.load(std::memory_order_relaxed));
  if (all) {
    subject.count("jobs", statistics.response.count());
  }
  subject.times("response", statistics.response);
  if (server.cpu()) {
    const sched::ServerCounters counters = tasks::TaskSet::state_of(server).counters;
    subject.count("ran_ns", at_least_0(counters.ran));
    subject.count("throttles", counters.throttles);
    subject.level("max_overrun_ns", at_least_0(counters.max_overrun));
  }
}

void gather_servers(Beginnings& beginnings, MetricSink& sink) {
  const tasks::TaskSet& set = tasks::task_set();
  for (const tasks::Server* server = set.first_server(); server != nullptr; server = tasks::TaskSet::after(*server)) {
    Name beginning;
    beginnings.make(beginning, {"server", server->name()});
    sink.thing(std::uint64_t{server->id()} << 1 | (server->cpu() ? 1U : 0U));
    Subject subject(sink, beginning.view());
    gather_server(*server, sink.wants_all(), subject);
  }
}

void gather_operator(const graph::Operator& code, Subject& subject) {
  const graph::OperatorMetrics metrics = code.metrics();
  subject.count("runs", metrics.executions);
  subject.count("failures", metrics.failures);
  subject.count("overruns", metrics.overruns);
  subject.times("", code.execution_time());
}

void gather_channels(const graph::Graph& graph, std::string_view beginning, MetricSink& sink) {
  for (const graph::Channel* const channel : graph.channels()) {
    const graph::ChannelMetrics metrics = channel->metrics();
    Name name;
    if (sink.wants_names()) {
      // The graph's part is unique, and with a number behind it stays so.
      kernel::format_to(name, "ch{}_{}", beginning.substr(std::string_view("graph").size()), channel->id());
    }
    sink.thing(channel->id());
    Subject subject(sink, name.view());
    subject.level("depth", metrics.depth);
    subject.level("depth_max", metrics.high_water);
    subject.count("sent", metrics.sent);
    subject.count("stalls", metrics.stalls);
    subject.count("drops", metrics.dropped_oldest + metrics.dropped_newest);
  }
}

void gather_graph(const graph::GraphEntry& entry, std::string_view beginning, MetricSink& sink) {
  const graph::RunReport run = entry.runner->report();
  const graph::TensorStatistics tensors = entry.graph->arena().statistics();
  Subject subject(sink, beginning);
  subject.count("runs", run.runs);
  subject.level("run_ns", run.ran_ns);
  subject.level("tensors_live", tensors.live);
  subject.level("tensors_peak_live", tensors.peak_live);
  subject.count("tensors_refused", tensors.refused_no_descriptor + tensors.refused_no_memory);
  subject.count("bytes_copied", tensors.bytes_copied);
}

/// Takes what it is told only while it is `open`: names of graphs that are not wanted are made all the same.
class Gate final : public MetricSink {
 public:
  explicit Gate(MetricSink& sink) : sink_(sink) {}
  void count(std::string_view name, std::uint64_t value) override {
    if (open) {
      sink_.count(name, value);
    }
  }
  void level(std::string_view name, std::uint64_t value) override {
    if (open) {
      sink_.level(name, value);
    }
  }
  void times(std::string_view name, const kernel::Histogram& histogram) override {
    if (open) {
      sink_.times(name, histogram);
    }
  }
  [[nodiscard]] bool wants_names() const override { return sink_.wants_names(); }
  [[nodiscard]] bool wants_all() const override { return sink_.wants_all(); }
  void thing(std::uint64_t identity) override { sink_.thing(identity); }
  bool open = true;

 private:
  MetricSink& sink_;
};

/// So that a name is the same whether one graph is asked for or all, the names of all are made.
void gather_graphs(Beginnings& beginnings, const graph::Graph* only, MetricSink& sink) {
  graph::GraphSet& set = graph::graph_set();
  Gate gate(sink);
  std::uint64_t operators = 0;
  std::uint64_t channels = 0;
  std::uint64_t mismatches = 0;
  for (std::size_t i = 0; i < set.size(); ++i) {
    const graph::GraphEntry& entry = set.at(i);
    const graph::Graph& graph = *entry.graph;
    gate.open = only == nullptr || only == &graph;
    Name beginning;
    beginnings.make(beginning, {"graph", graph.name()});
    sink.thing(graph.id());
    gather_graph(entry, beginning.view(), gate);
    for (const graph::Operator* const each : graph.operators()) {
      Name name;
      beginnings.make(name, {"op", graph.name(), each->name()});
      sink.thing(each->id());
      Subject subject(gate, name.view());
      gather_operator(*each, subject);
    }
    gather_channels(graph, beginning.view(), gate);
    operators += gate.open ? graph.operators().size() : 0;
    channels += gate.open ? graph.channels().size() : 0;
    mismatches += gate.open ? graph.schema_mismatches() : 0;
  }
  sink.level("graph_stats_ops", operators);
  sink.level("graph_stats_channels", channels);
  sink.level("schema_mismatch_count", mismatches);
}

}  // namespace

void gather_metrics(const Services& services, const graph::Graph* only, MetricSink& sink) {
  Beginnings beginnings(sink);
  if (only == nullptr) {
    gather_kernel(services, sink);
    gather_npu(services, sink);
    if (services.llm != nullptr) {
      gather_llm(*services.llm, sink);
    }
    gather_cpus(services, sink);
    gather_servers(beginnings, sink);
  }
  gather_graphs(beginnings, only, sink);
}

}  // namespace guest::control
