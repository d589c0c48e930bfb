#include "guest/drivers/virtio_mmio.hpp"

#include <array>
#include <cstring>

namespace guest::drivers {

namespace {

using abi::virtio::mmio::Register;
using kernel::Result;
using kernel::Status;
namespace status = abi::virtio::status;

/// Reads of the status register that a reset may take. Monitors reset before the write returns; hardware may not.
constexpr unsigned kMaxResetPolls = 100'000;
/// Attempts at a consistent read of the configuration.
constexpr unsigned kMaxConfigReads = 16;

}  // namespace

VirtioProbe probe_virtio_mmio(Mmio& registers) {
  if (registers.read32(Register::MagicValue) != abi::virtio::mmio::kMagicValue) {
    return {};
  }
  VirtioProbe probe;
  probe.version = registers.read32(Register::Version);
  // The device id register is the same in both versions, so that a legacy device can be reported by name.
  probe.device = abi::virtio::DeviceId{registers.read32(Register::DeviceId)};
  if (probe.device == abi::virtio::DeviceId::Invalid) {
    probe.kind = VirtioProbe::Kind::Empty;
  } else if (probe.version != abi::virtio::mmio::kVersion) {
    probe.kind = VirtioProbe::Kind::Legacy;
  } else {
    probe.kind = VirtioProbe::Kind::Device;
  }
  return probe;
}

void VirtioMmio::add_status(std::uint32_t bits) { write(Register::Status, read(Register::Status) | bits); }

std::uint64_t VirtioMmio::offered_features() {
  write(Register::DeviceFeaturesSel, 0);
  const std::uint64_t low = read(Register::DeviceFeatures);
  write(Register::DeviceFeaturesSel, 1);
  const std::uint64_t high = read(Register::DeviceFeatures);
  return high << 32 | low;
}

void VirtioMmio::choose_features(std::uint64_t features) {
  write(Register::DriverFeaturesSel, 0);
  write(Register::DriverFeatures, static_cast<std::uint32_t>(features));
  write(Register::DriverFeaturesSel, 1);
  write(Register::DriverFeatures, static_cast<std::uint32_t>(features >> 32));
}

Result<std::uint64_t> VirtioMmio::negotiate(std::uint64_t wanted) {
  // VIRTIO 1.2, Driver Requirements: Device Initialization, steps 1 to 6.
  if (const Status done = reset(); done != Status::Ok) {
    return std::unexpected(done);
  }
  add_status(status::kAcknowledge);
  add_status(status::kDriver);
  constexpr std::uint64_t kRequired = abi::virtio::feature::bit(abi::virtio::feature::kVersion1);
  const std::uint64_t features = offered_features() & (wanted | kRequired);
  if ((features & kRequired) == 0) {
    set_failed();
    return std::unexpected(Status::Unsupported);
  }
  choose_features(features);
  add_status(status::kFeaturesOk);
  if ((read(Register::Status) & status::kFeaturesOk) == 0) {
    set_failed();
    return std::unexpected(Status::Unsupported);
  }
  return features;
}

std::uint32_t VirtioMmio::max_queue_size(std::uint16_t index) {
  write(Register::QueueSel, index);
  return read(Register::QueueNumMax);
}

void VirtioMmio::write_address(Register low, Register high, kernel::PhysAddr address) {
  write(low, static_cast<std::uint32_t>(kernel::raw(address)));
  write(high, static_cast<std::uint32_t>(kernel::raw(address) >> 32));
}

Status VirtioMmio::activate_queue(std::uint16_t index, const QueueAddresses& queue) {
  const std::uint32_t max_size = max_queue_size(index);  // selects the queue as well
  if (max_size == 0) {
    return Status::NotFound;
  }
  if (queue.size > max_size) {
    return Status::OutOfRange;
  }
  if (read(Register::QueueReady) != 0) {
    return Status::Busy;
  }
  write(Register::QueueNum, queue.size);
  write_address(Register::QueueDescLow, Register::QueueDescHigh, queue.descriptors);
  write_address(Register::QueueDriverLow, Register::QueueDriverHigh, queue.driver_area);
  write_address(Register::QueueDeviceLow, Register::QueueDeviceHigh, queue.device_area);
  write(Register::QueueReady, 1);
  return Status::Ok;
}

Status VirtioMmio::set_driver_ok() {
  add_status(status::kDriverOk);
  return needs_reset() ? Status::DeviceFailed : Status::Ok;
}

void VirtioMmio::set_failed() { add_status(status::kFailed); }

Status VirtioMmio::reset() {
  write(Register::Status, 0);
  for (unsigned i = 0; i < kMaxResetPolls; ++i) {
    if (read(Register::Status) == 0) {
      return Status::Ok;
    }
  }
  return Status::TimedOut;
}

bool VirtioMmio::needs_reset() { return (read(Register::Status) & status::kDeviceNeedsReset) != 0; }

void VirtioMmio::notify(std::uint16_t index) { write(Register::QueueNotify, index); }

std::uint32_t VirtioMmio::acknowledge_interrupt() {
  const std::uint32_t causes = read(Register::InterruptStatus);
  if (causes != 0) {
    write(Register::InterruptAck, causes);
  }
  return causes;
}

Status VirtioMmio::read_config(std::uint32_t offset, std::span<std::byte> out) {
  for (unsigned attempt = 0; attempt < kMaxConfigReads; ++attempt) {
    const std::uint32_t before = read(Register::ConfigGeneration);
    for (std::size_t at = 0; at < out.size();) {
      const auto from = static_cast<std::uint32_t>(Register::Config + offset + at);
      // Fields of 32 and 64 bits are read by words, as the specification demands; what is not aligned by bytes.
      if (from % 4 == 0 && out.size() - at >= 4) {
        const abi::Le32 word(registers_.read32(from));
        std::memcpy(&out[at], &word, sizeof(word));
        at += sizeof(word);
      } else {
        out[at++] = static_cast<std::byte>(registers_.read8(from));
      }
    }
    if (read(Register::ConfigGeneration) == before) {
      return Status::Ok;
    }
  }
  return Status::Busy;
}

}  // namespace guest::drivers
