#include "trace_tracks.hpp"

#include <algorithm>

namespace vmm::observe {
namespace {

using abi::trace::kDescriptions;
using abi::trace::Record;
using Process = TraceProcess;

constexpr std::uint64_t kWorkTrack = 100;         ///< and the CPU's number
constexpr std::uint64_t kChannelTrack = 100'000;  ///< and a running number
constexpr std::uint64_t kIdleThread = 0;          ///< of each CPU; it has no name
constexpr std::size_t kMaxNested = 8;
constexpr std::size_t kMaxEndedJobs = 1024;

std::int64_t ns(std::uint64_t time) { return static_cast<std::int64_t>(time); }

/// A slice from `begin` to `end`.
TraceEventText slice(Process process, std::uint64_t track, std::string_view category, std::string_view name,
                     std::uint64_t begin, std::uint64_t end) {
  return TraceEventText('X', process, category, name)
      .track(track)
      .at(ns(begin))
      .lasts(end > begin ? ns(end - begin) : 0);
}

TraceEventText overlapping(char phase, Process process, std::string_view category, std::string_view name,
                           std::uint64_t id, std::uint64_t time) {
  return TraceEventText(phase, process, category, name).track(0).id(id).at(ns(time));
}

}  // namespace

// By name: a type that is not in the list is a mark on its CPU with its arguments, and one of a later guest has no
// number here yet.
const GuestTracks::HandlerEntry GuestTracks::kHandlers[] = {
    {"switch", &GuestTracks::on_switch},
    {"irq-enter", &GuestTracks::on_interrupt_enter},
    {"irq-exit", &GuestTracks::on_interrupt_exit},
    {"work-begin", &GuestTracks::on_work_begin},
    {"work-end", &GuestTracks::on_work_end},
    {"op-begin", &GuestTracks::on_operator_begin},
    {"op-end", &GuestTracks::on_operator_end},
    {"channel-send", &GuestTracks::on_channel},
    {"channel-receive", &GuestTracks::on_channel},
    {"channel-stall", &GuestTracks::on_channel},
    {"channel-drop", &GuestTracks::on_channel},
    {"npu-submit", &GuestTracks::on_job_submit},
    {"npu-ran", &GuestTracks::on_job_ran},
    {"npu-end", &GuestTracks::on_job_end},
    {"llm-submit", &GuestTracks::on_request_submit},
    {"llm-step", &GuestTracks::on_request_step},
    {"llm-token", &GuestTracks::on_request_token},
    {"llm-end", &GuestTracks::on_request_end},
    {"llm-due", &GuestTracks::on_request_due},
    {"control-begin", &GuestTracks::on_control_begin},
    {"control-end", &GuestTracks::on_control_end},
};

GuestTracks::GuestTracks(const TraceNames& names, TraceOutput& output) : names_(names), output_(output) {
  for (std::size_t type = 0; type < abi::trace::kTypes; ++type) {
    const auto* const found = std::ranges::find(kHandlers, kDescriptions[type].name, &HandlerEntry::event);
    handlers_[type] = found == std::end(kHandlers) ? &GuestTracks::on_other : found->handler;
  }
}

void GuestTracks::take(const Record& record) {
  Cpu& cpu = cpus_[record.cpu];
  if (record.type == TraceRecords::kGap) return on_gap(record);
  if (!cpu.seen) {
    cpu.seen = true;
    cpu.since = record.time_ns;
  }
  (this->*handlers_[record.type])(record);
}

template <typename Map>
bool GuestTracks::has_room(const Map& open) {
  if (open.size() < kMaxOpen) return true;
  ++unmatched_;
  return false;
}

/// What was open may have ended in the gap: it is cut where that begins, and what comes after begins anew.
void GuestTracks::on_gap(const Record& record) {
  Cpu& cpu = cpus_[record.cpu];
  if (cpu.seen) {
    end_interrupts(record.cpu, record.time_ns);
    end_work(record.cpu, record.time_ns);
    end_thread(record.cpu, cpu.thread, record.time_ns);
  }
  cpu = Cpu{};
  output_.event(TraceEventText('i', Process::Cpus, "trace", "lost")
                    .track(record.cpu)
                    .at(ns(record.time_ns))
                    .raw(R"(,"s":"t")")
                    .arg("events", record.argument1));
}

// ---- CPUs ----

/// @param thread absent: not known
void GuestTracks::end_thread(std::uint16_t cpu, std::optional<std::uint64_t> thread, std::uint64_t now_ns) {
  const std::string name = !thread ? "?" : *thread == kIdleThread ? "idle" : names_.thread(*thread);
  auto event = slice(Process::Cpus, cpu, "scheduler", name, cpus_[cpu].since, now_ns);
  output_.event(thread ? event.arg("thread", *thread) : event);
}

void GuestTracks::on_switch(const Record& record) {
  Cpu& cpu = cpus_[record.cpu];
  end_interrupts(record.cpu, record.time_ns);
  end_thread(record.cpu, record.argument0, record.time_ns);
  cpu.thread = record.argument1;
  cpu.since = record.time_ns;
}

void GuestTracks::on_interrupt_enter(const Record& record) {
  Cpu& cpu = cpus_[record.cpu];
  if (cpu.interrupts.size() == kMaxNested) cpu.interrupts.erase(cpu.interrupts.begin());
  cpu.interrupts.push_back({.begin = {record.time_ns, record.cpu}, .what = record.argument0});
}

void GuestTracks::on_interrupt_exit(const Record& record) {
  auto& open = cpus_[record.cpu].interrupts;
  if (open.empty() || open.back().what != record.argument0) {
    ++unmatched_;
    return;
  }
  output_.event(slice(Process::Cpus, record.cpu, "interrupts", "interrupt " + std::to_string(record.argument0),
                      open.back().begin.time_ns, record.time_ns)
                    .arg("intid", record.argument0));
  open.pop_back();
}

void GuestTracks::end_interrupts(std::uint16_t cpu, std::uint64_t now_ns) {
  auto& open = cpus_[cpu].interrupts;
  while (!open.empty()) {
    const std::uint64_t intid = open.back().what;
    output_.event(
        slice(Process::Cpus, cpu, "interrupts", "interrupt " + std::to_string(intid), open.back().begin.time_ns, now_ns)
            .arg("intid", intid));
    open.pop_back();
  }
}

void GuestTracks::on_work_begin(const Record& record) {
  end_work(record.cpu, record.time_ns);
  cpus_[record.cpu].work = Open{.begin = {record.time_ns, record.cpu}, .what = record.argument1};
}

void GuestTracks::on_work_end(const Record& record) {
  if (!cpus_[record.cpu].work) ++unmatched_;
  end_work(record.cpu, record.time_ns);
}

void GuestTracks::end_work(std::uint16_t cpu, std::uint64_t now_ns) {
  auto& work = cpus_[cpu].work;
  if (!work) return;
  output_.event(slice(Process::Cpus, kWorkTrack + cpu, "work", "work", work->begin.time_ns, now_ns)
                    .arg_hex("function", work->what));
  work.reset();
}

/// A mark with its arguments; where the first is a thread or a server, its name too.
void GuestTracks::on_other(const Record& record) {
  const auto& description = kDescriptions[record.type];
  const std::uint64_t values[] = {record.argument0, record.argument1, record.argument2};
  std::string name(description.name);
  if (description.arguments[0].name == "thread") name += ' ' + names_.thread(record.argument0);
  if (description.arguments[0].name == "server") name += ' ' + names_.server(record.argument0);
  const auto group = static_cast<std::size_t>(abi::trace::group_of(static_cast<abi::trace::Type>(record.type)));
  TraceEventText event('i', Process::Cpus, abi::trace::kGroupNames[group], name);
  event.track(record.cpu).at(ns(record.time_ns)).raw(R"(,"s":"t")");
  for (std::size_t i = 0; i < abi::trace::kArguments; ++i) {
    const auto& argument = description.arguments[i];
    if (argument.name.empty()) continue;
    if (argument.hex) {
      event.arg_hex(argument.name, values[i]);
    } else {
      event.arg(argument.name, values[i]);
    }
  }
  output_.event(event);
}

// ---- graphs ----

std::uint64_t GuestTracks::operator_track(const Operator& which) {
  return operator_tracks_.try_emplace(which, operator_tracks_.size() + 1).first->second;
}

std::uint64_t GuestTracks::channel_track(std::uint64_t graph, std::uint64_t channel) {
  return channel_tracks_.try_emplace({graph, channel}, kChannelTrack + channel_tracks_.size()).first->second;
}

void GuestTracks::on_operator_begin(const Record& record) {
  const Operator which{record.argument0, record.argument1};
  if (!operator_tracks_.contains(which) && !has_room(operator_tracks_)) return;
  operator_track(which);
  operators_.insert_or_assign(which, Open{.begin = {record.time_ns, record.cpu}, .what = record.argument2});
}

void GuestTracks::on_operator_end(const Record& record) {
  const Operator which{record.argument0, record.argument1};
  const auto open = operators_.find(which);
  if (open == operators_.end()) {
    ++unmatched_;
    return;
  }
  end_operator(which, open->second, record.time_ns, record.argument2);
  operators_.erase(open);
}

/// @param failed absent: it has not ended
void GuestTracks::end_operator(const Operator& which, const Open& open, std::uint64_t now_ns,
                               std::optional<std::uint64_t> failed) {
  auto event = slice(Process::Graphs, operator_track(which), "graphs", names_.graph_operator(which.first, which.second),
                     open.begin.time_ns, now_ns)
                   .arg("graph", which.first)
                   .arg("operator", which.second)
                   .arg("execution", open.what)
                   .arg("cpu", open.begin.cpu);
  output_.event(failed ? event.arg("failed", *failed) : event.arg("unfinished", 1));
}

void GuestTracks::on_channel(const Record& record) {
  const std::uint64_t graph = record.argument0;
  const std::uint64_t channel = record.argument1;
  output_.event(
      TraceEventText('C', Process::Graphs, "graphs", names_.graph(graph) + " channel " + std::to_string(channel))
          .track(0)
          .at(ns(record.time_ns))
          .arg("depth", record.argument2));
  const std::string_view what = kDescriptions[record.type].name;
  if (what != "channel-stall" && what != "channel-drop") return;
  if (!channel_tracks_.contains({graph, channel}) && !has_room(channel_tracks_)) return;
  output_.event(TraceEventText('i', Process::Graphs, "graphs", what)
                    .track(channel_track(graph, channel))
                    .at(ns(record.time_ns))
                    .raw(R"(,"s":"t")")
                    .arg("graph", graph)
                    .arg("channel", channel)
                    .arg("depth", record.argument2));
}

// ---- jobs of the NPU ----

void GuestTracks::on_job_submit(const Record& record) {
  if (!has_room(jobs_)) return;
  if (jobs_.contains(record.argument1)) cut(Process::Npu, "npu", "job", record.argument1, record.time_ns);
  jobs_.insert_or_assign(record.argument1, Job{.begin = {record.time_ns, record.cpu}});
  output_.event(overlapping('b', Process::Npu, "npu", "job", record.argument1, record.time_ns)
                    .arg("job", record.argument1)
                    .arg("server", record.argument0)
                    .arg("priority", record.argument2));
}

void GuestTracks::on_job_ran(const Record& record) {
  const auto job = jobs_.find(record.argument1);
  if (job == jobs_.end()) {
    ++unmatched_;
    return;
  }
  job->second.ran = true;
  job->second.preemptions = record.argument0;
  job->second.run_ns = record.argument2;
}

void GuestTracks::on_job_end(const Record& record) {
  const auto found = jobs_.find(record.argument1);
  if (found == jobs_.end()) {
    ++unmatched_;
    return;
  }
  const Job& job = found->second;
  if (job.ran) {
    const std::uint64_t waited = record.time_ns - std::min(record.time_ns, job.begin.time_ns);
    const std::uint64_t began = record.time_ns - std::min(job.run_ns, waited);
    output_.event(overlapping('b', Process::Npu, "npu", "run", record.argument1, began));
    output_.event(overlapping('e', Process::Npu, "npu", "run", record.argument1, record.time_ns)
                      .arg("preemptions", job.preemptions));
  }
  output_.event(overlapping('e', Process::Npu, "npu", "job", record.argument1, record.time_ns)
                    .arg("status", record.argument0)
                    .arg("cycles", record.argument2));
  if (ended_jobs_.insert_or_assign(record.argument1, job.begin).second) ended_order_.push_back(record.argument1);
  if (ended_order_.size() > kMaxEndedJobs) {
    ended_jobs_.erase(ended_order_.front());
    ended_order_.pop_front();
  }
  jobs_.erase(found);
}

// ---- requests to models ----

void GuestTracks::flow(char phase, std::uint64_t request, const Place& place) {
  output_.event(TraceEventText(phase, Process::Cpus, "flow", "request to a model")
                    .track(place.cpu)
                    .id(request)
                    .at(ns(place.time_ns))
                    .raw(phase == 'f' ? R"(,"bp":"e")" : ""));
}

void GuestTracks::on_request_submit(const Record& record) {
  const std::uint64_t request = record.argument1;
  if (!has_room(requests_)) return;
  if (requests_.contains(request)) cut(Process::Llm, "llm", "request", request, record.time_ns);
  const Place here{record.time_ns, record.cpu};
  requests_.insert_or_assign(request, Open{.begin = here, .what = request});
  auto event = overlapping('b', Process::Llm, "llm", "request", request, record.time_ns)
                   .arg("request", request)
                   .arg("priority", record.argument0)
                   .arg("max_tokens", record.argument2);
  // Its thread serves the call that it was given last: the one that made this request.
  const Cpu& cpu = cpus_[record.cpu];
  const auto call = cpu.call && cpu.call_thread == cpu.thread ? calls_.find(*cpu.call) : calls_.end();
  if (call == calls_.end()) {
    output_.event(event);
    return flow('s', request, here);
  }
  output_.event(event.arg_hex("call", call->first));
  flow('s', request, call->second.begin);
  flow('t', request, here);
}

void GuestTracks::on_request_step(const Record& record) {
  const std::uint64_t request = record.argument1;
  if (!requests_.contains(request)) {
    ++unmatched_;
    return;
  }
  output_.event(overlapping('n', Process::Llm, "llm", "step", request, record.time_ns)
                    .arg("tokens", record.argument0)
                    .arg("job", record.argument2));
  if (const auto job = ended_jobs_.find(record.argument2); job != ended_jobs_.end()) flow('t', request, job->second);
}

void GuestTracks::on_request_token(const Record& record) {
  output_.event(
      overlapping('n', Process::Llm, "llm", "token", record.argument1, record.time_ns).arg("tokens", record.argument0));
}

void GuestTracks::on_request_end(const Record& record) {
  const std::uint64_t request = record.argument1;
  if (requests_.erase(request) == 0) {
    ++unmatched_;
    return;
  }
  output_.event(overlapping('e', Process::Llm, "llm", "request", request, record.time_ns)
                    .arg("stop", record.argument0)
                    .arg("tokens", record.argument2));
  flow('f', request, {record.time_ns, record.cpu});
}

void GuestTracks::on_request_due(const Record& record) {
  output_.event(overlapping('n', Process::Llm, "llm", "deadline", record.argument1, record.time_ns)
                    .arg("due_ns", record.argument2));
}

// ---- control requests ----

void GuestTracks::on_control_begin(const Record& record) {
  const std::uint64_t call = record.argument1;
  Cpu& cpu = cpus_[record.cpu];
  cpu.call = call;
  cpu.call_thread = cpu.thread;
  if (!has_room(calls_)) return;
  if (const auto before = calls_.find(call); before != calls_.end()) {
    cut(Process::Control, "control", names_.op(before->second.what), call, record.time_ns);
  }
  calls_.insert_or_assign(call, Open{.begin = {record.time_ns, record.cpu}, .what = record.argument0});
  output_.event(overlapping('b', Process::Control, "control", names_.op(record.argument0), call, record.time_ns)
                    .arg("connection", call >> 32)
                    .arg("request", call & UINT32_MAX)
                    .arg("bytes", record.argument2));
}

void GuestTracks::on_control_end(const Record& record) {
  const auto call = calls_.find(record.argument1);
  if (call == calls_.end()) {
    ++unmatched_;
    return;
  }
  output_.event(overlapping('e', Process::Control, "control", names_.op(call->second.what), call->first, record.time_ns)
                    .arg("status", record.argument0));
  calls_.erase(call);
}

// ---- the end ----

void GuestTracks::finish(std::uint64_t now_ns) {
  static_assert(TraceRecords::kMaxCpus <= UINT16_MAX);
  for (std::uint16_t cpu = 0; cpu < TraceRecords::kMaxCpus; ++cpu) {
    if (!cpus_[cpu].seen) continue;
    end_interrupts(cpu, now_ns);
    end_work(cpu, now_ns);
    end_thread(cpu, cpus_[cpu].thread, now_ns);
  }
  for (const auto& [which, open] : operators_) end_operator(which, open, now_ns, std::nullopt);
  for (const auto& [job, open] : jobs_) cut(Process::Npu, "npu", "job", job, now_ns);
  for (const auto& [request, open] : requests_) {
    cut(Process::Llm, "llm", "request", request, now_ns);
    flow('f', request, {now_ns, open.begin.cpu});
  }
  for (const auto& [call, open] : calls_) cut(Process::Control, "control", names_.op(open.what), call, now_ns);
  name_tracks();
}

/// Of what has not ended, or whose end is lost.
void GuestTracks::cut(TraceProcess process, std::string_view category, std::string_view name, std::uint64_t id,
                      std::uint64_t now_ns) {
  output_.event(overlapping('e', process, category, name, id, now_ns).arg("unfinished", 1));
}

void GuestTracks::name_tracks() {
  output_.name(Process::Cpus, "guest: CPUs");
  for (std::size_t cpu = 0; cpu < cpus_.size(); ++cpu) {
    if (!cpus_[cpu].seen) continue;
    output_.name(Process::Cpus, cpu, "CPU " + std::to_string(cpu));
    output_.name(Process::Cpus, kWorkTrack + cpu, "CPU " + std::to_string(cpu) + ", work");
  }
  output_.name(Process::Graphs, "guest: graphs");
  for (const auto& [which, track] : operator_tracks_) {
    output_.name(Process::Graphs, track,
                 names_.graph(which.first) + '.' + names_.graph_operator(which.first, which.second));
  }
  for (const auto& [which, track] : channel_tracks_) {
    output_.name(Process::Graphs, track, names_.graph(which.first) + " channel " + std::to_string(which.second));
  }
  output_.name(Process::Npu, "guest: jobs of the NPU");
  output_.name(Process::Llm, "guest: requests to models");
  output_.name(Process::Control, "guest: control requests");
}

}  // namespace vmm::observe
