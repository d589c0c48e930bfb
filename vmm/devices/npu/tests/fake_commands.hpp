// Commands for tests, in the real layout: small ones whose results, times and faults a test can foresee.
//
//   opcode   dims[0]  units
//            dims[1]  modelled cycles of the command
//   Nop      nothing
//   Copy     output: unit i is the 32-bit number value_of(i)
//   Add      each unit takes 200 us
//   Mul      the command waits until Gate::open()
//   Gelu     fails with Reason::IndexRange
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <expected>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "vmm/devices/npu/clock.hpp"
#include "vmm/devices/npu/job.hpp"

namespace vmm::npu::testing {

/// What commands of the opcode Mul wait for.
class Gate {
 public:
  static Gate& instance() {
    static Gate gate;
    return gate;
  }
  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
    waiting_ = 0;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  /// Until somebody waits to pass, or has passed.
  void wait_for_somebody() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ != 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  unsigned waiting_ = 0;
};

inline std::uint32_t value_of(std::uint64_t unit) { return static_cast<std::uint32_t>(unit * 2654435761u + 1); }

/// Units of Add that have run; also how a test sees that none runs any more.
inline std::atomic<std::uint64_t> units_run{0};
/// Threads that have run some of them.
inline std::atomic<unsigned> threads_seen{0};
inline void see_thread() {
  thread_local bool seen = false;
  if (!std::exchange(seen, true)) ++threads_seen;
}

inline std::expected<::npu::Checked, ::npu::Fault> check_one(const abi::npu::Command& command,
                                                             const ::npu::Regions& regions, const ::npu::Model& model) {
  using abi::npu::Reason;
  using abi::npu::Status;
  constexpr std::uint64_t kKnown =
      1u << static_cast<unsigned>(abi::npu::Opcode::Nop) | 1u << static_cast<unsigned>(abi::npu::Opcode::Copy) |
      1u << static_cast<unsigned>(abi::npu::Opcode::Add) | 1u << static_cast<unsigned>(abi::npu::Opcode::Mul) |
      1u << static_cast<unsigned>(abi::npu::Opcode::Gelu);
  if (command.opcode >= abi::npu::kOpcodes || (kKnown >> command.opcode & 1) == 0)
    return std::unexpected(::npu::Fault{Status::Parse, Reason::Opcode, 0});
  ::npu::Checked checked;
  checked.opcode = static_cast<abi::npu::Opcode>(command.opcode.value());
  for (std::size_t i = 0; i < checked.dims.size(); ++i) checked.dims[i] = command.dims[i];
  checked.cost.cycles = checked.dims[1];
  checked.cost.compute_cycles = checked.dims[1] / 2;
  checked.cost.memory_cycles = checked.dims[1];
  if (checked.cost.cycles > model.max_command_cycles) {
    return std::unexpected(::npu::Fault{Status::Budget, Reason::CommandCycles, 0});
  }
  const abi::npu::TensorRef& output = command.operands[0];
  if (output.region == abi::npu::kNoRegion) return checked;
  const ::npu::Region* const region = regions.find(output.region);
  const std::uint64_t bytes = std::uint64_t{4} * checked.dims[0];
  if (region == nullptr) return std::unexpected(::npu::Fault{Status::Region, Reason::UnknownRegion, 24});
  if ((region->flags & abi::npu::region_flag::kWrite) == 0) {
    return std::unexpected(::npu::Fault{Status::Region, Reason::ReadOnlyRegion, 24});
  }
  if (bytes > region->bytes || output.offset > region->bytes - bytes) {
    return std::unexpected(::npu::Fault{Status::Region, Reason::OutsideRegion, 16});
  }
  checked.operands[0] = {.data = region->base + output.offset.value(),
                         .row_stride = bytes,
                         .rows = 1,
                         .row_bytes = bytes,
                         .region = output.region};
  checked.cost.bytes_written = bytes;
  return checked;
}

/// check_job() of npu/stream, with check_one().
inline std::expected<::npu::Cost, ::npu::JobFault> check(const abi::npu::JobHeader& header,
                                                         std::span<const abi::npu::Command> commands,
                                                         const ::npu::Regions& regions, const ::npu::Model& model,
                                                         const ::npu::JobLimits& limits,
                                                         std::span<::npu::Checked> checked) {
  const std::uint64_t limit = header.cycle_limit != 0 ? header.cycle_limit.value() : limits.max_cycles;
  ::npu::Cost sum;
  for (std::uint32_t i = 0; i < commands.size(); ++i) {
    const auto one = check_one(commands[i], regions, model);
    if (!one) return std::unexpected(::npu::JobFault{.fault = one.error(), .command = i});
    checked[i] = *one;
    sum.cycles += one->cost.cycles;
    if (sum.cycles > limit) {
      return std::unexpected(
          ::npu::JobFault{.fault = {abi::npu::Status::Budget, abi::npu::Reason::CycleLimit}, .command = i});
    }
  }
  return sum;
}

inline ::npu::Partition partition(const ::npu::Checked& command) {
  ::npu::Partition made{};
  made.units = command.dims[0];
  return made;
}

inline const ::npu::KernelSet& kernels() {
  using Failure = std::optional<abi::npu::Reason>;
  static const ::npu::KernelSet set = [] {
    ::npu::KernelSet made{.name = "test", .kernels = {}};
    const auto of = [&made](abi::npu::Opcode opcode) -> ::npu::Kernel& {
      return made.kernels[static_cast<std::size_t>(opcode)];
    };
    of(abi::npu::Opcode::Nop) = [](const ::npu::Checked&, ::npu::Units) -> Failure { return std::nullopt; };
    of(abi::npu::Opcode::Copy) = [](const ::npu::Checked& command, ::npu::Units units) -> Failure {
      for (std::uint64_t i = units.first; i < units.first + units.count; ++i) {
        const std::uint32_t value = value_of(i);
        if (command.operands[0].data != nullptr) std::memcpy(command.operands[0].data + 4 * i, &value, sizeof value);
      }
      return std::nullopt;
    };
    of(abi::npu::Opcode::Add) = [](const ::npu::Checked&, ::npu::Units units) -> Failure {
      see_thread();
      for (std::uint64_t i = 0; i < units.count; ++i) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        ++units_run;
      }
      return std::nullopt;
    };
    of(abi::npu::Opcode::Mul) = [](const ::npu::Checked&, ::npu::Units) -> Failure {
      Gate::instance().pass();
      return std::nullopt;
    };
    of(abi::npu::Opcode::Gelu) = [](const ::npu::Checked&, ::npu::Units) -> Failure {
      return abi::npu::Reason::IndexRange;
    };
    return made;
  }();
  return set;
}

inline CommandSet command_set() { return {.check = check, .partition = partition, .kernels = &kernels()}; }

/// A command in the driver's bytes.
inline abi::npu::Command command(abi::npu::Opcode opcode, std::uint32_t units, std::uint32_t cycles = 1000,
                                 std::uint32_t region = abi::npu::kNoRegion, std::uint64_t offset = 0) {
  abi::npu::Command made{};
  made.opcode = static_cast<std::uint16_t>(opcode);
  made.dims[0] = units;
  made.dims[1] = cycles;
  made.operands[0].region = region;
  made.operands[0].offset = offset;
  return made;
}

/// Time that only a test moves.
class FakeClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return now_ns_; }
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, std::uint64_t until_ns) override {
    if (now_ns_ >= until_ns) return;
    // A little at a time, instead of being told: whoever moves the time does not know the waiter's mutex.
    changed.wait_for(lock, std::chrono::milliseconds(1));
  }
  void go_on_from(std::uint64_t now_ns) override { now_ns_ = now_ns; }
  void advance(std::chrono::nanoseconds time) { now_ns_ += static_cast<std::uint64_t>(time.count()); }

 private:
  std::atomic<std::uint64_t> now_ns_{1'000'000};
};

}  // namespace vmm::npu::testing
