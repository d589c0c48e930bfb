// A device for tests of the driver: runs jobs in a time that the test chooses, and breaks every promise where it is to.
// It is a thread of the fake CPU 0, so its time is that of the test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "guest/drivers/testing/fake_queue_device.hpp"
#include "guest/kernel/threads/semaphore.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/npu/device/device_accelerator.hpp"

namespace guest::npu::testing {

using abi::npu::ControlOp;
using abi::npu::Reason;
using abi::npu::Status;
using drivers::testing::FakeQueueDevice;
using drivers::testing::TestMemory;
using kernel::Result;

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

class FakeNpu final : public drivers::VirtioTransport {
 public:
  explicit FakeNpu(TestMemory& memory) : memory_(memory) {
    info.stream_version = abi::npu::kStreamVersion;
    info.max_jobs = 64;
    info.max_commands = 4096;
    info.max_regions = 256;
    info.max_job_cycles = 16'000'000'000;
    info.max_command_cycles = 4'000'000'000;
    info.clock_hz = 1'000'000'000;
    info.bytes_per_cycle = 32;
    info.f32_macs_per_cycle = 64;
    info.i8_macs_per_cycle = 256;
    info.f32_ops_per_cycle = 16;
    info.opcodes = 1;
  }

  // ---- What a test chooses.
  abi::npu::DeviceInfo info{};
  std::uint64_t job_ns = 1'000;    ///< that each takes
  bool holds_jobs = false;         ///< none ends, but by abort and reset
  bool answers_control = true;     ///< from the start on
  unsigned control_answers = ~0U;  ///< so many more
  unsigned drops_interrupts = 0;   ///< so many of the next
  bool resets = true;              ///< confirms a reset
  bool aborts = true;              ///< an aborted job ends
  bool knows_jobs = true;          ///< when they are to be aborted
  std::uint64_t commands_run = 77;
  std::uint64_t commands_each_time = 0;  ///< so many more each time that it is asked
  bool clock_stands = false;             ///< its own
  bool wants_reset = false;              ///< DEVICE_NEEDS_RESET
  std::function<void(abi::npu::JobResult&, std::uint32_t& written)> spoil_result;
  std::function<void(ControlOp, std::span<std::byte>, std::uint32_t& written)> spoil_reply;
  std::function<void()> instead_of_work;  ///< of the device, each time that it is woken

  // ---- What a test looks at.
  unsigned negotiations = 0;
  bool failed = false;
  bool live = false;
  std::vector<ControlOp> requests;
  std::vector<abi::npu::JobHeader> jobs;    ///< in the order in which they came
  std::vector<abi::npu::Command> commands;  ///< of the last one
  std::map<std::uint32_t, abi::npu::ControlRequest> regions;
  [[nodiscard]] std::size_t in_flight() const { return running_.size(); }
  FakeQueueDevice& queue(std::uint16_t index) { return *queues_[index]; }

  void run(DeviceAccelerator& driver) {
    driver_ = &driver;
    thread_ = threads::start("device", [this] { work(); });
  }
  void stop() {
    thread_->request_stop();
    threads::run_until_idle();
  }
  void interrupt() {
    if (drops_interrupts != 0) {
      --drops_interrupts;
      return;
    }
    causes_ |= abi::virtio::mmio::kInterruptVring;
    driver_->on_interrupt();
  }
  void ask_for_reset() {
    wants_reset = true;
    causes_ |= abi::virtio::mmio::kInterruptConfig;
    driver_->on_interrupt();
  }
  /// Ends the oldest job that runs.
  void finish_first(Status status = Status::Ok, Reason reason = Reason::None) {
    Running job = running_.front();
    running_.erase(running_.begin());
    push_result(job, status, reason);
  }

  void finish_newest() {
    const Running job = running_.back();
    running_.pop_back();
    push_result(job, Status::Ok, Reason::None);
  }

  // ---- VirtioTransport
  Result<std::uint64_t> negotiate(std::uint64_t wanted) override {
    ++negotiations;
    forget();
    namespace feature = abi::virtio::feature;
    features_ = wanted | feature::bit(feature::kVersion1);
    return features_;
  }
  std::uint32_t max_queue_size(std::uint16_t index) override { return index < abi::npu::kQueues ? 256 : 0; }
  kernel::Status activate_queue(std::uint16_t index, const drivers::QueueAddresses& queue) override {
    namespace feature = abi::virtio::feature;
    queues_[index].emplace(memory_, queue, (features_ & feature::bit(feature::kRingEventIdx)) != 0);
    return kernel::Status::Ok;
  }
  kernel::Status set_driver_ok() override {
    live = true;
    return kernel::Status::Ok;
  }
  void set_failed() override { failed = true; }
  kernel::Status reset() override {
    forget();
    return resets ? kernel::Status::Ok : kernel::Status::TimedOut;
  }
  bool needs_reset() override { return wants_reset; }
  void notify(std::uint16_t) override {
    EXPECT_TRUE(live) << "notified before DRIVER_OK";
    bell_.signal();
  }
  std::uint32_t acknowledge_interrupt() override { return std::exchange(causes_, 0); }
  kernel::Status read_config(std::uint32_t, std::span<std::byte>) override { return kernel::Status::Unsupported; }

 private:
  struct Running {
    FakeQueueDevice::Chain chain;
    abi::npu::JobHeader header;
    std::uint64_t arrived_ns = 0;
    std::uint64_t due_ns = 0;
  };

  void forget() {
    running_.clear();
    regions.clear();
    for (auto& each : queues_) each.reset();
    live = false;
    wants_reset = false;
  }

  void work() {
    while (!threads::current_thread().stop_requested()) {
      (void)bell_.wait(next_due());
      if (instead_of_work) {
        instead_of_work();
      } else if (live) {
        take_jobs();
        end_jobs();
        take_requests();
      }
    }
  }

  [[nodiscard]] std::uint64_t next_due() const {
    std::uint64_t due = threads::kForever;
    for (const Running& job : running_) due = std::min(due, holds_jobs ? threads::kForever : job.due_ns);
    return due;
  }

  void take_jobs() {
    while (running_.size() < info.max_jobs) {
      auto chain = queue(abi::npu::kJobQueue).take();
      if (!chain) break;
      const std::vector<std::byte> stream = queue(abi::npu::kJobQueue).read(*chain);
      Running job{.chain = *chain, .header = {}, .arrived_ns = threads::now_ns(), .due_ns = 0};
      ASSERT_GE(stream.size(), sizeof(job.header));
      std::memcpy(&job.header, stream.data(), sizeof(job.header));
      ASSERT_EQ(stream.size(), sizeof(job.header) + job.header.commands * sizeof(abi::npu::Command));
      commands.resize(job.header.commands);
      if (!commands.empty()) std::memcpy(commands.data(), stream.data() + sizeof(job.header), stream.size() - 64);
      job.due_ns = job.arrived_ns + job_ns;
      jobs.push_back(job.header);
      running_.push_back(job);
    }
    queue(abi::npu::kJobQueue).want_kicks(true);
  }

  void end_jobs() {
    while (!holds_jobs) {
      const auto due =
          std::ranges::find_if(running_, [](const Running& job) { return job.due_ns <= threads::now_ns(); });
      if (due == running_.end()) return;
      const Running job = *due;
      running_.erase(due);
      push_result(job, Status::Ok, Reason::None);
      if (!live) return;
    }
  }

  void push_result(const Running& job, Status status, Reason reason) {
    abi::npu::JobResult result{};
    result.status = static_cast<std::uint32_t>(status);
    result.reason = static_cast<std::uint32_t>(reason);
    result.id = job.header.id;
    result.command = abi::npu::kNoCommand;
    result.cycles = status == Status::Ok ? cycles_of_job : 0;
    result.arrived_ns = job.arrived_ns;
    result.started_ns = job.arrived_ns;
    result.finished_ns = threads::now_ns();
    std::uint32_t written = sizeof(result);
    if (spoil_result) spoil_result(result, written);
    (void)queue(abi::npu::kJobQueue).write(job.chain, bytes_of(result));
    queue(abi::npu::kJobQueue).push_used(job.chain.head, written);
    if (queue(abi::npu::kJobQueue).take_interrupt()) interrupt();
  }

  void take_requests() {
    while (live && answers_control && control_answers != 0) {
      auto chain = queue(abi::npu::kControlQueue).take();
      if (!chain) break;
      const std::vector<std::byte> bytes = queue(abi::npu::kControlQueue).read(*chain);
      abi::npu::ControlRequest request{};
      ASSERT_EQ(bytes.size(), sizeof(request));
      std::memcpy(&request, bytes.data(), sizeof(request));
      requests.push_back(static_cast<ControlOp>(request.op.value()));
      --control_answers;
      answer(*chain, request);
    }
    if (live) queue(abi::npu::kControlQueue).want_kicks(true);
  }

  void answer(const FakeQueueDevice::Chain& chain, const abi::npu::ControlRequest& request) {
    const auto op = static_cast<ControlOp>(request.op.value());
    abi::npu::ControlReply reply{};
    switch (op) {
      case ControlOp::Query:
        info.device_ns = clock_stands ? 1 : threads::now_ns();
        return push_reply(op, chain, bytes_of(info));
      case ControlOp::ReadCounters: {
        abi::npu::Counters counters{};
        counters.commands = commands_run += commands_each_time;
        return push_reply(op, chain, bytes_of(counters));
      }
      case ControlOp::RegisterRegion:
        reply.value = ++last_region_;
        regions[last_region_] = request;
        break;
      case ControlOp::ReleaseRegion:
        EXPECT_EQ(regions.erase(request.argument), 1U);
        break;
      case ControlOp::Abort:
        reply = abort(request.address);
        break;
      case ControlOp::Reset:
        while (!running_.empty()) finish_first(Status::Reset, Reason::DeviceReset);
        regions.clear();
        break;
      case ControlOp::SetPower:
        if (request.argument == static_cast<std::uint32_t>(abi::npu::Power::Off)) regions.clear();
        break;
      default:
        ADD_FAILURE() << "request " << request.op;
    }
    push_reply(op, chain, bytes_of(reply));
  }

  abi::npu::ControlReply abort(std::uint64_t id) {
    abi::npu::ControlReply reply{};
    const auto job = std::ranges::find_if(running_, [id](const Running& each) { return each.header.id == id; });
    if (job == running_.end() || !knows_jobs) {
      reply.status = static_cast<std::uint32_t>(Status::Parse);
      reply.reason = static_cast<std::uint32_t>(Reason::UnknownJob);
    } else if (aborts) {
      const Running aborted = *job;
      running_.erase(job);
      push_result(aborted, Status::Aborted, Reason::AbortRequest);
    }
    return reply;
  }

  void push_reply(ControlOp op, const FakeQueueDevice::Chain& chain, std::span<const std::byte> bytes) {
    std::vector<std::byte> copy(bytes.begin(), bytes.end());
    auto written = static_cast<std::uint32_t>(copy.size());
    if (spoil_reply) spoil_reply(op, copy, written);
    (void)queue(abi::npu::kControlQueue).write(chain, copy);
    queue(abi::npu::kControlQueue).push_used(chain.head, written);
    if (queue(abi::npu::kControlQueue).take_interrupt()) interrupt();
  }

 public:
  std::uint64_t cycles_of_job = 0;  ///< that results report

 private:
  TestMemory& memory_;
  DeviceAccelerator* driver_ = nullptr;
  threads::ThreadRef thread_;
  threads::Semaphore bell_;
  std::uint64_t features_ = 0;
  std::uint32_t causes_ = 0;
  std::uint32_t last_region_ = 0x1000;
  std::optional<FakeQueueDevice> queues_[abi::npu::kQueues];
  std::vector<Running> running_;
};

/// The driver on that device, started.
class DeviceFixture : public ::testing::Test {
 protected:
  DeviceFixture() {
    memory.whole_process = true;
    driver = std::make_unique<DeviceAccelerator>(device, memory, memory.map(),
                                                 DeviceAccelerator::Patience{.reply_looks = 10, .settle_looks = 10});
    device.run(*driver);
  }
  ~DeviceFixture() override {
    if (watcher) watcher->request_stop();
    device.stop();
    threads::run_until_idle();
  }
  void start_driver() {
    in_thread([&] { ASSERT_TRUE(driver->start()); });
    watcher = threads::start("watcher", [&] { driver->watch(); });
    threads::run_until_idle();
  }
  /// The body in a thread, until nothing happens any more.
  static void in_thread(std::function<void()> body, sched::Server* server = nullptr) {
    threads::start("test", std::move(body), 0, server);
    threads::run_until_idle();
  }

  TestMemory memory{1 << 20};
  FakeNpu device{memory};
  std::unique_ptr<DeviceAccelerator> driver;
  threads::ThreadRef watcher;
};

}  // namespace guest::npu::testing
