#include "vmm/machine/board/device_tree.hpp"

#include <gmock/gmock.h>
#include <libfdt.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "vmm/base/subprocess.hpp"

namespace vmm::board {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A tree, read by libfdt.
class Tree {
 public:
  explicit Tree(const DeviceTreeConfig& config) {
    auto written = write_device_tree(config);
    EXPECT_TRUE(written.has_value()) << written.error().message;
    if (written) bytes_ = std::move(*written);
    EXPECT_EQ(fdt_check_full(bytes_.data(), bytes_.size()), 0);
  }
  [[nodiscard]] bool has(const char* path) const { return fdt_path_offset(bytes_.data(), path) >= 0; }
  /// The property's bytes; "missing" where there is none.
  [[nodiscard]] std::string raw(const char* path, const char* name) const {
    int length = 0;
    const void* value = fdt_getprop(bytes_.data(), fdt_path_offset(bytes_.data(), path), name, &length);
    if (value == nullptr) return "missing";
    return {static_cast<const char*>(value), static_cast<std::size_t>(length)};
  }
  [[nodiscard]] std::string text(const char* path, const char* name) const { return raw(path, name).c_str(); }
  [[nodiscard]] std::vector<std::uint64_t> cells(const char* path, const char* name) const {
    const std::string value = raw(path, name);
    std::vector<std::uint64_t> cells;
    for (std::size_t i = 0; i + 4 <= value.size(); i += 4) cells.push_back(fdt32_ld(as_cell(value, i)));
    return cells;
  }
  /// Pairs of 64-bit numbers, as in `reg`.
  [[nodiscard]] std::vector<std::uint64_t> numbers(const char* path, const char* name) const {
    const auto parts = cells(path, name);
    std::vector<std::uint64_t> numbers;
    for (std::size_t i = 0; i + 2 <= parts.size(); i += 2) numbers.push_back(parts[i] << 32 | parts[i + 1]);
    return numbers;
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  static const fdt32_t* as_cell(const std::string& value, std::size_t at) {
    return static_cast<const fdt32_t*>(static_cast<const void*>(value.data() + at));
  }
  std::vector<std::byte> bytes_;
};

DeviceTreeConfig usual() {
  return {.ram = {kRamBase, 256ull << 20},
          .gic = GicVersion::V3,
          .cpu_affinities = {0, 1},
          .pmu = true,
          .virtio_slots = {0, 3},
          .boot_arguments = "console=ttyAMA0 quiet",
          .initrd = AddressRange{Gpa(0x4800'0000), 0x1234},
          .seed = {}};
}

TEST(DeviceTree, memory_and_boot_files_are_told) {
  const Tree tree(usual());
  EXPECT_EQ(tree.text("/memory@40000000", "device_type"), "memory");
  EXPECT_THAT(tree.numbers("/memory@40000000", "reg"), ElementsAre(0x4000'0000, 256 << 20));
  EXPECT_EQ(tree.text("/chosen", "stdout-path"), "/pl011@9000000");
  EXPECT_EQ(tree.text("/chosen", "bootargs"), "console=ttyAMA0 quiet");
  EXPECT_THAT(tree.numbers("/chosen", "linux,initrd-start"), ElementsAre(0x4800'0000));
  EXPECT_THAT(tree.numbers("/chosen", "linux,initrd-end"), ElementsAre(0x4800'1234));
}

TEST(DeviceTree, what_the_machine_has_not_is_left_out) {
  DeviceTreeConfig config = usual();
  config.boot_arguments.clear();
  config.initrd.reset();
  config.pmu = false;
  config.virtio_slots.clear();
  const Tree tree(config);
  EXPECT_EQ(tree.raw("/chosen", "bootargs"), "missing");
  EXPECT_EQ(tree.raw("/chosen", "linux,initrd-start"), "missing");
  EXPECT_EQ(tree.raw("/chosen", "rng-seed"), "missing");
  EXPECT_FALSE(tree.has("/pmu"));
  EXPECT_FALSE(tree.has("/virtio_mmio@a000000"));
}

TEST(DeviceTree, cpus_start_through_psci) {
  DeviceTreeConfig config = usual();
  config.cpu_affinities = {0, 0x1'0000'0001};
  const Tree tree(config);
  EXPECT_EQ(tree.text("/cpus/cpu@0", "enable-method"), "psci");
  EXPECT_EQ(tree.text("/cpus/cpu@0", "device_type"), "cpu");
  EXPECT_THAT(tree.numbers("/cpus/cpu@100000001", "reg"), ElementsAre(0x1'0000'0001));
  EXPECT_EQ(tree.raw("/psci", "compatible"), std::string("arm,psci-1.0\0arm,psci-0.2\0", 26));
  EXPECT_EQ(tree.text("/psci", "method"), "hvc");
}

TEST(DeviceTree, gic_v3_has_a_redistributor_for_each_cpu) {
  const Tree tree(usual());
  EXPECT_EQ(tree.text("/intc@8000000", "compatible"), "arm,gic-v3");
  EXPECT_THAT(tree.numbers("/intc@8000000", "reg"), ElementsAre(0x0800'0000, 0x1'0000, 0x080a'0000, 0x4'0000));
  EXPECT_THAT(tree.cells("/timer", "interrupts"), ElementsAre(1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4));
  EXPECT_THAT(tree.cells("/pmu", "interrupts"), ElementsAre(1, 7, 4));
}

TEST(DeviceTree, gic_v2_has_a_cpu_interface_and_names_its_cpus) {
  DeviceTreeConfig config = usual();
  config.gic = GicVersion::V2;
  const Tree tree(config);
  EXPECT_EQ(tree.text("/intc@8000000", "compatible"), "arm,cortex-a15-gic");
  EXPECT_THAT(tree.numbers("/intc@8000000", "reg"), ElementsAre(0x0800'0000, 0x1'0000, 0x0801'0000, 0x1'0000));
  EXPECT_THAT(tree.cells("/pmu", "interrupts"), ElementsAre(1, 7, 0x304));
}

TEST(DeviceTree, devices_lie_where_the_address_map_says) {
  const Tree tree(usual());
  EXPECT_THAT(tree.numbers("/pl011@9000000", "reg"), ElementsAre(0x0900'0000, 0x1000));
  EXPECT_THAT(tree.cells("/pl011@9000000", "interrupts"), ElementsAre(0, 1, 4));
  EXPECT_THAT(tree.cells("/pl031@9010000", "interrupts"), ElementsAre(0, 2, 4));
  EXPECT_EQ(tree.cells("/pl011@9000000", "clocks")[0], tree.cells("/apb-pclk", "phandle")[0]);
  EXPECT_THAT(tree.numbers("/virtio_mmio@a000600", "reg"), ElementsAre(0x0a00'0600, 0x200));
  EXPECT_THAT(tree.cells("/virtio_mmio@a000600", "interrupts"), ElementsAre(0, 19, 1));
  EXPECT_TRUE(tree.has("/virtio_mmio@a000000"));
  EXPECT_FALSE(tree.has("/virtio_mmio@a000200"));
}

TEST(DeviceTree, seed_is_handed_over_in_two_parts) {
  std::array<std::byte, 40> seed{};
  seed[7] = std::byte{7};
  seed[8] = std::byte{8};
  DeviceTreeConfig config = usual();
  config.seed = seed;
  const Tree tree(config);
  EXPECT_THAT(tree.numbers("/chosen", "kaslr-seed"), ElementsAre(7));
  EXPECT_EQ(tree.raw("/chosen", "rng-seed").size(), 32u);
  EXPECT_EQ(tree.raw("/chosen", "rng-seed")[0], '\x08');
}

TEST(DeviceTree, long_command_line_and_many_devices_fit) {
  DeviceTreeConfig config = usual();
  config.boot_arguments.assign(100'000, 'x');
  config.virtio_slots.clear();
  for (unsigned slot = 0; slot < kVirtioSlots; ++slot) config.virtio_slots.push_back(slot);
  const Tree tree(config);
  EXPECT_EQ(tree.text("/chosen", "bootargs").size(), 100'000u);
  EXPECT_TRUE(tree.has("/virtio_mmio@a003e00"));
}

TEST(DeviceTree, endless_command_line_is_refused) {
  DeviceTreeConfig config = usual();
  config.boot_arguments.assign(kMaxDeviceTreeBytes, 'x');
  EXPECT_THAT(write_device_tree(config).error().message, HasSubstr("the device tree has more than"));
}

TEST(DeviceTree, machine_without_cpus_is_refused) {
  DeviceTreeConfig config = usual();
  config.cpu_affinities.clear();
  EXPECT_THAT(write_device_tree(config).error().message, HasSubstr("at least one CPU"));
}

/// dtc's own checks of what bindings have in common (unit names, cells, phandles, interrupts).
TEST(DeviceTree, dtc_has_no_warning) {
  constexpr int kTimeoutMs = 20000;
  const auto dtc = find_program("dtc");
  if (!dtc) GTEST_SKIP() << "there is no dtc (package device-tree-compiler)";
  for (const GicVersion gic : {GicVersion::V2, GicVersion::V3}) {
    DeviceTreeConfig config = usual();
    config.gic = gic;
    const Tree tree(config);
    const std::string path = ::testing::TempDir() + "/machine.dtb";
    // char may alias anything.
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(tree.bytes().data()), static_cast<std::streamsize>(tree.bytes().size()));
    const auto output = run_program({*dtc, "-I", "dtb", "-O", "dts", "-o", "/dev/null", path}, kTimeoutMs);
    ASSERT_TRUE(output.has_value());
    EXPECT_TRUE(output->status.ok());
    EXPECT_EQ(output->text, "");
  }
}

}  // namespace
}  // namespace vmm::board
