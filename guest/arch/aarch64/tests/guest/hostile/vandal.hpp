// A driver of the NPU that does everything wrong, at random, and now and then something right.
//
// What must hold of the device all the same: memory that it was not given stays as it is, each answer is one that there
// is, a fault's stream offset lies in the command that it names, a region that is none is never registered, and a reset
// brings back a device that works.
#pragma once

#include <cstdint>

#include "arena.hpp"
#include "guest/drivers/virtio_transport.hpp"
#include "raw_queue.hpp"
#include "streams.hpp"

namespace guest::hostile {

struct Totals {
  std::uint64_t offered = 0;   ///< jobs
  std::uint64_t answered = 0;  ///< of them
  std::uint64_t ok = 0;        ///< of those
  std::uint64_t refused = 0;   ///< of those, for something in a command
  std::uint64_t control = 0;   ///< answers to control requests
  std::uint64_t broken = 0;    ///< how often a queue was made unusable
  std::uint64_t resets = 0;    ///< of the virtio device, those after it included
  std::uint64_t wrong = 0;     ///< what must not be; the first few are printed
};

/// In a thread, which polls: no interrupts are used.
class Vandal {
 public:
  Vandal(drivers::VirtioTransport& transport, const drivers::DmaBuffer& memory)
      : transport_(transport), arena_(memory), queues_{RawQueue(arena_.ring(0)), RawQueue(arena_.ring(1))} {}

  /// So many steps, and at the end a job that must work.
  Totals run(std::uint64_t seed, unsigned steps);

 private:
  /// What was sent in a slot.
  struct Slot {
    bool in_flight = false;
    bool touched = false;  ///< changed after it was sent: any answer will do
    bool must_fail = false;
    std::uint32_t op = 0;  ///< ControlOp
    std::uint64_t id = 0;  ///< of a job
  };
  static constexpr std::uint16_t kControl = abi::npu::kControlQueue;
  static constexpr std::uint16_t kJobs = abi::npu::kJobQueue;

  void act();
  void wrong(std::string_view what, std::uint64_t value);

  // Sending and collecting (vandal.cpp).
  void set_up(std::uint64_t features);
  [[nodiscard]] std::size_t free_slot(std::uint16_t queue);
  void send_job();
  void send_commands(std::span<const abi::npu::Command> commands, const abi::npu::JobHeader& header, std::size_t slot);
  void send_request();
  void send_request(const abi::npu::ControlRequest& request, std::size_t slot, bool must_fail = false);
  void send(std::uint16_t queue, std::size_t slot, std::uint32_t request_bytes, std::uint32_t reply_bytes);
  void register_all();
  void scribble();
  void collect();
  void check_job(const Slot& slot, std::size_t index);
  void check_reply(const Slot& slot, std::size_t index);
  template <typename Condition>
  bool wait_until(Condition condition, std::uint64_t limit_ns);
  void recover();
  void check_that_it_works();

  // Queues that no driver makes (broken_queues.cpp).
  void break_queue();
  void break_chain(RawQueue& queue, std::uint16_t index);

  drivers::VirtioTransport& transport_;
  Arena arena_;
  RawQueue queues_[2];
  Slot slots_[2][kSlots] = {};
  Handles handles_;
  std::uint32_t whole_ = 0;  ///< handle of a region of all tensors, as far as is known
  Random random_{1};
  Totals totals_;
};

}  // namespace guest::hostile
