// The transport's registers, as virtual CPUs access them.
#include <span>

#include "vmm/virtio/transport/mmio/mmio_transport.hpp"

namespace vmm::virtio {
namespace {

namespace status = abi::virtio::status;
using abi::virtio::mmio::Register;

/// "SIS " as the guest's first byte on; whoever lists devices shows it.
constexpr std::uint32_t kVendorId = 0x20534953;

/// VIRTIO 1.2, MMIO Device Register Layout, SHMLenLow: "a non-existent region ... results in a length of -1".
constexpr std::uint32_t kNoSharedMemory = UINT32_MAX;

/// What a driver may set; DEVICE_NEEDS_RESET is ours.
constexpr std::uint32_t kDriverBits =
    status::kAcknowledge | status::kDriver | status::kFeaturesOk | status::kDriverOk | status::kFailed;
/// Only a reset leads out of these.
constexpr std::uint32_t kDeadBits = status::kDeviceNeedsReset | status::kFailed;

void set_low(std::uint64_t& address, std::uint32_t value) { address = (address & ~std::uint64_t{UINT32_MAX}) | value; }
void set_high(std::uint64_t& address, std::uint32_t value) {
  address = (address & UINT32_MAX) | std::uint64_t{value} << 32;
}

}  // namespace

std::uint64_t MmioTransport::read(std::uint64_t offset, unsigned size_bytes) {
  if (offset >= Register::Config) return read_config(offset - Register::Config, size_bytes);
  if (size_bytes != 4 || offset % 4 != 0) return 0;
  return read_register(static_cast<std::uint32_t>(offset));
}

void MmioTransport::write(std::uint64_t offset, unsigned size_bytes, std::uint64_t value) {
  if (offset >= Register::Config) return write_config(offset - Register::Config, size_bytes, value);
  if (size_bytes != 4 || offset % 4 != 0) return ignored(offset, value, "not an aligned 32-bit access");
  write_register(static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(value));
}

std::uint32_t MmioTransport::read_register(std::uint32_t offset) {
  // What never changes, and what every interrupt reads, needs no lock.
  switch (offset) {
    case Register::InterruptStatus:
      return interrupt_status_.load();
    case Register::MagicValue:
      return abi::virtio::mmio::kMagicValue;
    case Register::Version:
      return abi::virtio::mmio::kVersion;
    case Register::DeviceId:
      return static_cast<std::uint32_t>(device_id_);
    case Register::VendorId:
      return kVendorId;
    case Register::SHMLenLow:
    case Register::SHMLenHigh:
    case Register::SHMBaseLow:
    case Register::SHMBaseHigh:
      return kNoSharedMemory;
    default:
      break;
  }
  const std::lock_guard lock(mutex_);
  const bool queue_exists = registers_.queue_sel < queue_sizes_.size();
  switch (offset) {
    case Register::DeviceFeatures:
      if (registers_.device_features_sel > 1) return 0;
      return static_cast<std::uint32_t>(offered_features_ >> (32 * registers_.device_features_sel));
    case Register::QueueNumMax:
      return queue_exists ? queue_sizes_[registers_.queue_sel] : 0;
    case Register::QueueReady:
      return queue_exists ? registers_.queues[registers_.queue_sel].ready : 0;
    case Register::Status:
      return registers_.status;
    case Register::ConfigGeneration:
      return registers_.config_generation;
    default:
      return 0;  // write-only, reserved, or of a feature that is not offered
  }
}

std::uint64_t MmioTransport::read_config(std::uint64_t offset, unsigned size_bytes) {
  const std::lock_guard lock(mutex_);
  std::uint64_t value = 0;
  for (unsigned i = 0; i < size_bytes && offset + i < config_.size(); ++i) {
    value |= std::to_integer<std::uint64_t>(config_[offset + i]) << (8 * i);
  }
  return value;
}

void MmioTransport::write_config(std::uint64_t offset, unsigned size_bytes, std::uint64_t value) {
  const char* refusal = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (offset >= config_.size() || size_bytes > config_.size() - offset) refusal = "beyond the configuration space";
    if ((registers_.status & status::kDriver) == 0) refusal = "no driver has announced itself";
  }
  if (refusal != nullptr) return ignored(Register::Config + offset, value, refusal);
  on_loop([this, offset, size_bytes, value] {
    std::byte bytes[sizeof value];
    for (unsigned i = 0; i < size_bytes; ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
    device_.write_config(static_cast<std::uint32_t>(offset), std::span(bytes).first(size_bytes));
    refresh_config();
  });
}

void MmioTransport::write_register(std::uint32_t offset, std::uint32_t value) {
  const char* refusal = nullptr;
  switch (offset) {
    case Register::QueueNotify:
      if (value < kicks_.size()) return kicks_[value].signal();
      return ignored(offset, value, "there is no such queue");
    case Register::InterruptAck:
      interrupt_status_.fetch_and(~value);
      return;
    case Register::Status:
      return write_status(value);
    case Register::QueueReady:
      return write_queue_ready(value);
    case Register::SHMSel:
    case Register::QueueReset:
      return;  // there is nothing to select or to reset
    default:
      break;
  }
  {
    const std::lock_guard lock(mutex_);
    switch (offset) {
      case Register::DeviceFeaturesSel:
        registers_.device_features_sel = value;
        return;
      case Register::DriverFeaturesSel:
        registers_.driver_features_sel = value;
        return;
      case Register::QueueSel:
        registers_.queue_sel = value;
        return;
      case Register::DriverFeatures:
        refusal = write_driver_features(value);
        break;
      default:
        refusal = write_queue(offset, value);
        break;
    }
  }
  if (refusal != nullptr) ignored(offset, value, refusal);
}

const char* MmioTransport::write_driver_features(std::uint32_t value) {
  if ((registers_.status & status::kFeaturesOk) != 0) return "features are final after FEATURES_OK";
  if (registers_.driver_features_sel == 0) {
    set_low(registers_.driver_features, value);
  } else if (registers_.driver_features_sel == 1) {
    set_high(registers_.driver_features, value);
  } else if (value != 0) {
    registers_.unknown_features = 1;  // until the reset: FEATURES_OK will be refused
  }
  return nullptr;
}

const char* MmioTransport::refusal_of_queue_write(std::uint32_t queue) const {
  // VIRTIO 1.2, Driver Requirements: Device Initialization: queues are set up in step 7, after FEATURES_OK.
  if ((registers_.status & status::kFeaturesOk) == 0) return "queues are set up after FEATURES_OK";
  if ((registers_.status & kDeadBits) != 0) return "the device waits for a reset";
  if (queue >= queue_sizes_.size()) return "there is no such queue";
  if (registers_.queues[queue].ready != 0) return "the queue is in use";
  return nullptr;
}

const char* MmioTransport::write_queue(std::uint32_t offset, std::uint32_t value) {
  switch (offset) {
    case Register::QueueNum:
    case Register::QueueDescLow:
    case Register::QueueDescHigh:
    case Register::QueueDriverLow:
    case Register::QueueDriverHigh:
    case Register::QueueDeviceLow:
    case Register::QueueDeviceHigh:
      break;
    default:
      return "not a register to write";
  }
  if (const char* refusal = refusal_of_queue_write(registers_.queue_sel)) return refusal;
  MmioQueueState& queue = registers_.queues[registers_.queue_sel];
  switch (offset) {
    case Register::QueueNum:
      queue.size = value;
      break;
    case Register::QueueDescLow:
      set_low(queue.descriptors, value);
      break;
    case Register::QueueDescHigh:
      set_high(queue.descriptors, value);
      break;
    case Register::QueueDriverLow:
      set_low(queue.available, value);
      break;
    case Register::QueueDriverHigh:
      set_high(queue.available, value);
      break;
    case Register::QueueDeviceLow:
      set_low(queue.used, value);
      break;
    default:
      set_high(queue.used, value);
      break;
  }
  return nullptr;
}

void MmioTransport::write_queue_ready(std::uint32_t value) {
  const char* refusal = nullptr;
  std::uint32_t queue = 0;
  {
    const std::lock_guard lock(mutex_);
    queue = registers_.queue_sel;
    if (value > 1) {
      refusal = "neither 0 nor 1";
    } else if (queue >= queue_sizes_.size()) {
      refusal = "there is no such queue";
    } else if (registers_.queues[queue].ready == value) {
      return;
    } else if (value == 1) {
      refusal = refusal_of_queue_write(queue);
    }
    // Until DRIVER_OK, the device has not heard of its queues.
    if (refusal == nullptr && (registers_.status & status::kDriverOk) == 0) {
      registers_.queues[queue].ready = static_cast<std::uint16_t>(value);
      return;
    }
  }
  if (refusal != nullptr) return ignored(Register::QueueReady, value, refusal);
  on_loop([this, queue, value] { apply_queue_ready(queue, value == 1); });
}

const char* MmioTransport::refusal_of_features() const {
  if (registers_.unknown_features != 0 || (registers_.driver_features & ~offered_features_) != 0) {
    return "FEATURES_OK refused: the driver accepted features that were not offered";
  }
  if ((registers_.driver_features & abi::virtio::feature::bit(abi::virtio::feature::kVersion1)) == 0) {
    return "FEATURES_OK refused: the driver did not accept VIRTIO_F_VERSION_1";
  }
  return nullptr;
}

bool MmioTransport::status_needs_device(std::uint32_t value) const {
  if (value == 0) return registers_.engaged != 0;
  const std::uint32_t added = value & ~registers_.status;
  if ((added & status::kDriverOk) != 0) return true;
  return (added & status::kFailed) != 0 && registers_.engaged != 0;
}

/// Takes over what the driver adds to the status, as far as VIRTIO 1.2, Device Initialization, lets it.
const char* MmioTransport::advance_status(std::uint32_t value) {
  std::uint32_t& now = registers_.status;
  // A driver that has not read the status since writes without DEVICE_NEEDS_RESET; that takes nothing back.
  if ((now & kDriverBits & ~value) != 0) return "a status bit can only be taken back by a reset";
  const std::uint32_t added = value & kDriverBits & ~now;
  now |= added & status::kFailed;
  if ((now & kDeadBits) != 0) return (added & ~status::kFailed) == 0 ? nullptr : "the device waits for a reset";
  now |= added & status::kAcknowledge;
  if ((added & status::kDriver) != 0) {
    if ((now & status::kAcknowledge) == 0) return "DRIVER before ACKNOWLEDGE";
    now |= status::kDriver;
  }
  if ((added & status::kFeaturesOk) != 0) {
    if ((now & status::kDriver) == 0) return "FEATURES_OK before DRIVER";
    if (const char* refusal = refusal_of_features()) return refusal;
    now |= status::kFeaturesOk;
  }
  if ((added & status::kDriverOk) != 0) {
    if ((now & status::kFeaturesOk) == 0) return "DRIVER_OK before FEATURES_OK";
    now |= status::kDriverOk;
    // Together with the bit: a reset by another virtual CPU must reach the device from here on.
    registers_.engaged = 1;
  }
  return (value & ~(kDriverBits | status::kDeviceNeedsReset)) == 0 ? nullptr : "unknown status bits";
}

void MmioTransport::write_status(std::uint32_t value) {
  const char* refusal = nullptr;
  bool on_device = false;
  {
    const std::lock_guard lock(mutex_);
    on_device = status_needs_device(value);
    if (!on_device && value == 0) clear_registers();
    if (!on_device && value != 0) refusal = advance_status(value);
  }
  if (on_device) return on_loop([this, value] { apply_status(value); });
  if (refusal != nullptr) ignored(Register::Status, value, refusal);
}

void MmioTransport::clear_registers() {
  const MmioTransportState old = registers_;
  registers_ = {.device_id = old.device_id, .queue_count = old.queue_count, .queues = {}};
  registers_.config_generation = old.config_generation;  // "the same value" only while the configuration is the same
  interrupt_status_.store(0);
}

}  // namespace vmm::virtio
