// npu bench: jobs of one command each, many times, and what they took.
#include <algorithm>
#include <array>
#include <memory>
#include <new>

#include "background.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/percentile.hpp"
#include "guest/ml/memory.hpp"
#include "guest/npu/names.hpp"
#include "guest/npu/npu.hpp"
#include "npu/stream/checked_command.hpp"
#include "npu_commands.hpp"
#include "npu_common.hpp"
#include "npu_shapes.hpp"
#include "sorted_samples.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

/// Each has a thread and memory.
constexpr unsigned kMaxRuns = 8;
constexpr std::size_t kMaxRows = 40;

/// Changed in the loop only.
constinit unsigned runs = 0;

struct Options {
  std::string_view only;  ///< empty: all. A name of the table's
  std::uint32_t size = 0;
  std::uint32_t count = 0;
  std::uint32_t depth = 0;
  abi::npu::Priority priority = abi::npu::Priority::Normal;
  std::uint64_t cycle_limit = 0;
};

struct Row {
  std::string_view name;
  kernel::FixedText<96> inputs;
  std::uint64_t cycles = 0;
  std::uint64_t bytes = 0;
  std::uint64_t operations = 0;
  SampleFigures latency;
  SampleFigures run;
};

/// One region, whatever it is called.
class OneRegion final : public ::npu::Regions {
 public:
  explicit OneRegion(std::span<std::byte> bytes)
      : region_{.base = bytes.data(),
                .bytes = bytes.size(),
                .flags = abi::npu::region_flag::kRead | abi::npu::region_flag::kWrite} {}
  [[nodiscard]] const ::npu::Region* find(std::uint32_t) const override { return &region_; }

 private:
  ::npu::Region region_;
};

class NpuBench final : public Background {
 public:
  NpuBench(const Options& options, std::uint64_t resolution_ns)
      : Background(OnCancel::StopThread), options_(options), resolution_ns_(resolution_ns) {
    ++runs;
  }
  ~NpuBench() override { --runs; }

 private:
  Done work() override;
  Done measure(const BenchCommand& command);
  Done make_jobs(const abi::npu::Command& command);
  Done run_jobs(std::string_view name, std::uint32_t count, std::uint64_t* latencies, std::uint64_t* run_times);
  void end_all();
  void answer(ResultMap& result) const override;
  static void add(ResultMap& entry, const Row& row);

  const Options options_;
  const std::uint64_t resolution_ns_;
  std::array<std::unique_ptr<npu::Job>, kMaxBenchDepth> jobs_;
  std::unique_ptr<std::uint64_t[]> samples_;
  kernel::BoundedArray<Row, kMaxRows> rows_;
};

std::unexpected<Refusal> no_memory() { return refuse(error::kBusy, "", "no memory for the jobs of 'npu bench'"); }

Background::Done NpuBench::work() {
  samples_.reset(new (std::nothrow) std::uint64_t[std::size_t{2} * options_.count]);
  if (samples_ == nullptr) {
    return no_memory();
  }
  for (const BenchCommand& command : npu_bench_commands()) {
    if (options_.only.empty() || options_.only == command.name) {
      if (Done done = measure(command); !done || cancelled()) {
        return done;
      }
    }
  }
  return {};
}

Background::Done NpuBench::measure(const BenchCommand& command) {
  const BenchShape shape = command.make(options_.size);
  const auto memory = ml::Memory::make(shape.bytes());
  if (!memory) {
    return refuse_npu(memory.error());
  }
  if (const kernel::Outcome known = (*memory)->enlist(npu::npu(), ml::Memory::kReadWrite); !known) {
    return refuse_npu(known.error());
  }
  const abi::npu::Command stream = shape.command((*memory)->handle());
  const auto checked = ::npu::check_command(stream, OneRegion((*memory)->bytes()), ::npu::Model{});
  kernel::require(checked.has_value(), "a benchmark of the NPU is no command");
  std::uint64_t* const latencies = samples_.get();
  std::uint64_t* const run_times = latencies + options_.count;
  Done done = make_jobs(stream);
  for (const std::uint32_t count : {std::uint32_t{1}, options_.count}) {  // the first does not count
    done = done ? run_jobs(command.name, count, latencies, run_times) : done;
  }
  end_all();  // before their memory goes
  if (!done || cancelled()) {
    return done;
  }
  const bool fits = rows_.push_back({.name = command.name,
                                     .inputs = {},
                                     .cycles = jobs_[0]->end().cycles,
                                     .bytes = checked->cost.bytes_read + checked->cost.bytes_written,
                                     .operations = shape.operations(),
                                     .latency = figures_of({latencies, options_.count}),
                                     .run = figures_of({run_times, options_.count})});
  kernel::require(fits, "more benchmarks of the NPU than there is room for");
  rows_[rows_.size() - 1].inputs.write(shape.inputs());
  return {};
}

Background::Done NpuBench::make_jobs(const abi::npu::Command& command) {
  for (std::uint32_t i = 0; i < options_.depth; ++i) {
    auto job = npu::Job::make(1);
    if (!job) {
      return no_memory();
    }
    jobs_[i] = std::move(*job);
    jobs_[i]->options = {.priority = options_.priority, .cycle_limit = options_.cycle_limit};
    kernel::require(jobs_[i]->add(command) == kernel::Status::Ok, "a job for one command has no room for it");
  }
  return {};
}

/// Keeps `depth` of them in flight, and takes their times in the order in which they were submitted.
Background::Done NpuBench::run_jobs(std::string_view name, std::uint32_t count, std::uint64_t* latencies,
                                    std::uint64_t* run_times) {
  const std::uint32_t depth = std::min(options_.depth, count);
  for (std::uint32_t i = 0; i < count + depth; ++i) {
    npu::Job& job = *jobs_[i % depth];
    if (i >= depth) {
      if (job.wait() != threads::WaitResult::Signalled) {
        return {};  // nobody wants to know any more
      }
      const npu::JobEnd& end = job.end();
      if (!end.ok()) {
        return refuse_job(name, end);
      }
      latencies[i - depth] = end.ended_ns - end.submitted_ns;
      run_times[i - depth] = end.run_ns;
    }
    if (i < count) {
      if (const kernel::Outcome taken = npu::npu().submit(job); !taken) {
        return refuse_npu(taken.error());
      }
    }
  }
  return {};
}

void NpuBench::end_all() {
  for (const auto& job : jobs_) {
    if (job != nullptr && job->in_flight()) {
      npu::npu().end(*job);
    }
  }
}

void NpuBench::add(ResultMap& entry, const Row& row) {
  entry.add("command", row.name);
  entry.add("inputs", row.inputs.view());
  entry.add("cycles", row.cycles);
  entry.add("bytes", row.bytes);
  add_figures(entry, "latency", row.latency);
  add_figures(entry, "run", row.run);
  if (row.run.median && *row.run.median != 0) {
    // Bytes and operations in a microsecond are millions of them in a second.
    entry.add("mb_per_s", row.bytes * 1000 / *row.run.median);
    if (row.operations != 0) {
      entry.add("mop_per_s", row.operations * 1000 / *row.run.median);
    }
  }
}

void NpuBench::answer(ResultMap& result) const {
  result.add("accelerator", npu::npu().info().name);
  result.add("clock_resolution_ns", resolution_ns_);
  result.add("size", options_.size);
  result.add("count", options_.count);
  result.add("depth", options_.depth);
  result.add("priority", npu::to_string(options_.priority));
  CborWriter& writer = result.key_for("results");
  writer.array(rows_.size());
  for (const Row& row : rows_) {
    ResultMap entry(writer);
    add(entry, row);
    entry.finish();
  }
}

abi::npu::Priority priority_of(std::string_view name) {
  for (unsigned i = 0; i < abi::npu::kPriorities; ++i) {
    if (npu::to_string(static_cast<abi::npu::Priority>(i)) == name) {
      return static_cast<abi::npu::Priority>(i);
    }
  }
  return abi::npu::Priority::Normal;  // the choices are these four
}

}  // namespace

HandlerResult handle_npu_bench(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  Options options{.only = {},
                  .size = static_cast<std::uint32_t>(arguments.number("size", 64)),
                  .count = static_cast<std::uint32_t>(arguments.number("count", 20)),
                  .depth = static_cast<std::uint32_t>(arguments.number("depth", 1)),
                  .priority = priority_of(arguments.text("priority", "normal")),
                  .cycle_limit = arguments.number("cycle_limit")};
  const std::string_view wanted = arguments.text("command", "all");
  if (wanted != "all") {
    const auto& table = npu_bench_commands();
    const auto found = std::ranges::find(table, wanted, &BenchCommand::name);
    if (found == table.end()) {
      return refuse(error::kNotFound, "command", "no command '{}'; 'npu bench' runs all, with their names",
                    kernel::escaped(wanted));
    }
    options.only = found->name;
  }
  if (options.size % kBenchSizeStep != 0) {
    return refuse(error::kBadArgument, "size", "size: found {}, allowed: multiples of {} up to {}", options.size,
                  kBenchSizeStep, kMaxBenchSize);
  }
  if (runs == kMaxRuns) {
    return refuse(error::kBusy, "", "{} runs measure already", kMaxRuns);
  }
  return Background::start(
      std::unique_ptr<Background>(new (std::nothrow) NpuBench(options, services.clock.resolution_ns())), "npu bench",
      caller);
}

namespace {

void write_number(kernel::TextOutput& output, const CborValue& entry, std::string_view key) {
  if (const auto value = find_cbor(entry, key)) {
    kernel::format_to(output, " {:>12}", value->number);
  } else {
    kernel::format_to(output, " {:>12}", "-");
  }
}

}  // namespace

void render_npu_bench(kernel::TextOutput& output, const CborValue& result) {
  kernel::format_to(output,
                    "On the {}: {} jobs each, {} in flight at a time. Nanoseconds; the clock's resolution is {} ns.\n"
                    "MB/s: bytes of the model in a second of 'run'; MOP/s: additions and multiplications.\n",
                    find_cbor(result, "accelerator")->text(), find_cbor(result, "count")->number,
                    find_cbor(result, "depth")->number, find_cbor(result, "clock_resolution_ns")->number);
  constexpr struct {
    std::string_view title;
    std::string_view key;
  } kColumns[] = {{"cycles", "cycles"},  {"latency", "latency_p50_ns"}, {"p99", "latency_p99_ns"},
                  {"run", "run_p50_ns"}, {"MB/s", "mb_per_s"},          {"MOP/s", "mop_per_s"}};
  kernel::format_to(output, "{:<12}", "");
  for (const auto& column : kColumns) {
    kernel::format_to(output, " {:>12}", column.title);
  }
  output.write("\n");
  CborItems entries(*find_cbor(result, "results"));
  while (const auto entry = entries.next()) {
    kernel::format_to(output, "{:<12}", find_cbor(*entry, "command")->text());
    for (const auto& column : kColumns) {
      write_number(output, *entry, column.key);
    }
    kernel::format_to(output, "  {}\n", find_cbor(*entry, "inputs")->text());
  }
}

}  // namespace guest::control
