#include "guest/kernel/machine_info.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tree_builder.hpp"

namespace guest::kernel {
namespace {

using testing::cells;
using testing::text;
using testing::texts;
using testing::TreeBlob;
using testing::TreeNode;
using testing::u64;

constexpr std::uint32_t kGic = 0x8001;

/// A machine like QEMU's virt, with GICv3, one CPU and two virtio slots.
TreeNode machine() {
  TreeNode root("");
  root.set("#address-cells", cells({2})).set("#size-cells", cells({2})).set("interrupt-parent", cells({kGic}));
  root.add("chosen").set("stdout-path", text("/pl011@9000000"));
  root.add("memory@40000000").set("device_type", text("memory")).set("reg", cells({0, 0x40000000, 0, 0x20000000}));
  TreeNode& cpus = root.add("cpus").set("#address-cells", cells({1})).set("#size-cells", cells({0}));
  cpus.add("cpu@0").set("device_type", text("cpu")).set("reg", cells({0}));
  root.add("timer")
      .set("compatible", text("arm,armv8-timer"))
      .set("interrupts", cells({1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4}));
  root.add("pl011@9000000")
      .set("compatible", texts({"arm,pl011", "arm,primecell"}))
      .set("reg", cells({0, 0x9000000, 0, 0x1000}))
      .set("interrupts", cells({0, 1, 4}));
  root.add("virtio_mmio@a000200")
      .set("compatible", text("virtio,mmio"))
      .set("reg", cells({0, 0xa000200, 0, 0x200}))
      .set("interrupts", cells({0, 17, 1}));
  root.add("virtio_mmio@a000000")
      .set("compatible", text("virtio,mmio"))
      .set("reg", cells({0, 0xa000000, 0, 0x200}))
      .set("interrupts", cells({0, 16, 1}));
  root.add("psci").set("compatible", text("arm,psci-1.0")).set("method", text("hvc"));
  root.add("intc@8000000")
      .set("compatible", text("arm,gic-v3"))
      .set("#interrupt-cells", cells({3}))
      .set("phandle", cells({kGic}))
      .set("reg", cells({0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0, 0xf60000}));
  return root;
}

MachineInfo read(const TreeNode& root) {
  const TreeBlob blob(root);
  MachineInfo info;
  const Outcome outcome = read_machine_info(blob.bytes(), info);
  EXPECT_TRUE(outcome) << outcome.error().name << ": " << outcome.error().detail.view();
  return info;
}

/// "name: detail" of the error.
std::string error_of(std::span<const std::byte> tree) {
  MachineInfo info;
  const Outcome outcome = read_machine_info(tree, info);
  return outcome ? "no error" : std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
}
std::string error_of(const TreeNode& root) {
  const TreeBlob blob(root);
  return error_of(blob.bytes());
}

constexpr PhysRange range(std::uint64_t base, std::uint64_t size) { return {PhysAddr{base}, size}; }

TEST(MachineInfo, plain_machine_is_read) {
  const MachineInfo info = read(machine());
  ASSERT_EQ(info.memory.size(), 1U);
  EXPECT_EQ(info.memory[0], range(0x40000000, 0x20000000));
  EXPECT_EQ(info.memory_bytes(), 0x20000000U);
  EXPECT_EQ(info.gic.version, 3);
  EXPECT_EQ(info.gic.distributor, range(0x8000000, 0x10000));
  ASSERT_EQ(info.gic.redistributors.size(), 1U);
  EXPECT_EQ(info.gic.redistributors[0], range(0x80a0000, 0xf60000));
  EXPECT_EQ(info.virtual_timer, (DeviceInterrupt{IntId{27}, Trigger::Level}));
  EXPECT_EQ(info.psci, PsciMethod::Hvc);
  EXPECT_EQ(info.cpus.size(), 1U);
  EXPECT_EQ(info.console.kind, ConsoleKind::Pl011);
  EXPECT_EQ(info.console.registers, range(0x9000000, 0x1000));
  EXPECT_EQ(info.console.interrupt, (DeviceInterrupt{IntId{33}, Trigger::Level}));
  EXPECT_EQ(info.initrd.size, 0U);
}

TEST(MachineInfo, virtio_slots_are_sorted_by_address) {
  const MachineInfo info = read(machine());
  ASSERT_EQ(info.virtio.size(), 2U);
  EXPECT_EQ(info.virtio[0].registers, range(0xa000000, 0x200));
  EXPECT_EQ(info.virtio[0].interrupt, (DeviceInterrupt{IntId{48}, Trigger::Edge}));
  EXPECT_EQ(info.virtio[1].registers, range(0xa000200, 0x200));
}

TEST(MachineInfo, several_memory_ranges_above_4_gib_are_sorted) {
  TreeNode root = machine();
  root.at("memory@40000000").set("reg", cells({8, 0, 1, 0, 0, 0x40000000, 0, 0x1000, 0, 0, 0, 0}));
  root.add("memory@2").set("device_type", text("memory")).set("reg", cells({2, 0, 0, 0x200000}));
  const MachineInfo info = read(root);
  ASSERT_EQ(info.memory.size(), 3U);
  EXPECT_EQ(info.memory[0], range(0x40000000, 0x1000));
  EXPECT_EQ(info.memory[1], range(0x2'0000'0000, 0x200000));
  EXPECT_EQ(info.memory[2], range(0x8'0000'0000, 0x1'0000'0000));
}

TEST(MachineInfo, chosen_gives_initrd_arguments_and_seeds) {
  TreeNode root = machine();
  root.at("chosen")
      .set("linux,initrd-start", cells({0x48000000}))
      .set("linux,initrd-end", u64(0x48001234))
      .set("bootargs", text("verbosity=debug"))
      .set("rng-seed", testing::ByteVector(80, 7))
      .set("kaslr-seed", u64(0x0123456789abcdef));
  const MachineInfo info = read(root);
  EXPECT_EQ(info.initrd, range(0x48000000, 0x1234));
  EXPECT_EQ(info.boot_arguments.view(), "verbosity=debug");
  EXPECT_EQ(info.rng_seed.size(), MachineInfo::kMaxSeedBytes);
  EXPECT_EQ(info.kaslr_seed, 0x0123456789abcdefU);
}

TEST(MachineInfo, reserved_memory_and_reserve_map_are_gathered) {
  TreeNode root = machine();
  TreeNode& reserved =
      root.add("reserved-memory").set("#address-cells", cells({2})).set("#size-cells", cells({2})).set("ranges", {});
  reserved.add("secure@50000000").set("reg", cells({0, 0x50000000, 0, 0x10000})).set("no-map", {});
  reserved.add("dynamic").set("size", cells({0, 0x1000}));
  const std::pair<std::uint64_t, std::uint64_t> map[] = {{0x41000000, 0x2000}};
  const TreeBlob blob(root, map);
  MachineInfo info;
  ASSERT_TRUE(read_machine_info(blob.bytes(), info));
  ASSERT_EQ(info.reserved.size(), 2U);
  EXPECT_EQ(info.reserved[0], range(0x50000000, 0x10000));
  EXPECT_EQ(info.reserved[1], range(0x41000000, 0x2000));
}

TEST(MachineInfo, stdout_through_an_alias_with_options_finds_the_16550) {
  TreeNode root = machine();
  root.add("serial@3f8")
      .set("compatible", text("ns16550a"))
      .set("reg", cells({0, 0x3f8000, 0, 0x100}))
      .set("reg-shift", cells({2}))
      .set("reg-io-width", cells({4}))
      .set("interrupts", cells({0, 4, 1}));
  root.add("aliases").set("serial0", text("/serial@3f8"));
  root.at("chosen").set("stdout-path", text("serial0:115200n8"));
  const MachineInfo info = read(root);
  EXPECT_EQ(info.console.kind, ConsoleKind::Ns16550);
  EXPECT_EQ(info.console.registers, range(0x3f8000, 0x100));
  EXPECT_EQ(info.console.register_shift, 2);
  EXPECT_EQ(info.console.register_width_bytes, 4);
  EXPECT_EQ(info.console.interrupt, (DeviceInterrupt{IntId{36}, Trigger::Edge}));
}

TEST(MachineInfo, unknown_stdout_falls_back_to_the_first_uart) {
  TreeNode root = machine();
  root.at("chosen").set("stdout-path", text("/nowhere"));
  EXPECT_EQ(read(root).console.kind, ConsoleKind::Pl011);
  EXPECT_TRUE(read(root).console.stdout_not_found);
  root.at("chosen").set("stdout-path", text("serial9:9600"));
  EXPECT_TRUE(read(root).console.stdout_not_found);
  EXPECT_FALSE(read(machine()).console.stdout_not_found);
}

TEST(MachineInfo, disabled_uart_is_not_used) {
  TreeNode root = machine();
  root.at("pl011@9000000").set("status", text("disabled"));
  EXPECT_EQ(read(root).console.kind, ConsoleKind::None);
}

TEST(MachineInfo, uart_on_a_bus_is_translated) {
  TreeNode root = machine();
  root.drop("pl011@9000000");
  TreeNode& soc = root.add("soc")
                      .set("compatible", text("simple-bus"))
                      .set("#address-cells", cells({1}))
                      .set("#size-cells", cells({1}))
                      .set("ranges", cells({0x100000, 4, 0x100000, 0x1000, 0x7e000000, 1, 0xfe000000, 0x1000000}));
  soc.add("serial@7e201000").set("compatible", text("arm,pl011")).set("reg", cells({0x7e201000, 0x1000}));
  root.at("chosen").set("stdout-path", text("/soc/serial@7e201000"));
  EXPECT_EQ(read(root).console.registers, range(0x1'fe201000, 0x1000));
}

TEST(MachineInfo, gicv2_has_a_cpu_interface_and_ppi_flags_may_hold_a_cpu_mask) {
  TreeNode root = machine();
  root.at("intc@8000000")
      .set("compatible", text("arm,cortex-a15-gic"))
      .set("reg", cells({0, 0x8000000, 0, 0x10000, 0, 0x8010000, 0, 0x10000}));
  root.at("timer").set("interrupts", cells({1, 13, 0x104, 1, 14, 0x104, 1, 11, 0x104, 1, 10, 0x104}));
  const MachineInfo info = read(root);
  EXPECT_EQ(info.gic.version, 2);
  EXPECT_EQ(info.gic.cpu_interface, range(0x8010000, 0x10000));
  EXPECT_EQ(info.virtual_timer, (DeviceInterrupt{IntId{27}, Trigger::Level}));
}

TEST(MachineInfo, named_timer_interrupts_are_found_by_name) {
  TreeNode root = machine();
  root.at("timer").set("interrupts", cells({1, 11, 4, 1, 14, 4})).set("interrupt-names", texts({"virt", "phys"}));
  EXPECT_EQ(read(root).virtual_timer, (DeviceInterrupt{IntId{27}, Trigger::Level}));
}

TEST(MachineInfo, tree_in_larger_memory_is_read) {
  const TreeBlob blob(machine());
  testing::ByteVector larger(blob.size() + 4096, 0xEE);
  std::memcpy(larger.data(), blob.bytes().data(), blob.size());
  const TreeBlob memory{std::span<const std::uint8_t>(larger)};
  EXPECT_EQ(error_of(memory.bytes()), "no error");
}

// ---- errors -------------------------------------------------------------------------------------------------------

TEST(MachineInfoErrors, header) {
  TreeBlob blob(machine());
  EXPECT_EQ(error_of(blob.bytes().first(10)), "tree-truncated: 10 bytes, a header alone has 40");
  EXPECT_EQ(error_of(blob.bytes().first(blob.size() - 8)).substr(0, 31), "tree-truncated: the header says");
  EXPECT_EQ(error_of(blob.bytes().subspan(4)).substr(0, 16), "tree-misaligned:");
  blob.data()[23] = 16;
  EXPECT_EQ(error_of(blob.bytes()), "tree-bad-version: version 16, compatible with 16; expected 17");
  blob.data()[0] = 0;
  EXPECT_EQ(error_of(blob.bytes()), "tree-bad-magic: found 0xdfeed, expected 0xd00dfeed");
}

TEST(MachineInfoErrors, property_of_the_wrong_size_is_named_with_what_was_found) {
  TreeNode root = machine();
  root.at("virtio_mmio@a000000").set("reg", cells({0, 0xa000000, 1}));
  EXPECT_EQ(
      error_of(root),
      "machine-bad-property: node 'virtio_mmio@a000000', property 'reg' (12 bytes): expected address and size for "
      "each register range; found 00 00 00 00 0a 00 00 00 00 00 00 01");
}

TEST(MachineInfoErrors, node_names_are_escaped) {
  TreeNode root = machine();
  root.add("virtio_mmio\x1e@1").set("compatible", text("virtio,mmio"));
  EXPECT_NE(error_of(root).find("'virtio_mmio\\x1e@1'"), std::string::npos) << error_of(root);
}

struct Breakage {
  const char* label;
  void (*change)(TreeNode&);
  const char* error;
};
class MachineInfoBreakage : public ::testing::TestWithParam<Breakage> {};

TEST_P(MachineInfoBreakage, is_refused_by_name) {
  TreeNode root = machine();
  GetParam().change(root);
  const std::string error = error_of(root);
  EXPECT_NE(error.find(GetParam().error), std::string::npos) << error;
}

const Breakage kBreakages[] = {
    {"no_memory", [](TreeNode& r) { r.drop("memory@40000000"); }, "machine-missing: no memory"},
    {"no_gic", [](TreeNode& r) { r.drop("intc@8000000"); }, "machine-missing: no GIC"},
    {"no_cpu", [](TreeNode& r) { r.at("cpus").drop("cpu@0"); }, "machine-missing: no CPU"},
    {"no_timer", [](TreeNode& r) { r.drop("timer"); }, "machine-missing: no timer"},
    {"short_timer", [](TreeNode& r) { r.at("timer").set("interrupts", cells({1, 13, 4, 1, 14, 4})); },
     "machine-bad-interrupt: timer at 0x0: its interrupts have the wrong number of bytes (24)"},
    {"memory_wraps", [](TreeNode& r) { r.at("memory@40000000").set("reg", cells({0xffffffff, 0, 0xffffffff, 0})); },
     "a range below 2^52"},
    {"memory_ends_beyond_the_bus",
     [](TreeNode& r) { r.at("memory@40000000").set("reg", cells({0, 0x40000000, 0xffffffff, 0xffffffff})); },
     "a range below 2^52"},
    {"memory_overlaps",
     [](TreeNode& r) {
       r.at("memory@40000000").set("reg", cells({0, 0x40000000, 0, 0x2000, 0, 0x40001000, 0, 0x2000}));
     },
     "machine-bad-memory: memory ranges overlap at 0x40001000"},
    {"initrd_outside",
     [](TreeNode& r) {
       r.at("chosen").set("linux,initrd-start", u64(0x5fffffff)).set("linux,initrd-end", u64(0x60000001));
     },
     "machine-bad-memory: the initrd (0x2 bytes at 0x5fffffff) does not lie in memory"},
    {"initrd_backwards",
     [](TreeNode& r) {
       r.at("chosen").set("linux,initrd-start", u64(0x48001000)).set("linux,initrd-end", u64(0x48000000));
     },
     "before its start"},
    {"initrd_without_end", [](TreeNode& r) { r.at("chosen").set("linux,initrd-start", u64(0x48001000)); },
     "'linux,initrd-end' (0 bytes)"},
    {"bootargs_not_terminated", [](TreeNode& r) { r.at("chosen").set("bootargs", {'a', 'b'}); },
     "one text ended by a NUL; found 61 62"},
    {"bootargs_too_long", [](TreeNode& r) { r.at("chosen").set("bootargs", text(std::string(1025, 'a'))); },
     "1025 characters, at most 1024 fit"},
    {"cells_too_many", [](TreeNode& r) { r.set("#address-cells", cells({3})); }, "3 address cells"},
    {"cells_huge", [](TreeNode& r) { r.set("#size-cells", cells({0xffffffff})); }, "4294967295 size cells"},
    {"other_controller", [](TreeNode& r) { r.at("virtio_mmio@a000000").set("interrupt-parent", cells({5})); },
     "machine-bad-interrupt: virtio-mmio slot at 0xa000000: its interrupt parent is not the GIC (5)"},
    {"spi_too_large", [](TreeNode& r) { r.at("virtio_mmio@a000000").set("interrupts", cells({0, 988, 1})); },
     "the GIC has no such interrupt (988)"},
    {"no_trigger", [](TreeNode& r) { r.at("virtio_mmio@a000000").set("interrupts", cells({0, 16, 0})); },
     "no such trigger (0)"},
    {"virtio_overlap", [](TreeNode& r) { r.at("virtio_mmio@a000000").set("reg", cells({0, 0xa000100, 0, 0x200})); },
     "virtio-mmio slots overlap at 0xa000200"},
    {"virtio_small", [](TreeNode& r) { r.at("virtio_mmio@a000000").set("reg", cells({0, 0xa000000, 0, 0xff})); },
     "machine-bad-property: node 'virtio_mmio@a000000'"},
    {"gic_regions", [](TreeNode& r) { r.at("intc@8000000").set("#redistributor-regions", cells({9})); },
     "1 to 8 regions"},
    {"gic_without_redistributor",
     [](TreeNode& r) { r.at("intc@8000000").set("reg", cells({0, 0x8000000, 0, 0x10000})); },
     "node 'intc@8000000', property 'reg'"},
    {"psci_method", [](TreeNode& r) { r.at("psci").set("method", text("svc")); }, "'hvc' or 'smc'"},
    {"too_many_slots",
     [](TreeNode& r) {
       for (std::uint32_t i = 0; i < 63; ++i) {
         r.add("virtio@" + std::to_string(i))
             .set("compatible", text("virtio,mmio"))
             .set("reg", cells({0, 0xb000000 + i * 0x200, 0, 0x200}))
             .set("interrupts", cells({0, 20 + i, 1}));
       }
     },
     "machine-too-many: more than 64 virtio-mmio slots"},
    {"nested_too_deep",
     [](TreeNode& r) {
       TreeNode* node = &r;
       for (int i = 0; i < 17; ++i) {
         node = &node->add("n");
       }
     },
     "nested too deep"},
};
INSTANTIATE_TEST_SUITE_P(All, MachineInfoBreakage, ::testing::ValuesIn(kBreakages),
                         [](const auto& test) { return std::string(test.param.label); });

TEST(MachineInfoErrors, console_is_known_despite_an_error_elsewhere) {
  TreeNode root = machine();
  root.at("psci").set("method", text("svc"));
  const TreeBlob blob(root);
  MachineInfo info;
  ASSERT_FALSE(read_machine_info(blob.bytes(), info));
  EXPECT_EQ(info.console.kind, ConsoleKind::Pl011);
}

// Each byte of a valid tree changed in turn: nothing may be read outside of it (ASan) and nothing may be endless.
TEST(MachineInfoErrors, changed_bytes_are_survived) {
  TreeBlob blob(machine());
  MachineInfo info;
  for (std::size_t i = 0; i < blob.size(); ++i) {
    const std::uint8_t saved = blob.data()[i];
    for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      blob.data()[i] = static_cast<std::uint8_t>(value);
      static_cast<void>(read_machine_info(blob.bytes(), info).has_value());
    }
    blob.data()[i] = saved;
  }
  EXPECT_EQ(error_of(blob.bytes()), "no error");
}

// ---- QEMU's own tree ----------------------------------------------------------------------------------------------

/// The tree of QEMU's virt machine; empty: there is no QEMU here.
std::vector<std::uint8_t> qemu_tree(const std::string& options) {
  char path[] = "/tmp/sis-dtb-XXXXXX";
  const int fd = mkstemp(path);
  if (fd < 0) {
    return {};
  }
  close(fd);
  const std::string command = "qemu-system-aarch64 -nodefaults -display none -M virt,dumpdtb=" + std::string(path) +
                              options + " >/dev/null 2>&1";
  const int status = std::system(command.c_str());
  std::vector<std::uint8_t> bytes;
  if (status == 0) {
    std::ifstream file(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  unlink(path);
  return bytes;
}

class QemuTree : public ::testing::TestWithParam<int> {};

TEST_P(QemuTree, virt_machine_is_read_whole) {
  const auto bytes = qemu_tree(",gic-version=" + std::to_string(GetParam()) + " -cpu cortex-a72 -smp 8 -m 4096");
  if (bytes.empty()) {
    GTEST_SKIP() << "qemu-system-aarch64 is not installed";
  }
  const TreeBlob blob{std::span<const std::uint8_t>(bytes)};
  MachineInfo info;
  const Outcome outcome = read_machine_info(blob.bytes(), info);
  ASSERT_TRUE(outcome) << outcome.error().name << ": " << outcome.error().detail.view();
  ASSERT_EQ(info.memory.size(), 1U);
  EXPECT_EQ(info.memory[0], range(0x40000000, 0x1'0000'0000));
  EXPECT_EQ(info.gic.version, GetParam());
  EXPECT_EQ(info.gic.distributor, range(0x8000000, 0x10000));
  EXPECT_EQ(info.virtual_timer, (DeviceInterrupt{IntId{27}, Trigger::Level}));
  EXPECT_EQ(info.psci, PsciMethod::Hvc);
  ASSERT_EQ(info.cpus.size(), 8U);
  for (std::size_t i = 0; i < info.cpus.size(); ++i) {
    EXPECT_EQ(info.cpus[i].affinity, i);
    EXPECT_TRUE(info.cpus[i].psci);
  }
  EXPECT_EQ(info.console.kind, ConsoleKind::Pl011);
  EXPECT_EQ(info.console.interrupt, (DeviceInterrupt{IntId{33}, Trigger::Level}));
  ASSERT_EQ(info.virtio.size(), 32U);
  EXPECT_EQ(info.virtio[0].registers, range(0xa000000, 0x200));
  EXPECT_EQ(info.virtio[31].interrupt, (DeviceInterrupt{IntId{79}, Trigger::Edge}));
  EXPECT_EQ(info.rtc, range(0x9010000, 0x1000));
}
INSTANTIATE_TEST_SUITE_P(GicVersions, QemuTree, ::testing::Values(2, 3));

}  // namespace
}  // namespace guest::kernel
