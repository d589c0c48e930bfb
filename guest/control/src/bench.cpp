#include <array>
#include <memory>
#include <new>

#include "background.hpp"
#include "handlers.hpp"

namespace guest::control {

namespace error = abi::control::error;
using bench::Benchmark;

namespace {

constexpr std::uint32_t kWarmUp = 64;
constexpr std::size_t kSamples = 1000;
constexpr std::size_t kMaxBenchmarks = 64;

/// There is one run at a time: two would measure each other. Changed in the loop only.
constinit bool one_runs = false;

using Chosen = kernel::BoundedArray<const Benchmark*, kMaxBenchmarks>;

/// The benchmark of that name, or all of them if it is empty.
Chosen choose(const Services& services, std::string_view name) {
  Chosen chosen;
  for (const std::span<const Benchmark> list : services.benchmarks) {
    for (const Benchmark& benchmark : list) {
      if (name.empty() || benchmark.name == name) {
        kernel::require(chosen.push_back(&benchmark), "more benchmarks than a run has room for");
      }
    }
  }
  return chosen;
}

/// Measures in a thread of its own, so that the loop goes on and can be measured as well.
class BenchRun final : public Background {
 public:
  BenchRun(const Services& services, const Chosen& chosen)
      : Background(OnCancel::Flag), services_(services), chosen_(chosen) {
    one_runs = true;
  }
  ~BenchRun() override { one_runs = false; }

 private:
  /// Once it is cancelled, it ends after the benchmark that it is at.
  Done work() override {
    for (std::size_t i = 0; i < chosen_.size() && !cancelled(); ++i) {
      results_[i] = bench::run(*chosen_[i], kWarmUp, samples_, services_.interrupts);
    }
    return {};
  }

  void answer(ResultMap& result) const override {
    result.add("clock_resolution_ns", services_.clock.resolution_ns());
    result.add("warm_up", kWarmUp);
    result.add("samples", kSamples);
    CborWriter& writer = result.key_for("benchmarks");
    writer.array(chosen_.size());
    for (std::size_t i = 0; i < chosen_.size(); ++i) {
      ResultMap entry(writer);
      add(entry, *chosen_[i], results_[i]);
      entry.finish();
    }
  }

  void add(ResultMap& entry, const Benchmark& benchmark, const bench::Result& result) const {
    entry.add("name", benchmark.name);
    entry.add("measures", benchmark.measures);
    if (!result.why_not.empty()) {
      entry.add("why_not", result.why_not);
      return;
    }
    entry.add("operations", benchmark.operations);
    entry.add("min_ns", nanoseconds(result.min));
    entry.add("median_ns", nanoseconds(result.median));
    if (result.p95) {
      entry.add("p95_ns", nanoseconds(*result.p95));
    }
    if (result.p99) {
      entry.add("p99_ns", nanoseconds(*result.p99));
    }
    entry.add("max_ns", nanoseconds(result.max));
    entry.add("other_interrupts", result.other_interrupts);
  }

  [[nodiscard]] std::uint64_t nanoseconds(std::uint64_t ticks) const {
    using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(Wide{ticks} * 1'000'000'000 / services_.timer_frequency_hz);
  }

  const Services& services_;
  Chosen chosen_;
  std::array<bench::Result, kMaxBenchmarks> results_;
  std::array<std::uint64_t, kSamples> samples_{};
};

}  // namespace

HandlerResult handle_bench(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  const Chosen chosen = choose(services, arguments.text("name"));
  if (chosen.empty()) {
    return refuse(error::kNotFound, "name", "no benchmark '{}'; 'bench' runs all, with their names",
                  kernel::escaped(arguments.text("name")));
  }
  if (one_runs) {
    return refuse(error::kBusy, "", "another run measures already");
  }
  return Background::start(std::unique_ptr<Background>(new (std::nothrow) BenchRun(services, chosen)), "bench", caller);
}

namespace {

/// Of a sample of `operations`, what one takes, to a tenth: "83.4".
void write_each(kernel::TextOutput& output, const CborValue& entry, std::string_view key, std::uint64_t operations) {
  const auto ns = find_cbor(entry, key);
  kernel::FixedText<32> text;
  if (ns) {
    const std::uint64_t tenths = ns->number / operations * 10 + ns->number % operations * 10 / operations;
    kernel::format_to(text, "{}.{}", tenths / 10, tenths % 10);
  } else {
    text.write("-");
  }
  kernel::format_to(output, " {:>10}", text.view());
}

void write_row(kernel::TextOutput& output, const CborValue& entry) {
  kernel::format_to(output, "{:<12}", find_cbor(entry, "name")->text());
  if (const auto why_not = find_cbor(entry, "why_not")) {
    kernel::format_to(output, " not measured: {}\n", why_not->text());
    return;
  }
  const std::uint64_t operations = find_cbor(entry, "operations")->number;
  for (const std::string_view key : {"min_ns", "median_ns", "p95_ns", "p99_ns", "max_ns"}) {
    write_each(output, entry, key, operations);
  }
  kernel::format_to(output, " {:>6} {:>7}  {}\n", operations, find_cbor(entry, "other_interrupts")->number,
                    find_cbor(entry, "measures")->text());
}

}  // namespace

void render_bench(kernel::TextOutput& output, const CborValue& result) {
  kernel::format_to(
      output,
      "Nanoseconds for one, of {} samples after {}; the clock's resolution is {} ns. A sample does so many "
      "at a\ntime as 'each' says; 'others' is interrupts that were not the benchmark's.\n",
      find_cbor(result, "samples")->number, find_cbor(result, "warm_up")->number,
      find_cbor(result, "clock_resolution_ns")->number);
  kernel::format_to(output, "{:<12} {:>10} {:>10} {:>10} {:>10} {:>10} {:>6} {:>7}\n", "", "min", "median", "p95",
                    "p99", "max", "each", "others");
  CborItems entries(*find_cbor(result, "benchmarks"));
  while (const auto entry = entries.next()) {
    write_row(output, *entry);
  }
}

}  // namespace guest::control
