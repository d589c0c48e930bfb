// A device that the kernel emulates, and the attributes by which it is set up.
#pragma once

#include <cstdint>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::kvm {

/// Which attribute (api.rst, "KVM_SET_DEVICE_ATTR"): a group of the device's and a number in it.
struct Attribute {
  std::uint32_t group = 0;
  std::uint64_t number = 0;
};

class Device {
 public:
  [[nodiscard]] bool has(Attribute attribute) const;
  /// For attributes that are commands.
  [[nodiscard]] Result<> command(Attribute attribute) const;
  [[nodiscard]] Result<> set(Attribute attribute, std::uint32_t value) const;
  [[nodiscard]] Result<> set(Attribute attribute, std::uint64_t value) const;
  [[nodiscard]] Result<std::uint32_t> get32(Attribute attribute) const;
  [[nodiscard]] Result<std::uint64_t> get64(Attribute attribute) const;

 private:
  friend class Vm;
  explicit Device(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace vmm::kvm
