// What the device says, which may be anything: checked before it is used. Nothing: it is nonsense.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "abi/npu.hpp"
#include "guest/npu/job.hpp"
#include "guest/npu/region_table.hpp"

namespace guest::npu {

/// What is known of the job that a result is about.
struct ExpectedResult {
  std::uint64_t id = 0;
  std::uint32_t commands = 0;
  std::uint64_t cycles = 0;  ///< of all its commands, by the driver's model
  /// That a job may have. A device may have a newer model than the driver, so its own figure is believed up to this.
  std::uint64_t most_cycles = 0;
};
/// `bytes` as the device wrote them, in the caller's own copy.
std::optional<JobEnd> check_result(std::span<const std::byte> bytes, const ExpectedResult& expected);

/// Status and reason of a reply: `bytes` as above, at least those of a ControlReply.
std::optional<Refusal> check_reply(std::span<const std::byte> bytes);

/// Limits and model within what this driver can compute with.
bool is_sane(const abi::npu::DeviceInfo& info);

}  // namespace guest::npu
