// virtio-mmio, version 2 (VIRTIO 1.2, Virtio Over MMIO). Version 1, "legacy", is recognised and not driven.
#pragma once

#include "guest/drivers/mmio.hpp"
#include "guest/drivers/virtio_transport.hpp"

namespace guest::drivers {

/// What a slot holds. Three register reads, so probing all slots of a machine is cheap.
struct VirtioProbe {
  enum class Kind : std::uint8_t {
    NotVirtio,  ///< no magic value
    Legacy,     ///< version 1 (or one that is not known): `version` says which
    Empty,      ///< a slot without a device
    Device,
  } kind = Kind::NotVirtio;
  std::uint32_t version = 0;
  abi::virtio::DeviceId device = abi::virtio::DeviceId::Invalid;
};
VirtioProbe probe_virtio_mmio(Mmio& registers);

/// One slot that holds a device.
class VirtioMmio final : public VirtioTransport {
 public:
  /// `registers` must outlive this.
  explicit VirtioMmio(Mmio& registers) : registers_(registers) {}

  [[nodiscard]] kernel::Result<std::uint64_t> negotiate(std::uint64_t wanted) override;
  [[nodiscard]] std::uint32_t max_queue_size(std::uint16_t index) override;
  kernel::Status activate_queue(std::uint16_t index, const QueueAddresses& queue) override;
  kernel::Status set_driver_ok() override;
  void set_failed() override;
  kernel::Status reset() override;
  [[nodiscard]] bool needs_reset() override;
  void notify(std::uint16_t index) override;
  std::uint32_t acknowledge_interrupt() override;
  kernel::Status read_config(std::uint32_t offset, std::span<std::byte> out) override;

 private:
  std::uint32_t read(abi::virtio::mmio::Register reg) { return registers_.read32(reg); }
  void write(abi::virtio::mmio::Register reg, std::uint32_t value) { registers_.write32(reg, value); }
  void write_address(abi::virtio::mmio::Register low, abi::virtio::mmio::Register high, kernel::PhysAddr address);
  std::uint64_t offered_features();
  void choose_features(std::uint64_t features);
  void add_status(std::uint32_t bits);

  Mmio& registers_;
};

}  // namespace guest::drivers
