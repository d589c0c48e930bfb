// npudemo: one job of the NPU, step by step, with what each step shows.
#include <cstring>
#include <memory>
#include <new>

#include "background.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/ml/memory.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/names.hpp"
#include "guest/npu/npu.hpp"
#include "npu_commands.hpp"
#include "npu_common.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

using abi::npu::Opcode;
using abi::npu::Type;

// out[m, n] = sum over k of in[m, k] * weight[n, k], i8 to i32.
constexpr std::uint32_t kRows = 16;
constexpr std::uint32_t kOuter = 32;
constexpr std::uint32_t kInner = 64;
constexpr std::uint32_t kNumbers = kRows * kOuter;
constexpr std::size_t kOutBytes = std::size_t{kRows} * kOuter * sizeof(std::int32_t);
constexpr std::size_t kInBytes = std::size_t{kRows} * kInner;
constexpr std::size_t kWeightBytes = std::size_t{kOuter} * kInner;

abi::npu::Command multiplication(std::uint32_t region) {
  abi::npu::Command command{};
  command.opcode = static_cast<std::uint16_t>(Opcode::Gemm);
  constexpr Type kTypes[] = {Type::I32, Type::I8, Type::I8};
  constexpr std::size_t kOffsets[] = {0, kOutBytes, kOutBytes + kInBytes};
  for (unsigned i = 0; i < 3; ++i) {
    command.types[i] = static_cast<std::uint8_t>(kTypes[i]);
    command.operands[i].region = region;
    command.operands[i].offset = kOffsets[i];
  }
  constexpr std::uint32_t kDims[] = {kRows, kOuter, kInner};
  for (unsigned i = 0; i < 3; ++i) {
    command.dims[i] = kDims[i];
  }
  return command;
}

/// Numbers from -128 to 127, which look like no pattern.
void fill(std::span<std::byte> bytes) {
  std::uint32_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525 + 1013904223;  // Numerical Recipes, "An Even Quicker Generator"
    byte = static_cast<std::byte>(state >> 24);
  }
}

std::int32_t number(std::span<const std::byte> bytes, std::size_t at) { return static_cast<std::int8_t>(bytes[at]); }

class NpuDemo final : public Background {
 public:
  explicit NpuDemo(const kernel::Clock& clock) : Background(OnCancel::StopThread), clock_(clock) {}

 private:
  struct Step {
    std::uint64_t time_ns;
    std::string_view name;
    kernel::FixedText<160> what;
  };
  static constexpr std::size_t kMaxSteps = 8;

  template <typename... Args>
  void step(std::string_view name, kernel::format_detail::Checked<Args...> format, const Args&... args) {
    if (steps_.push_back({.time_ns = clock_.now_ns(), .name = name, .what = {}})) {
      kernel::format_to<Args...>(steps_[steps_.size() - 1].what, format, args...);
    }
  }

  Done work() override {
    step("accelerator", "{}", npu::npu().info().name);
    const auto memory = ml::Memory::make(kOutBytes + kInBytes + kWeightBytes);
    if (!memory) {
      return refuse_npu(memory.error());
    }
    const std::span<std::byte> bytes = (*memory)->bytes();
    fill(bytes.subspan(kOutBytes, kInBytes + kWeightBytes));
    if (const kernel::Outcome known = (*memory)->enlist(npu::npu(), ml::Memory::kReadWrite); !known) {
      return refuse_npu(known.error());
    }
    step("region", "handle {:#x}, {} bytes", (*memory)->handle(), bytes.size());
    if (Done done = run((*memory)->handle()); !done) {
      return done;
    }
    return check(bytes);
  }

  Done run(std::uint32_t region) {
    auto job = npu::Job::make(1);
    if (!job) {
      return refuse(error::kBusy, "", "no memory for the job of 'npudemo'");
    }
    kernel::require((*job)->add(multiplication(region)) == kernel::Status::Ok, "a job for one command has no room");
    const std::uint64_t interrupts = npu::metrics().interrupts.value();
    step("submit", "gemm, [{}, {}] x [{}, {}] of i8, to i32", kRows, kInner, kOuter, kInner);
    if (const kernel::Outcome taken = npu::npu().submit(**job); !taken) {
      return refuse_npu(taken.error());
    }
    if ((*job)->wait() != threads::WaitResult::Signalled) {
      npu::npu().end(**job);
    }
    const npu::JobEnd& end = (*job)->end();
    const std::uint64_t taken = npu::metrics().interrupts.value() - interrupts;
    step("interrupt", "{} taken, the job's thread runs on", taken);
    if (!end.ok()) {
      return refuse_job("npudemo", end);
    }
    step("result", "job {}: {}, {} cycles, {} ns of the accelerator, {} ns from submission to end", end.id,
         npu::to_string(end.status), end.cycles, end.run_ns, end.ended_ns - end.submitted_ns);
    return {};
  }

  /// With the CPU's own multiplications.
  Done check(std::span<const std::byte> bytes) {
    const auto in = bytes.subspan(kOutBytes, kInBytes);
    const auto weight = bytes.subspan(kOutBytes + kInBytes, kWeightBytes);
    std::uint32_t wrong = 0;
    for (std::size_t m = 0; m < kRows; ++m) {
      for (std::size_t n = 0; n < kOuter; ++n) {
        std::int32_t expected = 0;
        for (std::size_t k = 0; k < kInner; ++k) {
          expected += number(in, m * kInner + k) * number(weight, n * kInner + k);
        }
        std::int32_t found = 0;
        std::memcpy(&found, &bytes[(m * kOuter + n) * sizeof found], sizeof found);
        wrong += found != expected ? 1 : 0;
      }
    }
    step("check", "{} numbers, {} are not what the CPU finds", kNumbers, wrong);
    if (wrong != 0) {
      return refuse(error::kFailed, "", "npudemo: {} of {} numbers are not what the CPU finds", wrong, kNumbers);
    }
    return {};
  }

  void answer(ResultMap& result) const override {
    CborWriter& writer = result.key_for("steps");
    writer.array(steps_.size());
    for (const Step& each : steps_) {
      ResultMap entry(writer);
      entry.add("time_ns", each.time_ns);
      entry.add("step", each.name);
      entry.add("what", each.what.view());
      entry.finish();
    }
    result.add("numbers", kNumbers);
    result.add_bool("right", true);  // or it would have been refused
  }

  const kernel::Clock& clock_;
  kernel::BoundedArray<Step, kMaxSteps> steps_;
};

}  // namespace

HandlerResult handle_npudemo(Services& services, const Arguments&, Caller& caller, ResultMap&) {
  return Background::start(std::unique_ptr<Background>(new (std::nothrow) NpuDemo(services.clock)), "npudemo", caller);
}

}  // namespace guest::control
