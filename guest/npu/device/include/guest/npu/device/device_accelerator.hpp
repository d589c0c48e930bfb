// Driver of the NPU (docs/npu-driver.md; the device: docs/npu-device.md).
//
//   thread ---submit()---> budget of its server, place among the jobs in flight ---> job queue ---> device
//     ^                                                                                               |
//     +---- Job::wait() ends <---- on_interrupt(): checks the result, frees the place, gives back <---+
//                                             time that was not used, lets the next one in
//
//   Starting ---> Live <---> Resetting    a reset by request: jobs end, new ones wait
//      ^            |
//      +--- Down <--+                     no answer in time: the device is reset by its status register, all jobs end
//            |
//            +---> Failed                 nonsense, or too many of those in a row: for good
//
// A thread of its own, the watcher, looks while jobs are in flight: for results whose interrupt was lost, and for a
// device that makes no progress.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "guest/kernel/physical_memory.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "guest/kernel/threads/semaphore.hpp"
#include "guest/npu/device/accounts.hpp"
#include "guest/npu/device/answers.hpp"
#include "guest/npu/device/queues.hpp"
#include "guest/npu/npu.hpp"
#include "npu/stream/job.hpp"

namespace guest::npu {

/// In threads, but for on_interrupt(), and start(), which may be called by the idle thread. Large: give it static
/// storage.
class DeviceAccelerator final : public Npu {
 public:
  static constexpr std::uint32_t kMaxJobs = 64;  ///< in flight
  /// Of the places for jobs, one server, or all best-effort threads together, may have this part.
  static constexpr std::uint32_t kShares = 4;

  // Times are the guest's. Device and guest agree on how long a device may take (docs/npu-driver.md, Time).
  static constexpr std::uint64_t kFirstLookNs = 50'000'000;
  static constexpr std::uint64_t kLongestLookNs = 800'000'000;
  static constexpr std::uint64_t kSettleNs = 10'000'000;      ///< for an interrupt that is on its way
  static constexpr std::uint64_t kStallNs = 2'000'000'000;    ///< without progress, beside the next
  static constexpr std::uint64_t kStallFactor = 1024;         ///< of the modelled time of the longest job in flight
  static constexpr std::uint64_t kControlNs = 2'000'000'000;  ///< for the answer to a control request
  static constexpr unsigned kMaxFailures = 3;                 ///< resets without a job that ended well in between

  /// Looks at a register of the device, each of which takes a while of the host's time: under deterministic time the
  /// guest's clock jumps over all waiting, and says nothing about whether the host was given time.
  struct Patience {
    unsigned reply_looks = 1'000'000;  ///< half as many behind a wait
    unsigned settle_looks = 2'000;
  };

  /// All must outlive this. `map` is that of the kernel's memory.
  DeviceAccelerator(drivers::VirtioTransport& transport, drivers::DmaMemory& dma, kernel::DirectMap map,
                    const Patience& patience = {1'000'000, 2'000});

  /// Goes live. Attach on_interrupt() before. npu-failed: the device is left reset. Once.
  kernel::Outcome start();
  /// The body of the watcher, a thread that ends when it is asked to.
  void watch();

  /// In the interrupt.
  void on_interrupt();
  /// An InterruptHandler for Interrupts::attach(); `device` is the DeviceAccelerator.
  static void interrupt_thunk(void* device) { static_cast<DeviceAccelerator*>(device)->on_interrupt(); }

  [[nodiscard]] const Info& info() const override { return info_; }
  std::expected<std::uint32_t, kernel::NamedError> register_region(std::span<std::byte> memory,
                                                                   std::uint32_t flags) override;
  kernel::Outcome release_region(std::uint32_t handle) override;
  kernel::Outcome submit(Job& job) override;
  void abort(Job& job) override;
  kernel::Outcome reset() override;
  kernel::Outcome flush() override;
  kernel::Outcome set_power(abi::npu::Power power) override;
  std::expected<abi::npu::Counters, kernel::NamedError> read_counters() override;

 private:
  enum class State : std::uint8_t { Starting, Live, Resetting, Down, Failed };
  enum class Answer : std::uint8_t { Good, Silence, Nonsense };

  /// A place for a job in flight.
  struct Place {
    Job* job = nullptr;  ///< null: free
    Account* account = nullptr;
    std::uint64_t number = 0;  ///< of the jobs that were taken
    ExpectedResult expected;
    std::uint64_t bytes = 0;  ///< that it reads and writes, by the model
    bool abort = false;       ///< is wanted
    bool overdue = false;     ///< was aborted since the device makes no progress
  };
  /// What a job needs to be taken.
  struct Demand {
    Job& job;
    std::uint64_t cycles = 0;  ///< 0: it will be refused
    std::uint64_t bytes = 0;
    std::uint32_t epoch = 0;  ///< whose handles are in its block
    bool throttled = false;   ///< it had to wait for budget
  };
  /// How far the device was when nothing had ended for a while.
  struct Stall {
    std::uint64_t since_ns = 0;         ///< guest's clock
    std::uint64_t since_device_ns = 0;  ///< the device's
    std::uint64_t commands = 0;         ///< that the device has run by then
    std::uint64_t moved = 0;            ///< how often it has run some since a job ended
  };
  enum class Taken : std::uint8_t { Yes, NotNow, OtherHandles, TooManyServers, Failed };

  // Jobs (device_jobs.cpp).
  void hold_regions(Job& job);
  Demand measure(Job& job);
  void translate(Demand& demand);
  kernel::Outcome enqueue(Demand& demand);
  Taken try_enqueue(Demand& demand, Account*& account, std::uint64_t& until_ns);
  bool add(Demand& demand, Account& account, sched::Time now);
  static void set_deadline(Job& job, sched::Time due, sched::Time now);
  void service();
  void complete(const drivers::Virtqueue::Used& used, threads::Waking& waking);
  void end_place(Place& place, const JobEnd& end, threads::Waking& waking);
  void end_all_jobs();
  [[nodiscard]] sched::Time nanoseconds(std::uint64_t cycles) const;

  // Control requests (device_control.cpp); with mutex_.
  Answer request(const abi::npu::ControlRequest& request, std::size_t reply_bytes, Queues::Reply& reply);
  kernel::Outcome ask(const abi::npu::ControlRequest& request, std::size_t reply_bytes, Queues::Reply& reply,
                      std::string_view what);
  kernel::Outcome ask(abi::npu::ControlOp op, std::uint32_t argument, std::string_view what);
  [[nodiscard]] bool await_reply();
  [[nodiscard]] bool wait_for_reply(std::uint64_t until_ns);
  [[nodiscard]] bool poll_for_reply(unsigned looks, bool take);
  Answer query();
  Answer count_commands(std::uint64_t& commands);
  [[nodiscard]] abi::npu::ControlRequest registration(std::size_t place) const;
  Answer register_all();
  void request_abort(std::uint64_t id);
  [[nodiscard]] State state();
  void set_state(State state);
  void set_state_unless_failed(State state);
  kernel::Outcome come_back();
  static kernel::NamedError failure();

  // What goes wrong (device_recovery.cpp); with mutex_, but for the first, which is with lock_.
  void nonsense(const char* what);
  void recover(std::string_view why);
  Answer bring_up();
  void take_down();
  void give_up();
  void go_live();
  void wake_all();

  // The watcher (device_watcher.cpp).
  std::uint64_t look();
  void look_at_device();
  bool retry_aborts();
  [[nodiscard]] std::optional<std::uint64_t> waiting_result();
  void find_lost_interrupt();
  std::uint64_t look_for_stall();
  void judge_stall(std::uint64_t now_ns);
  void judge_moment(const Stall& moment);
  void abort_what_stalls();

  drivers::VirtioTransport& transport_;
  kernel::DirectMap map_;
  Patience patience_;
  Info info_;
  ::npu::Model model_;
  ::npu::JobLimits limits_;
  std::uint32_t stream_version_ = 0;

  threads::Mutex mutex_;  ///< of control requests and of what changes the device's state; before lock_
  abi::npu::Power power_ = abi::npu::Power::On;
  unsigned failures_ = 0;              ///< in a row
  std::uint64_t well_at_failure_ = 0;  ///< ended_well_ at the last one
  std::uint64_t device_ns_ = 0;        ///< what the device said last

  /// Of the queues and everything below.
  kernel::SpinLock lock_{"npu device", kernel::LockRank::NpuDevice};
  Queues queues_;
  State state_ = State::Starting;
  std::uint32_t epoch_ = 0;  ///< of the accelerator's handles
  RegionTable regions_;
  Accounts accounts_;
  std::array<Place, kMaxJobs> places_;
  std::uint32_t places_used_ = 0;
  std::uint32_t most_places_ = 0;
  std::uint64_t last_number_ = 0;
  std::uint64_t ended_ = 0;       ///< jobs, since the start
  std::uint64_t ended_well_ = 0;  ///< of those
  threads::WaitList flushers_;
  threads::WaitList requester_;  ///< who waits for the reply
  bool reply_there_ = false;
  Queues::Reply reply_;
  const char* broken_ = nullptr;  ///< what nonsense the device said

  // Of the watcher.
  threads::Semaphore watcher_;
  bool watching_ = false;         ///< with lock_: it looks from time to time
  std::uint64_t seen_ended_ = 0;  ///< ended_ at its last look
  std::uint64_t look_ns_ = 0;     ///< between the last looks; 0: it has not looked since a job came
  std::optional<Stall> stall_;
  std::atomic<bool> config_changed_{false};
};

}  // namespace guest::npu
