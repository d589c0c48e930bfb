#include "vmm/devices/npu/device.hpp"

#include <algorithm>

namespace vmm::npu {

using abi::npu::kControlQueue;
using abi::npu::kJobQueue;
using abi::npu::Power;
using abi::npu::Reason;
using abi::npu::Status;

Result<std::unique_ptr<NpuDevice>> NpuDevice::create(EventLoop& loop, const DeviceConfig& config) {
  std::unique_ptr<NpuDevice> device(new NpuDevice(loop, config));
  auto engine = Engine::create({.commands = config.commands,
                                .model = config.model,
                                .options = config.options,
                                .clock = device->config_.clock,
                                .counters = &device->counters_,
                                .thread_start = config.thread_start});
  if (!engine) return std::unexpected(std::move(engine.error()));
  device->engine_ = std::move(*engine);
  loop.add(device->engine_->news().fd(), Interest::Read, [raw = device.get()](Events) {
    raw->engine_->news().drain();
    raw->schedule();
  });
  return device;
}

NpuDevice::NpuDevice(EventLoop& loop, const DeviceConfig& config)
    : loop_(loop),
      config_(config),
      counters_(config.counters != nullptr ? *config.counters : own_counters_),
      regions_(config.limits.regions) {
  if (config_.clock != nullptr) return;
  own_clock_ = std::make_unique<HostClock>();
  config_.clock = own_clock_.get();
}

NpuDevice::~NpuDevice() {
  *alive_ = false;
  if (engine_) loop_.remove(engine_->news().fd());
}

std::uint64_t NpuDevice::features() const {
  using namespace abi::virtio::feature;
  return bit(kVersion1) | bit(kRingIndirectDesc) | bit(kRingEventIdx);
}

void NpuDevice::write_config(std::uint32_t, std::span<const std::byte>) {
  // There is no configuration space, so nobody writes to it.
}

Result<> NpuDevice::activate(virtio::Activation activation) {
  active_ = std::move(activation);
  broken_ = false;
  memory_ = active_.queues[kJobQueue].memory();
  regions_.move_to(memory_);
  active_.queues[kControlQueue].carry_over(static_cast<std::uint16_t>(waiting_.size() + restored_control_.size()));
  active_.queues[kJobQueue].carry_over(static_cast<std::uint16_t>(tickets_.size() + restored_jobs_.size()));
  end_restored();
  engine_->resume();
  schedule();
  return {};
}

std::vector<virtio::Virtqueue> NpuDevice::deactivate() {
  engine_->pause();
  deliver();
  settle();
  std::vector<virtio::Virtqueue> queues = std::move(active_.queues);
  active_ = {};
  return queues;
}

void NpuDevice::reset() {
  close();
  ++counters_.device_resets;
}

void NpuDevice::close() {
  engine_->discard(Status::Reset, Reason::DeviceReset);
  engine_->set_gated(false);
  power_ = Power::On;
  active_ = {};
  broken_ = false;
  tickets_.clear();
  commands_in_flight_ = 0;
  waiting_.clear();
  restored_control_.clear();
  restored_jobs_.clear();
  current_ = {};
  forget_regions();
  regions_.move_to(nullptr);
  memory_ = nullptr;
}

Result<> NpuDevice::memory_changed(const std::shared_ptr<const GuestMemory>& memory) {
  for (virtio::Virtqueue& queue : active_.queues) {
    if (auto moved = queue.move_to(memory); !moved) return moved;
  }
  memory_ = memory;
  regions_.move_to(memory);
  return {};
}

virtio::Virtqueue* NpuDevice::queue(std::uint16_t index) {
  return index < active_.queues.size() && !broken_ ? &active_.queues[index] : nullptr;
}

void NpuDevice::queue_kicked(std::uint16_t) { schedule(); }

void NpuDevice::schedule() {
  if (std::exchange(scheduled_, true)) return;
  loop_.defer([this, alive = alive_] {
    if (!*alive) return;
    scheduled_ = false;
    serve();
  });
}

void NpuDevice::serve() {
  deliver();
  // Jobs first: what was there before a request to flush is what it is about.
  bool more = serve_jobs();
  more |= serve_control();
  // What has ended makes room for what waits.
  more |= deliver();
  more |= settle();
  if (more) schedule();
}

void NpuDevice::publish(std::uint16_t index) {
  virtio::Virtqueue* const published = queue(index);
  if (published == nullptr || !published->publish()) return;
  if (index == kJobQueue && drops_interrupt()) {
    ++counters_.interrupts_dropped;
    return;
  }
  ++counters_.interrupts;
  active_.interrupt->signal_queue(index);
}

/// The scenario wants the interrupt that is about to be raised to be lost.
bool NpuDevice::drops_interrupt() {
  ++job_interrupts_;
  return std::ranges::any_of(config_.options.faults, [this](const Fault& fault) {
    return fault.kind == Fault::Kind::DropInterrupt && fault.number == job_interrupts_;
  });
}

void NpuDevice::broken(std::uint16_t index, const std::string& reason) {
  broken_ = true;
  ++counters_.queue_errors;
  engine_->abort_all(Status::Reset, Reason::DeviceReset);
  active_.interrupt->needs_reset(index, reason);
}

void NpuDevice::count_regions() { counters_.regions += regions_.count() - counters_.regions.value(); }

void NpuDevice::forget_regions() {
  regions_.clear();
  count_regions();
}

DeviceState NpuDevice::save() const {
  DeviceState state{.device_ns = config_.clock->now_ns(),
                    .power = static_cast<std::uint32_t>(power_),
                    .regions = regions_.save(),
                    .control_heads = restored_control_,
                    .job_heads = restored_jobs_};
  for (const Waiting& waiting : waiting_) state.control_heads.push_back(waiting.request.chain.head());
  for (const auto& [number, ticket] : tickets_) state.job_heads.push_back(ticket.request.chain.head());
  return state;
}

Result<> NpuDevice::restore(const DeviceState& state) {
  const auto bad = [](const std::string& what) { return fail("saved NPU: " + what); };
  if (state.power > static_cast<std::uint32_t>(Power::Off)) return bad("power is " + std::to_string(state.power));
  if (state.control_heads.size() > kQueueSizes[kControlQueue] || state.job_heads.size() > kQueueSizes[kJobQueue]) {
    return bad(std::to_string(state.control_heads.size()) + " requests and " + std::to_string(state.job_heads.size()) +
               " jobs in flight");
  }
  // Times are added to it.
  if (state.device_ns > kNever / 2) return bad("it is " + std::to_string(state.device_ns) + " ns old");
  if (!regions_.restore(state.regions)) return bad("its regions are not those of an NPU");
  count_regions();
  config_.clock->go_on_from(std::max(state.device_ns, config_.clock->now_ns()));
  power_ = static_cast<Power>(state.power);
  engine_->set_gated(power_ == Power::Gated);
  restored_control_ = state.control_heads;
  restored_jobs_ = state.job_heads;
  return {};
}

/// Answers what was in flight when the device was saved: its jobs have stopped somewhere, and are not there any more.
void NpuDevice::end_restored() {
  virtio::Virtqueue& control = active_.queues[kControlQueue];
  for (const std::uint16_t head : std::exchange(restored_control_, {})) {
    if (const auto taken = control.retake(head, current_.chain); !taken) {
      return broken(kControlQueue, taken.error().message());
    }
    reply(Status::Reset, Reason::DeviceReset);
  }
  virtio::Virtqueue& jobs = active_.queues[kJobQueue];
  for (const std::uint16_t head : std::exchange(restored_jobs_, {})) {
    if (const auto taken = jobs.retake(head, current_.chain); !taken) {
      return broken(kJobQueue, taken.error().message());
    }
    const auto header = current_.chain.reader().read<abi::npu::JobHeader>();
    refuse(jobs, current_.chain, header ? header->id.value() : 0,
           {.status = Status::Reset, .reason = Reason::DeviceReset});
  }
  publish(kControlQueue);
  publish(kJobQueue);
}

}  // namespace vmm::npu
