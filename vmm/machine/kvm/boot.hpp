// What is put into memory before the guest starts, each time it starts.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "guest_ram.hpp"
#include "vmm/machine/backend.hpp"
#include "vmm/machine/board/boot_layout.hpp"
#include "vmm/machine/board/device_tree.hpp"
#include "vmm/machine/board/image_source.hpp"
#include "vmm/machine/board/kernel_image.hpp"

namespace vmm::machine_kvm {

/// Where the boot CPU starts.
struct BootState {
  Gpa entry;
  Gpa device_tree;  ///< for x0
};

class BootFiles {
 public:
  /// Opens the files and examines the kernel. @param initrd may be empty: none
  static Result<BootFiles> open(const std::filesystem::path& kernel, board::KernelFormat format,
                                const std::filesystem::path& initrd, board::AddressRange ram);

  /// Copies kernel and initrd into a snapshot.
  [[nodiscard]] Result<> save(const machine::SnapshotFiles& files) const;
  [[nodiscard]] bool has_initrd() const { return initrd_source_ != nullptr; }

  /// Copies kernel, initrd and tree into the guest's memory, which must be zero.
  /// @param tree what the machine has; ram, initrd and seed are filled in here
  [[nodiscard]] Result<BootState> load(const GuestRam& ram, board::DeviceTreeConfig tree) const;

 private:
  BootFiles() = default;

  std::unique_ptr<board::ImageSource> kernel_source_;
  board::KernelImage kernel_;
  std::unique_ptr<board::ImageSource> initrd_source_;  ///< may be null
};

}  // namespace vmm::machine_kvm
