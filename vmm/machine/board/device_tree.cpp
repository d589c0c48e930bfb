#include "vmm/machine/board/device_tree.hpp"

#include <libfdt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <string_view>

namespace vmm::board {
namespace {

// Documentation/devicetree/bindings/interrupt-controller/arm,gic.yaml, "#interrupt-cells".
constexpr std::uint32_t kSpi = 0;
constexpr std::uint32_t kPpi = 1;
constexpr std::uint32_t kEdgeRising = 1;
constexpr std::uint32_t kLevelHigh = 4;

constexpr std::uint32_t kGicPhandle = 1;
constexpr std::uint32_t kClockPhandle = 2;
/// What QEMU's `virt` says of the UART's clock; nothing here has a speed.
constexpr std::uint32_t kClockHz = 24'000'000;

/// Names with a terminator after each: a stringlist property.
constexpr std::string_view kPsciCompatible("arm,psci-1.0\0arm,psci-0.2", 25);
constexpr std::string_view kPl011Compatible("arm,pl011\0arm,primecell", 23);
constexpr std::string_view kPl031Compatible("arm,pl031\0arm,primecell", 23);
constexpr std::string_view kUartClockNames("uartclk\0apb_pclk", 16);

/// libfdt's sequential writer. The first error is kept; what follows it does nothing.
class Writer {
 public:
  explicit Writer(std::size_t bytes) : buffer_(bytes) {
    // Looking for each name among all earlier ones is most of the work, and saves the guest half a KiB.
    note(fdt_create_with_flags(buffer_.data(), static_cast<int>(buffer_.size()), FDT_CREATE_FLAG_NO_NAME_DEDUP));
    note(fdt_finish_reservemap(buffer_.data()));
  }

  /// Opens a node; close() ends it.
  void open(const char* name) {
    if (ok()) note(fdt_begin_node(buffer_.data(), name));
  }
  /// "name@address".
  void open(std::string_view name, Gpa address) {
    std::array<char, 64> text{};
    char* const at = std::ranges::copy(name.substr(0, text.size() / 2), text.begin()).out;
    *at = '@';
    std::to_chars(at + 1, text.end() - 1, address.value(), 16);
    open(text.data());
  }
  void close() {
    if (ok()) note(fdt_end_node(buffer_.data()));
  }

  void bytes(const char* name, std::span<const std::byte> value) {
    if (ok()) note(fdt_property(buffer_.data(), name, value.data(), static_cast<int>(value.size())));
  }
  void flag(const char* name) { bytes(name, {}); }
  /// `value` may hold several strings, each but the last with its terminator.
  void text(const char* name, std::string_view value) {
    if (void* const place = room(name, value.size() + 1)) {
      *std::ranges::copy(value, static_cast<char*>(place)).out = '\0';
    }
  }
  void cells(const char* name, std::initializer_list<std::uint32_t> values) {
    auto* to = static_cast<std::byte*>(room(name, 4 * values.size()));
    if (to == nullptr) return;
    for (const std::uint32_t value : values) {
      for (unsigned shift = 32; shift != 0; shift -= 8) *to++ = static_cast<std::byte>(value >> (shift - 8));
    }
  }
  void cell64(const char* name, std::uint64_t value) { cells(name, {high(value), low(value)}); }
  void reg(AddressRange range) {
    cells("reg", {high(range.base.value()), low(range.base.value()), high(range.size_bytes), low(range.size_bytes)});
  }
  void reg(AddressRange first, AddressRange second) {
    cells("reg",
          {high(first.base.value()), low(first.base.value()), high(first.size_bytes), low(first.size_bytes),
           high(second.base.value()), low(second.base.value()), high(second.size_bytes), low(second.size_bytes)});
  }

  /// Ends the tree. @return libfdt's first error
  int finish() {
    if (ok()) note(fdt_finish(buffer_.data()));
    const void* const tree = buffer_.data();
    if (ok()) buffer_.resize(fdt_totalsize(tree));
    return error_;
  }
  std::vector<std::byte> take() { return std::move(buffer_); }

 private:
  static std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }
  static std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
  [[nodiscard]] bool ok() const { return error_ == 0; }
  /// Begins a property; null if there is no room.
  void* room(const char* name, std::size_t size) {
    void* place = nullptr;
    if (ok()) note(fdt_property_placeholder(buffer_.data(), name, static_cast<int>(size), &place));
    return ok() ? place : nullptr;
  }
  void note(int result) {
    if (error_ == 0 && result < 0) error_ = result;
  }

  std::vector<std::byte> buffer_;
  int error_ = 0;
};

void write_chosen(Writer& tree, const DeviceTreeConfig& config) {
  constexpr std::size_t kLayoutSeedBytes = 8;
  constexpr std::size_t kSeedBytes = 32;
  tree.open("chosen");
  tree.text("stdout-path", "/pl011@9000000");
  if (!config.boot_arguments.empty()) tree.text("bootargs", config.boot_arguments);
  if (config.initrd) {
    tree.cell64("linux,initrd-start", config.initrd->base.value());
    tree.cell64("linux,initrd-end", config.initrd->end().value());
  }
  if (config.seed.size() >= kLayoutSeedBytes + kSeedBytes) {
    tree.bytes("kaslr-seed", config.seed.first(kLayoutSeedBytes));
    tree.bytes("rng-seed", config.seed.subspan(kLayoutSeedBytes));
  }
  tree.close();
}

void write_cpus(Writer& tree, const DeviceTreeConfig& config) {
  tree.open("cpus");
  tree.cells("#address-cells", {2});
  tree.cells("#size-cells", {0});
  for (const std::uint64_t affinity : config.cpu_affinities) {
    tree.open("cpu", Gpa(affinity));
    tree.text("device_type", "cpu");
    tree.text("compatible", "arm,armv8");
    tree.text("enable-method", "psci");
    tree.cell64("reg", affinity);
    tree.close();
  }
  tree.close();

  tree.open("psci");
  tree.text("compatible", kPsciCompatible);
  tree.text("method", "hvc");
  tree.close();
}

void write_interrupts(Writer& tree, const DeviceTreeConfig& config) {
  tree.open("intc", kGicDistributor.base);
  if (config.gic == GicVersion::V3) {
    const AddressRange redistributors{kGicRedistributors.base, config.cpu_affinities.size() * kGicRedistributorBytes};
    tree.text("compatible", "arm,gic-v3");
    tree.reg(kGicDistributor, redistributors);
  } else {
    tree.text("compatible", "arm,cortex-a15-gic");
    tree.reg(kGicDistributor, kGicCpuInterface);
  }
  tree.flag("interrupt-controller");
  tree.cells("#interrupt-cells", {3});
  tree.cells("#address-cells", {0});
  tree.cells("phandle", {kGicPhandle});
  tree.close();

  // With GICv2 the second byte of a PPI's flags names the CPUs that have it.
  const std::uint32_t every_cpu =
      config.gic == GicVersion::V2 ? ((1u << std::min<std::size_t>(config.cpu_affinities.size(), 8)) - 1) << 8 : 0;
  const std::uint32_t flags = kLevelHigh | every_cpu;
  tree.open("timer");
  tree.text("compatible", "arm,armv8-timer");
  tree.cells("interrupts", {kPpi, kSecureTimerPpi, flags, kPpi, kPhysicalTimerPpi, flags, kPpi, kVirtualTimerPpi, flags,
                            kPpi, kHypervisorTimerPpi, flags});
  tree.flag("always-on");
  tree.close();
  if (config.pmu) {
    tree.open("pmu");
    tree.text("compatible", "arm,armv8-pmuv3");
    tree.cells("interrupts", {kPpi, kPmuPpi, flags});
    tree.close();
  }
}

void write_devices(Writer& tree, const DeviceTreeConfig& config) {
  tree.open("apb-pclk");
  tree.text("compatible", "fixed-clock");
  tree.cells("#clock-cells", {0});
  tree.cells("clock-frequency", {kClockHz});
  tree.text("clock-output-names", "clk24mhz");
  tree.cells("phandle", {kClockPhandle});
  tree.close();

  tree.open("pl011", kPl011.base);
  tree.text("compatible", kPl011Compatible);
  tree.reg(kPl011);
  tree.cells("interrupts", {kSpi, kPl011Spi, kLevelHigh});
  tree.cells("clocks", {kClockPhandle, kClockPhandle});
  tree.text("clock-names", kUartClockNames);
  tree.close();

  tree.open("pl031", kPl031.base);
  tree.text("compatible", kPl031Compatible);
  tree.reg(kPl031);
  tree.cells("interrupts", {kSpi, kPl031Spi, kLevelHigh});
  tree.cells("clocks", {kClockPhandle});
  tree.text("clock-names", "apb_pclk");
  tree.close();

  for (const unsigned slot : config.virtio_slots) {
    tree.open("virtio_mmio", virtio_slot(slot).base);
    tree.text("compatible", "virtio,mmio");
    tree.reg(virtio_slot(slot));
    tree.cells("interrupts", {kSpi, virtio_spi(slot), kEdgeRising});
    tree.flag("dma-coherent");
    tree.close();
  }
}

void write_tree(Writer& tree, const DeviceTreeConfig& config) {
  tree.open("");
  tree.text("model", "sis,virt");
  tree.text("compatible", "linux,dummy-virt");
  tree.cells("#address-cells", {2});
  tree.cells("#size-cells", {2});
  tree.cells("interrupt-parent", {kGicPhandle});
  write_chosen(tree, config);
  tree.open("memory", config.ram.base);
  tree.text("device_type", "memory");
  tree.reg(config.ram);
  tree.close();
  write_cpus(tree, config);
  write_interrupts(tree, config);
  write_devices(tree, config);
  tree.close();
}

}  // namespace

Result<std::vector<std::byte>> write_device_tree(const DeviceTreeConfig& config) {
  if (config.cpu_affinities.empty()) return fail("a machine needs at least one CPU");
  // About 2 KiB without the lists and texts; a guess that is too small costs a second attempt.
  constexpr std::size_t kUsualBytes = 4096;
  for (std::size_t size = kUsualBytes; size <= kMaxDeviceTreeBytes; size *= 2) {
    Writer tree(size);
    write_tree(tree, config);
    const int error = tree.finish();
    if (error == 0) return tree.take();
    if (error != -FDT_ERR_NOSPACE) return fail(std::string("cannot write the device tree: ") + fdt_strerror(error));
  }
  return fail("the device tree has more than the " + std::to_string(kMaxDeviceTreeBytes) +
              " bytes that guests map; is the command line of " + std::to_string(config.boot_arguments.size()) +
              " bytes meant?");
}

}  // namespace vmm::board
