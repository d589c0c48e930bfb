// The transport's side of the device: everything here runs on the loop's thread.
#include "vmm/virtio/transport/mmio/mmio_transport.hpp"

#include <algorithm>
#include <utility>

namespace vmm::virtio {
namespace {

namespace status = abi::virtio::status;
namespace feature = abi::virtio::feature;

constexpr std::size_t kMaxConfigBytes = MmioTransport::kWindowBytes - abi::virtio::mmio::Config;
constexpr std::uint32_t kKnownStatus = status::kAcknowledge | status::kDriver | status::kDriverOk |
                                       status::kFeaturesOk | status::kDeviceNeedsReset | status::kFailed;
constexpr std::uint32_t kKnownInterrupts = abi::virtio::mmio::kInterruptVring | abi::virtio::mmio::kInterruptConfig;

}  // namespace

Result<std::unique_ptr<MmioTransport>> MmioTransport::create(EventLoop& loop, VirtioDevice& device,
                                                             std::shared_ptr<const GuestMemory> memory,
                                                             mmio::InterruptLine& line, MmioTransportOptions options) {
  const std::size_t queues = device.queue_sizes().size();
  if (queues > kMaxMmioQueues) {
    return fail("a virtio-mmio device has at most " + std::to_string(kMaxMmioQueues) + " queues, not " +
                std::to_string(queues));
  }
  if (const std::size_t bytes = device.config().size(); bytes > kMaxConfigBytes) {
    return fail("the configuration space of a virtio-mmio device has at most " + std::to_string(kMaxConfigBytes) +
                " bytes, not " + std::to_string(bytes));
  }
  std::vector<Notifier> kicks;
  for (std::size_t i = 0; i < queues; ++i) {
    auto kick = Notifier::create();
    if (!kick) return std::unexpected(std::move(kick.error()).because_of("cannot make the kick of a queue"));
    kicks.push_back(std::move(*kick));
  }
  return std::unique_ptr<MmioTransport>(
      new MmioTransport(loop, device, std::move(memory), line, std::move(options), std::move(kicks)));
}

MmioTransport::MmioTransport(EventLoop& loop, VirtioDevice& device, std::shared_ptr<const GuestMemory> memory,
                             mmio::InterruptLine& line, MmioTransportOptions options, std::vector<Notifier> kicks)
    : loop_(loop),
      device_(device),
      memory_(std::move(memory)),
      line_(line),
      options_(std::move(options)),
      kicks_(std::move(kicks)),
      device_id_(device.id()),
      offered_features_(device.features()),
      queue_sizes_(device.queue_sizes().begin(), device.queue_sizes().end()),
      config_(device.config()) {
  registers_.device_id = static_cast<std::uint32_t>(device_id_);
  registers_.queue_count = static_cast<std::uint32_t>(kicks_.size());
  for (std::size_t i = 0; i < kicks_.size(); ++i) {
    loop_.add(kicks_[i].fd(), Interest::Read, [this, i](Events) {
      kicks_[i].drain();
      device_.queue_kicked(static_cast<std::uint16_t>(i));
    });
  }
}

MmioTransport::~MmioTransport() {
  shutdown();
  *alive_ = false;
  for (const Notifier& kick : kicks_) loop_.remove(kick.fd());
  stop_device();
}

void MmioTransport::shutdown() {
  {
    const std::lock_guard lock(gate_->mutex);
    gate_->closed = true;
  }
  gate_->changed.notify_all();
}

/// Does `work` on the loop's thread and returns when it is done, or when shutdown() says that it need not be.
void MmioTransport::on_loop(std::function<void()> work) {
  if (loop_.in_loop_thread()) return work();
  {
    const std::lock_guard lock(gate_->mutex);
    if (gate_->closed) return;
  }
  // Shared: after a shutdown the virtual CPU may be gone before the loop comes to it.
  const auto done = std::make_shared<bool>(false);
  loop_.post([gate = gate_, alive = alive_, done, work = std::move(work)] {
    if (*alive) work();
    {
      const std::lock_guard lock(gate->mutex);
      *done = true;
    }
    gate->changed.notify_all();
  });
  std::unique_lock lock(gate_->mutex);
  gate_->changed.wait(lock, [&] { return *done || gate_->closed; });
}

void MmioTransport::apply_status(std::uint32_t value) {
  if (value == 0) return reset_device();
  const char* refusal = nullptr;
  bool starts = false;
  bool failed = false;
  {
    const std::lock_guard lock(mutex_);
    const std::uint32_t before = registers_.status;
    refusal = advance_status(value);
    starts = (registers_.status & ~before & status::kDriverOk) != 0;
    failed = (registers_.status & status::kFailed) != 0;
  }
  if (refusal != nullptr) ignored(abi::virtio::mmio::Status, value, refusal);
  if (failed) stop_device();  // the driver has given up; its queues may be anything soon
  if (starts) start_device(MissingQueue::BreaksDriver);
}

void MmioTransport::apply_queue_ready(std::uint32_t queue, bool ready) {
  {
    const std::lock_guard lock(mutex_);
    // Another virtual CPU may have reset the device since: it must find all queues unused.
    if (ready && refusal_of_queue_write(queue) != nullptr) return;
  }
  stop_device();
  {
    const std::lock_guard lock(mutex_);
    registers_.queues[queue].ready = ready ? 1 : 0;
    registers_.queues[queue].next_index = 0;
  }
  start_device(MissingQueue::Waits);
}

/// Gives the device its queues, if the driver is ready and the machine runs: those before the first that is not ready.
void MmioTransport::start_device(MissingQueue missing) {
  if (active_ || suspended_) return;
  MmioTransportState registers;
  {
    const std::lock_guard lock(mutex_);
    registers = registers_;
  }
  constexpr std::uint32_t kDead = status::kDeviceNeedsReset | status::kFailed;
  if ((registers.status & (status::kDriverOk | kDead)) != status::kDriverOk) return;
  std::size_t count = 0;
  while (count < queue_sizes_.size() && registers.queues[count].ready != 0) ++count;
  if (count < device_.required_queues()) {
    if (missing == MissingQueue::Waits) return;
    return fail_driver("DRIVER_OK, but queue " + std::to_string(count) + " is not ready");
  }
  Activation activation{.features = registers.driver_features, .queues = {}, .interrupt = this};
  for (std::size_t i = 0; i < count; ++i) {
    auto queue = make_queue(registers, i);
    if (!queue) return fail_driver("queue " + std::to_string(i) + ": " + queue.error().message);
    activation.queues.push_back(std::move(*queue));
  }
  active_ = true;
  if (const auto done = device_.activate(std::move(activation)); !done) {
    active_ = false;
    fail_driver(done.error().message);
  }
}

Result<Virtqueue> MmioTransport::make_queue(const MmioTransportState& registers, std::size_t index) const {
  const MmioQueueState& queue = registers.queues[index];
  if (queue.size > queue_sizes_[index]) {
    return fail("size " + std::to_string(queue.size) + " is more than the device's " +
                std::to_string(queue_sizes_[index]));
  }
  return Virtqueue::create(memory_,
                           {.size = static_cast<std::uint16_t>(queue.size),
                            .descriptors = Gpa(queue.descriptors),
                            .available = Gpa(queue.available),
                            .used = Gpa(queue.used),
                            .event_index = (registers.driver_features & feature::bit(feature::kRingEventIdx)) != 0,
                            .indirect = (registers.driver_features & feature::bit(feature::kRingIndirectDesc)) != 0,
                            .next_index = queue.next_index});
}

void MmioTransport::stop_device() {
  if (!std::exchange(active_, false)) return;
  const std::vector<Virtqueue> queues = device_.deactivate();
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < queues.size() && i < queue_sizes_.size(); ++i) {
    registers_.queues[i].next_index = queues[i].next_index();
  }
}

void MmioTransport::reset_device() {
  active_ = false;
  device_.reset();
  {
    const std::lock_guard lock(mutex_);
    clear_registers();
  }
  refresh_config();
}

void MmioTransport::suspend() {
  if (std::exchange(suspended_, true)) return;
  stop_device();
}

void MmioTransport::resume() {
  if (!std::exchange(suspended_, false)) return;
  start_device(MissingQueue::Waits);
  // Drivers take an interrupt without a cause as nothing to do.
  if (interrupt_status_.load() != 0) line_.set(true);
}

MmioTransportState MmioTransport::save() {
  suspend();
  const std::lock_guard lock(mutex_);
  MmioTransportState state = registers_;
  state.interrupt_status = interrupt_status_.load();
  return state;
}

Result<> MmioTransport::restore(const MmioTransportState& state) {
  const auto bad = [](std::string_view field, std::uint64_t value) {
    return fail("saved virtio-mmio state: " + std::string(field) + " is " + std::to_string(value));
  };
  if (state.device_id != registers_.device_id) return bad("device_id", state.device_id);
  if (state.queue_count != registers_.queue_count) return bad("queue_count", state.queue_count);
  if ((state.status & ~kKnownStatus) != 0) return bad("status", state.status);
  const bool features_ok = (state.status & status::kFeaturesOk) != 0;
  if (!features_ok && (state.status & status::kDriverOk) != 0) return bad("status", state.status);
  if (features_ok && (state.driver_features & ~offered_features_) != 0) {
    return bad("driver_features", state.driver_features);
  }
  if ((state.interrupt_status & ~kKnownInterrupts) != 0) return bad("interrupt_status", state.interrupt_status);
  if (state.unknown_features > 1) return bad("unknown_features", state.unknown_features);
  if (state.engaged > 1) return bad("engaged", state.engaged);
  for (const MmioQueueState& queue : state.queues) {
    if (queue.ready > 1) return bad("ready of a queue", queue.ready);
  }
  const std::lock_guard lock(mutex_);
  if (active_ || registers_.engaged != 0) return fail("a driver has used this virtio-mmio device already");
  suspended_ = true;
  registers_ = state;
  registers_.interrupt_status = 0;
  if ((state.status & status::kDriverOk) != 0) registers_.engaged = 1;
  interrupt_status_.store(state.interrupt_status);
  return {};
}

void MmioTransport::refresh_config() {
  std::vector<std::byte> config = device_.config();
  config.resize(config_.size());  // fixed, by contract; only this thread writes it
  const std::lock_guard lock(mutex_);
  if (config == config_) return;
  config_ = std::move(config);
  ++registers_.config_generation;
}

void MmioTransport::signal_queue(std::uint16_t) {
  interrupt_status_.fetch_or(abi::virtio::mmio::kInterruptVring);
  line_.set(true);
}

void MmioTransport::signal_config() {
  refresh_config();
  {
    const std::lock_guard lock(mutex_);
    // "Device Configuration Interrupt": nobody listens before.
    if ((registers_.status & status::kDriverOk) == 0) return;
  }
  interrupt_status_.fetch_or(abi::virtio::mmio::kInterruptConfig);
  line_.set(true);
}

void MmioTransport::needs_reset(std::uint16_t queue, const std::string& reason) {
  fail_driver("queue " + std::to_string(queue) + ": " + reason);
}

void MmioTransport::fail_driver(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    registers_.status |= status::kDeviceNeedsReset;
  }
  // VIRTIO 1.2, Device Status Field: set after DRIVER_OK, it "MUST send a device configuration change notification".
  signal_config();
  warn(reason + "; the device waits for its driver to reset it");
}

void MmioTransport::ignored(std::uint64_t offset, std::uint64_t value, const char* why) {
  if (warnings_.load(std::memory_order_relaxed) >= kMaxWarnings) return;  // spares the text; warn() decides
  warn("ignored a write of " + std::to_string(value) + " to register " + std::to_string(offset) + ": " + why);
}

void MmioTransport::warn(std::string message) {
  // Relaxed: a limit, nothing is published through it.
  if (warnings_.load(std::memory_order_relaxed) >= kMaxWarnings) return;
  const unsigned number = warnings_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (number > kMaxWarnings || !options_.warning) return;
  if (number == kMaxWarnings) message += " (further warnings of this device are not shown)";
  if (loop_.in_loop_thread()) return options_.warning(message);
  loop_.post([this, alive = alive_, message = std::move(message)] {
    if (*alive) options_.warning(message);
  });
}

}  // namespace vmm::virtio
