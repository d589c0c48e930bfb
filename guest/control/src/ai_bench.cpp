// ai_bench: inferences a second of the kernel's networks.
#include <memory>
#include <new>

#include "background.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "guest/npu/npu.hpp"
#include "ml_commands.hpp"
#include "npu/simd/kernels.hpp"
#include "npu_common.hpp"
#include "sorted_samples.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

constexpr std::string_view kAll[] = {"patterns", "shapes"};

struct Row {
  std::string_view model;
  std::string_view accelerator;
  std::uint64_t cycles = 0;
  std::uint64_t total_ns = 0;  ///< of all inferences, with what is between them
  SampleFigures latency;
  SampleFigures run;
};

class AiBench final : public Background {
 public:
  /// `only` empty: all models.
  AiBench(const kernel::Clock& clock, std::string_view only, std::uint32_t count)
      : Background(OnCancel::StopThread), clock_(clock), only_(only), count_(count) {}

 private:
  Done work() override {
    samples_.reset(new (std::nothrow) std::uint64_t[std::size_t{2} * count_]);
    std::unique_ptr<npu::CpuAccelerator> cpu;
    npu::Npu& ours = npu::npu();
    const bool has_device = ours.info().name != "cpu";
    if (has_device) {
      cpu.reset(new (std::nothrow) npu::CpuAccelerator(::npu::simd_kernels()));
    }
    if (samples_ == nullptr || (has_device && cpu == nullptr)) {
      return refuse(error::kBusy, "", "no memory for {} inferences", count_);
    }
    for (const std::string_view model : kAll) {
      if (!only_.empty() && only_ != model) {
        continue;
      }
      for (npu::Npu* const accelerator : {&ours, static_cast<npu::Npu*>(cpu.get())}) {
        if (Done done = accelerator != nullptr ? measure(model, *accelerator) : Done(); !done || cancelled()) {
          return done;
        }
      }
    }
    return {};
  }

  Done measure(std::string_view name, npu::Npu& accelerator) {
    const auto model = DemoModel::load(name, accelerator);
    if (!model) {
      return refuse_npu(model.error());
    }
    (*model)->show(0);
    ml::Inference& inference = (*model)->inference();
    std::uint64_t* const latencies = samples_.get();
    std::uint64_t* const runs = latencies + count_;
    std::uint64_t started_ns = 0;
    for (std::uint32_t i = 0; i < count_ + 1; ++i) {  // the first does not count
      started_ns = i == 1 ? clock_.now_ns() : started_ns;
      if (const kernel::Outcome ran = inference.run(); !ran) {
        return refuse_npu(ran.error());
      }
      if (cancelled()) {
        return {};
      }
      const npu::JobEnd& end = inference.job().end();
      if (i > 0) {
        latencies[i - 1] = end.ended_ns - end.submitted_ns;
        runs[i - 1] = end.run_ns;
      }
    }
    const bool fits = rows_.push_back({.model = name,
                                       .accelerator = accelerator.info().name,
                                       .cycles = inference.cycles(),
                                       .total_ns = clock_.now_ns() - started_ns,
                                       .latency = figures_of({latencies, count_}),
                                       .run = figures_of({runs, count_})});
    kernel::require(fits, "more models than there is room for");
    return {};
  }

  /// The median of the same model on the CPU, in thousandths of this one's.
  [[nodiscard]] std::optional<std::uint64_t> cpu_to_npu(const Row& row) const {
    for (const Row& other : rows_) {
      if (row.accelerator != "cpu" && other.model == row.model && other.accelerator == "cpu" && row.latency.median &&
          other.latency.median && *row.latency.median != 0) {
        return *other.latency.median * 1000 / *row.latency.median;
      }
    }
    return std::nullopt;
  }

  void answer(ResultMap& result) const override {
    result.add("clock_resolution_ns", clock_.resolution_ns());
    result.add("count", count_);
    CborWriter& writer = result.key_for("results");
    writer.array(rows_.size());
    for (const Row& row : rows_) {
      ResultMap entry(writer);
      entry.add("model", row.model);
      entry.add("accelerator", row.accelerator);
      entry.add("cycles", row.cycles);
      if (row.total_ns != 0) {
        entry.add("inferences_per_s", std::uint64_t{count_} * 1'000'000'000 / row.total_ns);
      }
      add_figures(entry, "latency", row.latency);
      add_figures(entry, "run", row.run);
      if (const auto ratio = cpu_to_npu(row)) {
        entry.add("cpu_to_npu_permille", *ratio);
      }
      entry.finish();
    }
  }

  const kernel::Clock& clock_;
  const std::string_view only_;
  const std::uint32_t count_;
  std::unique_ptr<std::uint64_t[]> samples_;
  kernel::BoundedArray<Row, 2 * std::size(kAll)> rows_;
};

}  // namespace

HandlerResult handle_ai_bench(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  const std::string_view only = arguments.has("model") ? model_name(arguments.text("model")) : std::string_view();
  return Background::start(std::unique_ptr<Background>(new (std::nothrow) AiBench(
                               services.clock, only, static_cast<std::uint32_t>(arguments.number("count", 20)))),
                           "ai_bench", caller);
}

}  // namespace guest::control
