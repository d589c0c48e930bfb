// The NPU as a virtio device: a control queue, a job queue, and the engine behind them (docs/npu-device.md).
//
//   job queue ---> job, checked ---> Engine ---> result, in the order in which jobs end
//                  |                               |
//                  +-- refused: result at once ----+--> used ring, interrupt
//   control queue -> at once, or (abort, flush, reset, power off) when the jobs that it is about have ended
//
// What a driver does wrong has two outcomes. A request that has room for its answer gets one with status and reason. A
// queue that cannot be served, or a request without that room, is a broken driver: the device needs a reset.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/devices/npu/clock.hpp"
#include "vmm/devices/npu/counters.hpp"
#include "vmm/devices/npu/engine.hpp"
#include "vmm/devices/npu/job.hpp"
#include "vmm/devices/npu/region_table.hpp"
#include "vmm/devices/npu_options/options.hpp"
#include "vmm/virtio/device.hpp"

namespace vmm::npu {

struct DeviceConfig {
  CommandSet commands;
  Options options = {};
  Counters* counters = nullptr;             ///< where to count, outliving the device; null: in the device
  Clock* clock = nullptr;                   ///< outliving the device; null: the host's
  std::function<void()> thread_start = {};  ///< the first act of each of the device's threads; may be empty
  Limits limits = {};
  ::npu::Model model = {};
};

/// What a snapshot keeps of the device. Jobs are not kept, only what is needed to tell the driver so.
struct DeviceState {
  std::uint64_t device_ns = 0;  ///< device time
  std::uint32_t power = 0;      ///< abi::npu::Power
  std::vector<RegionState> regions;
  std::vector<std::uint16_t> control_heads;  ///< requests that are not answered
  std::vector<std::uint16_t> job_heads;      ///< jobs in flight
};

/// Knows no transport. Thread: the loop's, but for counters().
class NpuDevice final : public virtio::VirtioDevice {
 public:
  /// Starts the device's threads. `loop` outlives the device.
  static Result<std::unique_ptr<NpuDevice>> create(EventLoop& loop, const DeviceConfig& config);
  ~NpuDevice() override;

  [[nodiscard]] abi::virtio::DeviceId id() const override { return abi::virtio::DeviceId::Npu; }
  [[nodiscard]] std::uint64_t features() const override;
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return kQueueSizes; }
  [[nodiscard]] std::uint16_t required_queues() const override { return abi::npu::kQueues; }
  [[nodiscard]] std::vector<std::byte> config() const override { return {}; }
  void write_config(std::uint32_t offset, std::span<const std::byte> bytes) override;
  Result<> activate(virtio::Activation activation) override;
  /// Waits for a slice at most. Jobs in flight go on after the next activate().
  std::vector<virtio::Virtqueue> deactivate() override;
  /// Waits for a slice at most. Jobs in flight and regions are gone.
  void reset() override;
  void queue_kicked(std::uint16_t index) override;
  /// Jobs in flight go on in the old memory, which is the same to a guest that did not take it away.
  Result<> memory_changed(const std::shared_ptr<const GuestMemory>& memory) override;

  /// While it is not active.
  [[nodiscard]] DeviceState save() const;
  /// The machine has ended: what reset() does, and the guest's memory is given up. Waits for a slice at most.
  void close();
  /// Before the first activate(). Jobs and requests that were in flight end with Status::Reset then; regions stay.
  /// @return an error if no device can have been in that state
  Result<> restore(const DeviceState& state);

  /// Readable from any thread.
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  static constexpr std::array<std::uint16_t, abi::npu::kQueues> kQueueSizes{64, 256};

  /// A request that is not answered yet. Its bytes lie in `memory`.
  struct Request {
    virtio::DescriptorChain chain;
    std::shared_ptr<const GuestMemory> memory;
  };
  struct JobTicket {
    Request request;
    std::uint64_t id;
    std::uint32_t commands;
  };
  /// A control request that waits for jobs to end.
  struct Waiting {
    Request request;
    abi::npu::ControlOp op;
    std::uint64_t job;  ///< Abort: its number; Flush: that of the last one it is about
  };

  NpuDevice(EventLoop& loop, const DeviceConfig& config);
  [[nodiscard]] virtio::Virtqueue* queue(std::uint16_t index);
  void schedule();
  void serve();
  void publish(std::uint16_t index);
  void broken(std::uint16_t index, const std::string& reason);
  [[nodiscard]] bool drops_interrupt();
  void count_regions();
  void forget_regions();
  void end_restored();

  // Jobs (device_jobs.cpp).
  enum class Taken : std::uint8_t { Yes, NoRoom };
  bool serve_jobs();
  Taken take_job(virtio::Virtqueue& jobs);
  std::expected<std::unique_ptr<Job>, Outcome> read_job(const abi::npu::JobHeader& header, virtio::Reader& reader);
  void pack_weights(Job& job);
  void refuse(virtio::Virtqueue& jobs, const virtio::DescriptorChain& chain, std::uint64_t id, const Outcome& outcome);
  bool deliver();

  // Control (device_control.cpp).
  bool serve_control();
  void take_control();
  void handle(const abi::npu::ControlRequest& request);
  void register_region(const abi::npu::ControlRequest& request);
  void set_power(const abi::npu::ControlRequest& request);
  void query();
  void read_counters();
  void wait_for_jobs(abi::npu::ControlOp op, std::uint64_t job);
  [[nodiscard]] bool over(const Waiting& waiting) const;
  [[nodiscard]] bool draining() const;
  bool settle();
  void reply(abi::npu::Status status, abi::npu::Reason reason, std::uint64_t value = 0);
  void reply_bytes(std::span<const std::byte> bytes);

  EventLoop& loop_;
  DeviceConfig config_;
  Counters own_counters_;
  Counters& counters_;
  std::unique_ptr<HostClock> own_clock_;
  RegionTable regions_;
  std::unique_ptr<Engine> engine_;
  abi::npu::Power power_ = abi::npu::Power::On;

  virtio::Activation active_;  ///< no queues while not active
  bool broken_ = false;        ///< until reset()
  std::shared_ptr<const GuestMemory> memory_;
  Request current_;                             ///< that is being served
  std::vector<abi::npu::Command> commands_;     ///< of the job that is being taken; kept for its memory
  std::map<std::uint64_t, JobTicket> tickets_;  ///< jobs in flight, by number
  std::uint32_t commands_in_flight_ = 0;
  std::uint32_t commands_read_ = 0;   ///< in this turn
  std::uint64_t packing_budget_ = 0;  ///< bytes of weights that may still be packed in this turn
  std::vector<Waiting> waiting_;
  std::vector<std::uint16_t> restored_control_, restored_jobs_;  ///< heads to be answered at the next activate()
  std::uint64_t job_interrupts_ = 0;                             ///< for fault injection
  bool scheduled_ = false;
  /// Deferred work may outlive the device by a round; it looks here first.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace vmm::npu
