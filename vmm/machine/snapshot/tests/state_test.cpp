#include "vmm/machine/snapshot/state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "vmm/base/file.hpp"

namespace vmm::snapshot {
namespace {

MachineState example() {
  MachineState state;
  state.configuration = {.name = "hello",
                         .memory_bytes = 256 << 20,
                         .huge_pages = false,
                         .gic_version = 3,
                         .pmu = true,
                         .pointer_authentication = false,
                         .stolen_time = true,
                         .counter_hz = 62'500'000,
                         .kernel_format = "auto",
                         .boot_arguments = "console=ttyAMA0",
                         .has_initrd = true,
                         .npu = "threads=2"};
  state.virtual_counter = 12345;
  state.cpus.resize(2);
  state.cpus[1].run_state = 3;
  state.cpus[1].registers = {{.id = 0x6030'0000'0010'0000, .value = {std::byte{7}}}, {.id = 9, .value = {}}};
  state.gic = {{.attribute = 1, .value = 2, .group = 3, .size_bytes = 4}};
  state.stolen_time.resize(4096, std::byte{5});
  state.console.imsc = 0x50;
  state.clock.offset = 17;
  state.transports.resize(2);
  state.transports[0].driver_features = 0x1'2345'6789;
  state.vsock = vsock::DeviceState{.next_host_port = 2000};
  state.npu = npu::DeviceState{.device_ns = 99,
                               .power = 1,
                               .regions = {{.address = 64, .bytes = 128, .flags = 1, .handle = 4096}},
                               .control_heads = {3},
                               .job_heads = {4, 5}};
  return state;
}

std::string error_of(const std::vector<std::byte>& bytes) {
  const auto state = decode(bytes);
  return state ? "none" : state.error().message;
}

/// Replaces the first occurrence of one 32-bit number.
std::vector<std::byte> replaced(std::uint32_t from, std::uint32_t to) {
  std::vector<std::byte> bytes = encode(example());
  const auto pattern = std::as_bytes(std::span(&from, 1));
  const auto place = std::search(bytes.begin(), bytes.end(), pattern.begin(), pattern.end());
  EXPECT_NE(place, bytes.end());
  std::memcpy(&*place, &to, sizeof to);
  return bytes;
}

TEST(SnapshotState, is_read_as_it_was_written) {
  const MachineState before = example();
  const auto state = decode(encode(before));
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(encode(*state), encode(before));
  EXPECT_EQ(state->configuration.boot_arguments, "console=ttyAMA0");
  EXPECT_EQ(state->configuration.counter_hz, 62'500'000U);
  EXPECT_TRUE(state->configuration.pmu);
  EXPECT_FALSE(state->configuration.pointer_authentication);
  ASSERT_EQ(state->cpus.size(), 2U);
  EXPECT_EQ(state->cpus[1].run_state, 3U);
  EXPECT_EQ(state->cpus[1].registers.at(0).value[0], std::byte{7});
  EXPECT_EQ(state->gic.at(0).value, 2U);
  EXPECT_EQ(state->transports.at(0).driver_features, 0x1'2345'6789U);
  ASSERT_TRUE(state->vsock);
  EXPECT_EQ(state->vsock->next_host_port, 2000U);
  ASSERT_TRUE(state->npu);
  EXPECT_EQ(state->npu->device_ns, 99U);
  EXPECT_EQ(state->npu->regions.at(0).handle, 4096U);
  EXPECT_EQ(state->npu->job_heads, (std::vector<std::uint16_t>{4, 5}));
  EXPECT_EQ(npu_of(*state)->threads, 2U);
}

TEST(SnapshotState, every_shorter_file_is_refused) {
  const std::vector<std::byte> whole = encode(example());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode(std::span(whole).first(size))) << size;
  }
}

TEST(SnapshotState, bytes_behind_the_end_are_refused) {
  std::vector<std::byte> bytes = encode(example());
  bytes.push_back(std::byte{0});
  EXPECT_EQ(error_of(bytes), "the snapshot is damaged: 1 bytes behind the end");
}

TEST(SnapshotState, other_files_are_refused) {
  EXPECT_EQ(error_of(std::vector<std::byte>(100)), "not a snapshot: it does not begin with SIS-SNAP");
}

TEST(SnapshotState, another_version_is_refused_by_its_number) {
  std::vector<std::byte> bytes = encode(example());
  bytes[8] = std::byte{3};
  EXPECT_EQ(error_of(bytes),
            "the snapshot has version 3, this sisvmm reads version 2: restore it with the sisvmm that made it");
}

TEST(SnapshotState, another_byte_order_is_refused) {
  EXPECT_EQ(error_of(replaced(0x0102'0304, 0x0403'0201)), "the snapshot is of a host with another byte order");
}

TEST(SnapshotState, counts_beyond_the_file_take_no_memory) {
  std::vector<std::byte> bytes = encode(example());
  // The two registers of the second CPU are the only "2" that is followed by a register's id.
  const std::uint32_t count = 2;
  const std::uint64_t id = 0x6030'0000'0010'0000;
  std::vector<std::byte> pattern(12);
  std::memcpy(pattern.data(), &count, 4);
  std::memcpy(pattern.data() + 4, &id, 8);
  const auto place = std::search(bytes.begin(), bytes.end(), pattern.begin(), pattern.end());
  ASSERT_NE(place, bytes.end());
  const std::uint32_t many = 0xffff'ffff;
  std::memcpy(&*place, &many, 4);
  EXPECT_NE(error_of(bytes).find("registers, before byte"), std::string::npos);
  EXPECT_NE(error_of(bytes).find("4294967295 items, more than the file holds"), std::string::npos);
}

TEST(SnapshotState, values_that_no_machine_has_are_refused) {
  MachineState state = example();
  state.configuration.gic_version = 4;
  EXPECT_EQ(error_of(encode(state)), "the snapshot is damaged: GIC version 4, expected 2 or 3");
  state = example();
  state.configuration.kernel_format = "zip";
  EXPECT_EQ(error_of(encode(state)), "the snapshot is damaged: kernel format 'zip' is not known");
  state = example();
  state.cpus.clear();
  EXPECT_EQ(error_of(encode(state)), "the snapshot is damaged: a machine without a CPU");
  state = example();
  state.transports.clear();
  EXPECT_EQ(error_of(encode(state)), "the snapshot is damaged: 0 virtio devices, but the state of 2");
  state = example();
  state.configuration.npu = "threads=0";
  EXPECT_THAT(error_of(encode(state)), testing::HasSubstr("given 'threads=0'"));
}

TEST(SnapshotState, folder_without_a_snapshot_is_named) {
  std::string folder = testing::TempDir() + "sis-snapshot-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto none = read_machine(folder);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("no snapshot in " + folder), std::string::npos);
  EXPECT_EQ(none.error().exit_code, abi::ExitCode::Usage);
  ASSERT_TRUE(write_file(std::filesystem::path(folder) / file::kMachine, std::string("short")));
  const auto bad = read_machine(folder);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, folder + "/machine: not a snapshot: too short");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vmm::snapshot
