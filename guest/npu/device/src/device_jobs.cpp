// Jobs: in, and back.
#include <algorithm>
#include <cstring>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/npu/device/device_accelerator.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/modelled_time.hpp"

namespace guest::npu {
namespace {

using abi::npu::Command;
using abi::npu::JobHeader;
using abi::npu::JobResult;
using kernel::Outcome;
using sched::Time;

/// A handle that no region has: what a job names that there is not.
constexpr std::uint32_t kNobody = ~std::uint32_t{0};
/// Commands that are looked through at once with interrupts masked.
constexpr std::size_t kCommandsAtOnce = 32;

}  // namespace

Time DeviceAccelerator::nanoseconds(std::uint64_t cycles) const {
  const std::uint64_t ns = modelled_ns(cycles, model_.clock_hz);
  return static_cast<Time>(std::min<std::uint64_t>(ns, static_cast<std::uint64_t>(sched::kMaxPeriod)));
}

// ---- In

Outcome DeviceAccelerator::submit(Job& job) {
  begin(job);
  hold_regions(job);
  Demand demand = measure(job);
  Outcome taken = enqueue(demand);
  if (!taken) {
    regions_.release(regions(job));
    take_back(job);
  }
  return taken;
}

/// Those that the job names: what it named before, if nothing has changed since.
void DeviceAccelerator::hold_regions(Job& job) {
  auto& known = Npu::known(job);
  std::uint64_t version = 0;
  {
    const kernel::SpinGuard guard(lock_);
    version = regions_.version();
    if (known.table == &regions_ && known.version == version) {
      regions(job) = known.named;
      regions_.hold(known.named);
      return;
    }
  }
  regions(job) = {};
  for (auto left = commands(job); !left.empty(); left = left.subspan(std::min(kCommandsAtOnce, left.size()))) {
    const kernel::SpinGuard guard(lock_);
    regions_.hold(left.first(std::min(kCommandsAtOnce, left.size())), regions(job));
  }
  // A table that has changed meanwhile has another version by now.
  known.table = &regions_;
  known.version = version;
  known.named = regions(job);
  for (std::uint32_t i = 0; i < commands(job).size(); ++i) {
    known.commands[i].translated = false;
  }
}

/// What the job costs by the model: the sum of its commands', of which those that have changed are looked at.
DeviceAccelerator::Demand DeviceAccelerator::measure(Job& job) {
  Demand demand{.job = job};
  // What the driver would refuse the device refuses too, and says why.
  if (!::npu::check_job_header(header(job), limits_)) {
    return demand;
  }
  const HeldRegions held(regions_, regions(job));
  const auto stream = commands(job);
  const std::uint64_t most = ::npu::cycle_limit(header(job), limits_);
  std::uint64_t cycles = 0;
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < stream.size(); ++i) {
    auto& each = known(job).commands[i];
    if (!each.measured) {
      const auto command = ::npu::check_command(stream[i], held, model_);
      if (!command) {
        return demand;
      }
      // Neither sum overflows: both are bounded by the cycles that a command may have, and those of a job.
      each.cycles = command->cost.cycles;
      each.bytes = command->cost.bytes_read + command->cost.bytes_written;
      each.measured = true;
    }
    cycles += each.cycles;
    bytes += each.bytes;
    if (cycles > most) {
      return demand;
    }
  }
  demand.cycles = cycles;
  demand.bytes = bytes;
  return demand;
}

/// Writes the commands as the device is to see them, those that it does not have yet.
void DeviceAccelerator::translate(Demand& demand) {
  {
    const kernel::SpinGuard guard(lock_);
    demand.epoch = epoch_;
  }
  auto& known = Npu::known(demand.job);
  const bool same_handles = known.epoch == demand.epoch;
  known.epoch = demand.epoch;
  const HeldRegions held(regions_, regions(demand.job));
  const auto stream = commands(demand.job);
  std::byte* to = block(demand.job).commands.data();
  for (std::uint32_t i = 0; i < stream.size(); ++i, to += sizeof(Command)) {
    if (same_handles && known.commands[i].translated) {
      continue;
    }
    Command command = stream[i];
    for (abi::npu::TensorRef& operand : command.operands) {
      if (operand.region != abi::npu::kNoRegion) {
        const bool there = held.find(operand.region) != nullptr;
        operand.region = there ? regions_.accelerator_handle(RegionTable::place_of(operand.region)) : kNobody;
      }
    }
    std::memcpy(to, &command, sizeof(command));
    known.commands[i].translated = true;
  }
}

/// Waits until the job may go to the device: for time of its server, for a place, for the end of a reset.
Outcome DeviceAccelerator::enqueue(Demand& demand) {
  translate(demand);
  for (;;) {
    threads::Waiter waiter;
    Account* account = nullptr;
    std::uint64_t until_ns = threads::kForever;
    Taken taken{};
    bool bell = false;
    {
      const kernel::SpinGuard guard(lock_);
      taken = try_enqueue(demand, account, until_ns);
      if (taken == Taken::NotNow) {
        account->waiters.add(waiter);
      }
      bell = taken == Taken::Yes && queues_.wants_bell(abi::npu::kJobQueue);
    }
    switch (taken) {
      case Taken::Yes:
        if (bell) {
          queues_.ring_bell(abi::npu::kJobQueue);
        }
        return {};
      case Taken::NotNow:
        if (threads::wait_for_signal(waiter, account->waiters, lock_, until_ns, true) == threads::WaitResult::Stopped) {
          return kernel::fail("npu-busy", "the thread was asked to end while its job waited");
        }
        break;
      case Taken::OtherHandles:
        translate(demand);
        break;
      case Taken::TooManyServers:
        return kernel::fail("npu-busy", "{} servers have jobs in flight or owe NPU time", Accounts::kMaxServers);
      case Taken::Failed:
        return std::unexpected(failure());
    }
  }
}

/// With lock_. NotNow: `account` says in whose list to wait, and until when at the latest.
DeviceAccelerator::Taken DeviceAccelerator::try_enqueue(Demand& demand, Account*& account, std::uint64_t& until_ns) {
  if (state_ == State::Failed) {
    return Taken::Failed;
  }
  const Time now = threads::dispatcher().now();
  account = accounts_.open(threads::current_thread().server(), now);
  if (account == nullptr) {
    return Taken::TooManyServers;
  }
  if (state_ != State::Live) {
    return Taken::NotNow;  // go_live() wakes all
  }
  if (demand.epoch != epoch_) {
    return Taken::OtherHandles;
  }
  if (!Accounts::settle(*account, now)) {
    if (!std::exchange(demand.throttled, true)) {
      metrics().throttled.add();
    }
    until_ns = static_cast<std::uint64_t>(Accounts::repaid_at(*account));
    return Taken::NotNow;
  }
  const std::uint32_t share = std::max<std::uint32_t>(1, most_places_ / kShares);
  if (account->in_flight >= share || places_used_ >= most_places_) {
    return Taken::NotNow;  // end_place() wakes
  }
  return add(demand, *account, now) ? Taken::Yes : Taken::NotNow;
}

/// The device counts from when it takes the job, and the job may have waited.
void DeviceAccelerator::set_deadline(Job& job, Time due, Time now) {
  if (job.options.deadline_ns == JobOptions::kNoDeadline) {
    return;
  }
  if (job.options.deadline_ns != 0) {
    const std::uint64_t waited = static_cast<std::uint64_t>(now) - job.end().submitted_ns;
    header(job).deadline_ns = job.options.deadline_ns - std::min(waited, job.options.deadline_ns - 1);
  } else if (due != sched::kNever) {
    header(job).deadline_ns = static_cast<std::uint64_t>(std::max<Time>(1, due - now));
  }
}

/// With lock_. False: the queue is broken, and somebody sees to it.
bool DeviceAccelerator::add(Demand& demand, Account& account, Time now) {
  Job& job = demand.job;
  const Time cost = nanoseconds(demand.cycles);
  set_deadline(job, Accounts::charge(account, cost), now);
  const Block memory = block(job);
  std::memcpy(memory.header.data(), &header(job), sizeof(JobHeader));
  const auto place = std::ranges::find(places_, nullptr, &Place::job);
  const std::size_t stream_bytes = sizeof(JobHeader) + commands(job).size_bytes();
  const bool added = queues_.add_job(
      {.address = map_.address(memory.header.data()), .bytes = static_cast<std::uint32_t>(stream_bytes)},
      {.address = map_.address(memory.result.data()), .bytes = sizeof(JobResult)},
      static_cast<std::uint16_t>(place - places_.begin()));
  if (!added) {
    Accounts::refund(account, cost);
    nonsense("a queue has no room for a job that it must have");
    return false;
  }
  *place = {.job = &job,
            .account = &account,
            .number = ++last_number_,
            .expected = {.id = header(job).id,
                         .commands = header(job).commands,
                         .cycles = demand.cycles,
                         .most_cycles = limits_.max_cycles},
            .bytes = demand.bytes};
  ++places_used_;
  ++account.in_flight;
  if (!watching_) {
    watching_ = true;
    watcher_.signal();
  }
  return true;
}

// ---- Back

void DeviceAccelerator::on_interrupt() {
  metrics().interrupts.add();
  const std::uint32_t causes = transport_.acknowledge_interrupt();
  // Relaxed: signal() orders it. Once for each look, however often a device says it.
  if ((causes & abi::virtio::mmio::kInterruptConfig) != 0 &&
      !config_changed_.exchange(true, std::memory_order_relaxed)) {
    watcher_.signal();
  }
  if (causes != 0) {
    service();
  }
}

/// Takes all that the device has returned. From any context. It ends: there is no more than was in flight, and nothing
/// is added meanwhile.
void DeviceAccelerator::service() {
  threads::Waking waking;
  const kernel::MaskedSpinGuard guard(lock_);
  if (state_ == State::Down || state_ == State::Failed) {
    return;
  }
  do {
    while (broken_ == nullptr) {
      if (queues_.take_reply(reply_)) {
        reply_there_ = true;
        (void)requester_.signal_first(waking);
      } else if (const auto used = queues_.take_job()) {
        complete(*used, waking);
      } else {
        break;
      }
    }
    if (queues_.broken()) {
      nonsense("a queue's used ring");
    }
  } while (broken_ == nullptr && queues_.arm());
}

/// With lock_.
void DeviceAccelerator::complete(const drivers::Virtqueue::Used& used, threads::Waking& waking) {
  Place& place = places_[used.token];  // which is one that this driver gave
  kernel::require(place.job != nullptr, "the NPU's queue returned a job that is in no place");
  // Copied once: the device may change it.
  std::byte copy[sizeof(JobResult)];
  std::memcpy(copy, block(*place.job).result.data(), sizeof(copy));
  const auto end = check_result(std::span(copy).first(used.written_bytes), place.expected);
  if (!end) {
    // The job stays in its place, and ends when the device is down.
    nonsense("a job's result");
    return;
  }
  Accounts::refund(*place.account, nanoseconds(place.expected.cycles) - nanoseconds(end->cycles));
  ++ended_;
  ended_well_ += end->ok() ? 1 : 0;
  metrics().bytes.add(end->ok() ? place.bytes : 0);
  end_place(place, *end, waking);
}

/// With lock_.
void DeviceAccelerator::end_place(Place& place, const JobEnd& end, threads::Waking& waking) {
  Job& job = *place.job;
  Account& account = *place.account;
  place = {};
  const bool was_full = places_used_ == most_places_;
  --places_used_;
  --account.in_flight;
  regions_.release(regions(job));
  finish(job, end);
  (void)account.waiters.signal_first(waking);
  if (was_full) {
    // Whose turn it is their own accounts say; who cannot go waits again.
    accounts_.for_each([&](Account& other) { (void)other.waiters.signal_first(waking); });
  }
  while (flushers_.signal_first(waking)) {
  }
}

/// The device is down.
void DeviceAccelerator::end_all_jobs() {
  for (Place& place : places_) {
    threads::Waking waking;
    const kernel::MaskedSpinGuard guard(lock_);
    if (place.job != nullptr) {
      Accounts::refund(*place.account, nanoseconds(place.expected.cycles));
      ++ended_;
      end_place(place, {.status = abi::npu::Status::Reset, .reason = abi::npu::Reason::DeviceReset}, waking);
    }
  }
}

Outcome DeviceAccelerator::flush() {
  std::uint64_t last = 0;
  {
    const kernel::SpinGuard guard(lock_);
    last = last_number_;
  }
  for (;;) {
    threads::Waiter waiter;
    {
      const kernel::SpinGuard guard(lock_);
      const auto is_older = [last](const Place& place) { return place.job != nullptr && place.number <= last; };
      if (std::ranges::none_of(places_, is_older)) {
        return {};
      }
      flushers_.add(waiter);
    }
    if (threads::wait_for_signal(waiter, flushers_, lock_, threads::kForever, true) == threads::WaitResult::Stopped) {
      return kernel::fail("npu-busy", "the thread was asked to end while it waited for jobs");
    }
  }
}

}  // namespace guest::npu
