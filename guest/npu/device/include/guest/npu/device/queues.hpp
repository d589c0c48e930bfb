// Both queues of the NPU (docs/npu-device.md): jobs, which are in the memory of who submits them, and one control
// request at a time, in memory of its own. Knows no jobs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "abi/npu.hpp"
#include "guest/drivers/dma.hpp"
#include "guest/drivers/virtio_transport.hpp"
#include "guest/drivers/virtqueue.hpp"
#include "guest/kernel/status.hpp"

namespace guest::npu {

/// One caller at a time, in any context but where it says otherwise.
class Queues {
 public:
  static constexpr std::size_t kMaxReply = sizeof(abi::npu::Counters);

  /// Both must outlive this.
  Queues(drivers::VirtioTransport& transport, drivers::DmaMemory& dma) : transport_(transport), dma_(dma) {}
  Queues(const Queues&) = delete;
  Queues& operator=(const Queues&) = delete;

  /// Negotiates and goes live, with empty queues; again after stop(). Not in interrupt handlers. Unsupported, TimedOut:
  /// see VirtioTransport::negotiate(). NotFound: a queue is missing. NoMemory. DeviceFailed.
  kernel::Status start();
  /// The device forgets everything and touches no memory any more. TimedOut: it did not confirm. As start().
  kernel::Status stop();

  /// Jobs that fit.
  [[nodiscard]] std::uint32_t job_room() const { return jobs_.size() / 2U; }
  /// False: no room, or broken.
  [[nodiscard]] bool add_job(const drivers::QueueSegment& stream, const drivers::QueueSegment& result,
                             std::uint16_t token);
  /// A reply of at most `reply_bytes`. False: broken. No other one is under way.
  [[nodiscard]] bool add_control(const abi::npu::ControlRequest& request, std::uint32_t reply_bytes);
  /// A queue has news that the device is to be told of: call tell() then, in any context and without the caller's lock.
  [[nodiscard]] bool wants_bell(std::uint16_t queue) { return queue_of(queue).take_notification(); }
  void ring_bell(std::uint16_t queue) { transport_.notify(queue); }

  [[nodiscard]] std::optional<drivers::Virtqueue::Used> take_job() { return jobs_.take_used(); }
  [[nodiscard]] bool has_job() const { return jobs_.has_used(); }
  /// The reply that has come, copied; nothing: none has.
  struct Reply {
    std::uint32_t bytes = 0;
    std::byte data[kMaxReply] = {};
  };
  [[nodiscard]] bool take_reply(Reply& reply);
  /// Asks for interrupts. True: there is something already.
  [[nodiscard]] bool arm();
  [[nodiscard]] bool broken() const { return jobs_.broken() || control_.broken(); }
  [[nodiscard]] std::string_view fault() const {
    return drivers::to_string(jobs_.broken() ? jobs_.fault() : control_.fault());
  }

 private:
  /// Of control requests, in the page behind: the reply begins here.
  static constexpr std::size_t kReplyOffset = 64;
  static_assert(sizeof(abi::npu::ControlRequest) <= kReplyOffset);

  drivers::Virtqueue& queue_of(std::uint16_t index) { return index == abi::npu::kJobQueue ? jobs_ : control_; }
  kernel::Status set_up(std::uint16_t index, bool event_idx);

  drivers::VirtioTransport& transport_;
  drivers::DmaMemory& dma_;
  drivers::Virtqueue jobs_;
  drivers::Virtqueue control_;
  drivers::DmaBuffer memory_[abi::npu::kQueues];
  drivers::DmaBuffer request_;
};

}  // namespace guest::npu
