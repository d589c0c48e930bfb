// Measures the NPU's commands on this host, through the device's engine, beside what the machine can do and what else
// runs the same (docs/npu-bench.md). tests/performance/npu_host.py starts it and makes tables of what it finds.
//
//   npu_bench [--short] [OPTIONS of Google Benchmark]
//
// Names are "machine/WHAT/THREADS" and "CASE/KERNELS/THREADS". Samples of all of them are taken in turn, so that what
// else the host does meets all alike.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "cases.hpp"
#include "device.hpp"
#include "machine.hpp"
#include "rivals.hpp"

namespace npu_bench {
namespace {

using npu::testing::Scene;

constexpr unsigned kMostThreads = 2;
constexpr double kNsPerSecond = 1e9;

/// A benchmark that takes its time itself. `run(n)` does it n times and returns the nanoseconds of that.
void measure(benchmark::State& state, std::int64_t batch, const std::function<std::uint64_t(std::uint64_t)>& run) {
  run(1);  // caches and branch predictors; what other benchmarks have driven out
  const std::int64_t each = std::min<std::int64_t>(state.max_iterations, batch);
  while (state.KeepRunningBatch(each)) {
    state.SetIterationTime(static_cast<double>(run(static_cast<std::uint64_t>(each))) / kNsPerSecond);
  }
}

benchmark::internal::Benchmark* add(const std::string& name, const std::function<void(benchmark::State&)>& function) {
  return benchmark::RegisterBenchmark(name.c_str(), function)->UseManualTime();
}

// ---- the machine ----

void add_read(const std::string& name, std::size_t bytes) {
  const Reader reader = npu_bench::reader();
  if (reader.read == nullptr) return;
  const auto memory = std::make_shared<npu::testing::Memory>();
  const std::uint32_t region = memory->add(bytes);
  for (unsigned threads = 1; threads <= kMostThreads; ++threads) {
    // A thread reads a part of its own, again and again.
    const std::size_t part = bytes / threads / reader.step * reader.step;
    add("machine/read_" + name + "/" + std::to_string(threads), [=](benchmark::State& state) {
      measure(state, INT64_MAX, [&](std::uint64_t times) {
        return run_together(threads, [&](unsigned index) {
          const std::span<const std::byte> mine = memory->bytes(region).subspan(index * part, part);
          for (std::uint64_t i = 0; i < times; ++i) reader.read(mine);
        });
      });
      state.counters["bytes"] = static_cast<double>(part * threads);
      state.SetLabel(reader.instruction);
    });
  }
}

void add_peak(const std::string& name, const Peak& peak) {
  if (peak.passes == nullptr) return;
  constexpr std::uint64_t kPasses = 1000;  // so that starting and the clock do not count
  add("machine/peak_" + name + "/1", [=](benchmark::State& state) {
    measure(state, INT64_MAX,
            [&](std::uint64_t times) { return run_together(1, [&](unsigned) { peak.passes(times * kPasses); }); });
    state.counters["operations"] = peak.operations * kPasses;
    state.SetLabel(peak.instruction);
  });
}

// ---- commands ----

/// A case with its memory.
class Subject {
 public:
  explicit Subject(const Case& what) : shape_(what.shape), scene_(what.make()) {
    const auto checked = scene_.check();
    if (!checked) throw std::runtime_error(what.name + ": the command is refused");
    command_ = *checked;
    const npu::Kernel kernel = npu::scalar_kernels().kernels[static_cast<unsigned>(command_.opcode)];
    if (kernel(command_, {.first = 0, .count = npu::partition(command_).units})) {
      throw std::runtime_error(what.name + ": the command fails");
    }
    expected_ = outputs();
  }

  [[nodiscard]] const npu::Checked& command() const { return command_; }
  [[nodiscard]] const std::string& shape() const { return shape_; }
  /// The output of what has just run is that of the scalar kernels, but for rounding.
  [[nodiscard]] bool is_right() {
    const std::vector<double> found = outputs();
    double largest = 0;
    for (const double value : expected_) largest = std::max(largest, std::abs(value));
    // Sums in f32 are off by less, and what the order of rounding changes in an i8 is one.
    const bool integers = command_.operands[0].type == abi::npu::Type::I8;
    const double allowed = std::max(largest * 1e-3, integers ? 1.0 : 0.0);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!(std::abs(found[i] - expected_[i]) <= allowed)) return false;
    }
    return true;
  }
  /// So that a kernel that writes nothing is found.
  void clear_output() {
    if (scene_.has(0)) std::ranges::fill(scene_.bytes(0), std::byte{0});
  }

 private:
  std::vector<double> outputs() {
    std::vector<double> values;
    if (!scene_.has(0)) return values;
    const npu::testing::OperandSpec& spec = scene_.spec(0);
    for (std::uint64_t row = 0; row < spec.rows; ++row) {
      for (std::uint64_t column = 0; column < spec.columns; ++column) {
        values.push_back(scene_.value(0, row, column));
      }
    }
    return values;
  }

  std::string shape_;
  Scene scene_;
  npu::Checked command_;
  std::vector<double> expected_;
};

using RunCommand = std::function<std::uint64_t(const npu::Checked&, std::uint64_t times)>;

void add_run(const std::shared_ptr<Subject>& subject, const std::string& name, std::int64_t batch,
             const RunCommand& run) {
  add(name, [=](benchmark::State& state) {
    const npu::Checked& command = subject->command();
    subject->clear_output();
    measure(state, batch, [&](std::uint64_t times) { return run(command, times); });
    // A figure of a wrong result is no figure.
    if (!subject->is_right()) state.SkipWithError("its result is not that of the scalar kernels");
    state.counters["bytes"] = static_cast<double>(command.cost.bytes_read + command.cost.bytes_written);
    state.counters["operations"] = operations_of(command);
    state.counters["cycles"] = static_cast<double>(command.cost.cycles);
    state.SetLabel(subject->shape());
  });
}

using Devices = std::map<std::string, std::shared_ptr<Device>>;

void add_case(const Case& what, const Devices& devices) {
  const auto subject = std::make_shared<Subject>(what);
  for (const auto& [name, device] : devices) {
    add_run(
        subject, what.name + "/" + name, Device::kMostCommands,
        [runner = device](const npu::Checked& command, std::uint64_t times) { return runner->run(command, times); });
  }
  for (const Rival& rival : rivals_of(subject->command())) {
    add_run(subject, what.name + "/" + rival.name + "/1", INT64_MAX,
            [rival](const npu::Checked& command, std::uint64_t times) {
              return run_together(1, [&](unsigned) {
                for (std::uint64_t i = 0; i < times; ++i) rival.run(command);
              });
            });
  }
}

/// "KERNELS/THREADS" each: the device's own set, and the scalar one where that is another.
Devices make_devices() {
  Devices devices;
  for (const npu::KernelSet* const set : {&npu::scalar_kernels(), vmm::npu::real_commands().kernels}) {
    for (unsigned threads = 1; threads <= kMostThreads; ++threads) {
      devices[std::string(set->name) + "/" + std::to_string(threads)] = std::make_shared<Device>(*set, threads);
    }
  }
  return devices;
}

/// As many bytes as the weights of cases that are compared with them have.
void add_reads(Size size) {
  const std::size_t large = size == Size::Full ? 4096 : 96, small = size == Size::Full ? 512 : 64;
  constexpr std::size_t kMemory = std::size_t{512} << 20;  // beyond what caches hold, or much of it
  for (const auto type : {abi::npu::Type::F32, abi::npu::Type::Q8_0}) {
    const std::string name = type == abi::npu::Type::F32 ? "f32" : "q8_0";
    add_read(name + "_large", large * npu::testing::row_bytes(type, large));
    add_read(name + "_small", small * npu::testing::row_bytes(type, small));
  }
  add_read("memory", size == Size::Full ? kMemory : 1 << 16);
}

void add_all(Size size) {
  add_reads(size);
  add_peak("f32", f32_peak());
  add_peak("i8", i8_peak());
  const Devices devices = make_devices();
  for (const Case& each : all_cases(size)) add_case(each, devices);
}

/// Takes `word` out of the arguments; true if it was there.
bool take(int& count, char** arguments, const char* word) {
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], word) != 0) continue;
    for (int rest = i; rest < count; ++rest) arguments[rest] = arguments[rest + 1];  // the last one is null
    --count;
    return true;
  }
  return false;
}

}  // namespace
}  // namespace npu_bench

int main(int count, char** arguments) try {
  using namespace npu_bench;
  const Size size = take(count, arguments, "--short") ? Size::Short : Size::Full;
  benchmark::Initialize(&count, arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) return 2;
  benchmark::AddCustomContext("clock_resolution_ns", std::to_string(clock_resolution_ns()));
  add_all(size);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
} catch (const std::exception& error) {
  std::cerr << "npu_bench: " << error.what() << '\n';
  return 1;
}
