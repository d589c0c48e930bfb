// Jobs of commands whose result a test knows: an addition of rows of f32.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <span>

#include "abi/npu_commands.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/npu/npu.hpp"

namespace guest::npu::testing {

inline constexpr std::uint32_t kReadWrite = abi::npu::region_flag::kRead | abi::npu::region_flag::kWrite;

/// Memory that a region can be of.
struct alignas(64) Numbers {
  std::array<float, 64> values{};
  std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(values)); }
};

inline std::unique_ptr<Job> make_job(std::uint32_t room = 4) {
  auto job = Job::make(room);
  EXPECT_TRUE(job.has_value());
  return *std::move(job);
}

/// out = in + in, 64 elements of one region each.
inline abi::npu::Command doubling(std::uint32_t in, std::uint32_t out) {
  abi::npu::Command command{};
  command.opcode = static_cast<std::uint16_t>(abi::npu::Opcode::Add);
  command.operands[0].region = out;
  command.operands[1].region = in;
  command.operands[2].region = in;
  command.dims[abi::npu::dim::kRows] = 1;
  command.dims[abi::npu::dim::kColumns] = 64;
  return command;
}

inline abi::npu::Command nothing() { return {}; }

/// The body in a thread of the fake CPU 0, to its end.
inline void in_thread(std::function<void()> body) {
  threads::start("test", std::move(body));
  threads::run_until_idle();
}

}  // namespace guest::npu::testing
