// What can only be said when the whole tree has been seen, and the reader's entry.
#include "guest/kernel/machine_info.hpp"

#include <libfdt.h>

#include <algorithm>

#include "machine_reader.hpp"

namespace guest::kernel {
namespace {

// Linux Documentation/devicetree/bindings/interrupt-controller/arm,gic.yaml, "#interrupt-cells".
constexpr std::uint64_t kGicSpi = 0;
constexpr std::uint64_t kGicPpi = 1;
constexpr std::uint64_t kFirstPpi = 16;
constexpr std::uint64_t kFirstSpi = 32;
constexpr std::uint64_t kPpis = 16;
constexpr std::uint64_t kSpis = 988;
constexpr std::uint64_t kTriggerMask = 0xF;  // above it, for PPIs of GICv2: a mask of CPUs
constexpr std::uint64_t kEdgeRising = 1;
constexpr std::uint64_t kEdgeFalling = 2;
constexpr std::uint64_t kLevelHigh = 4;
constexpr std::uint64_t kLevelLow = 8;

}  // namespace

std::uint64_t MachineInfo::memory_bytes() const {
  std::uint64_t bytes = 0;
  for (const PhysRange& range : memory) {
    bytes += range.size;
  }
  return bytes;
}

void MachineInfo::clear() {
  memory.clear();
  reserved.clear();
  initrd = {};
  device_tree_bytes = 0;
  boot_arguments.clear();
  console = {};
  gic = {};
  virtual_timer.reset();
  psci = PsciMethod::None;
  virtio.clear();
  cpus.clear();
  rng_seed.clear();
  kaslr_seed = 0;
  rtc = {};
}

Outcome read_machine_info(std::span<const std::byte> tree, MachineInfo& out) {
  out.clear();
  TreeCursor cursor;
  if (const Outcome opened = cursor.open(tree); !opened) {
    return opened;
  }
  out.device_tree_bytes = cursor.size_bytes();
  MachineReader reader(cursor, out);
  return reader.read();
}

std::expected<DeviceInterrupt, NamedError> MachineReader::decode(const PendingInterrupt& pending, std::size_t index,
                                                                 std::string_view who, PhysAddr at) {
  const auto refuse = [&](std::string_view what, std::uint64_t number) {
    return fail("machine-bad-interrupt", "{} at {:#x}: {} ({})", who, raw(at), what, number);
  };
  const std::size_t entry_bytes = 4 * static_cast<std::size_t>(gic_interrupt_cells_);
  if (pending.parent != gic_phandle_) {
    return refuse("its interrupt parent is not the GIC", pending.parent);
  }
  if (entry_bytes == 0 || pending.cells.size() % entry_bytes != 0 || pending.cells.size() / entry_bytes <= index) {
    return refuse("its interrupts have the wrong number of bytes", pending.cells.size());
  }
  const std::byte* const cells = pending.cells.data() + index * entry_bytes;
  const std::uint64_t kind = read_be32(cells);
  const std::uint64_t number = read_be32(cells + 4);
  const std::uint64_t flags = read_be32(cells + 8) & kTriggerMask;
  if ((kind != kGicSpi && kind != kGicPpi) || number >= (kind == kGicSpi ? kSpis : kPpis)) {
    return refuse("the GIC has no such interrupt", number);
  }
  if (flags != kEdgeRising && flags != kEdgeFalling && flags != kLevelHigh && flags != kLevelLow) {
    return refuse("no such trigger", flags);
  }
  const bool edge = flags == kEdgeRising || flags == kEdgeFalling;
  return DeviceInterrupt{.id = IntId{static_cast<std::uint32_t>(number + (kind == kGicSpi ? kFirstSpi : kFirstPpi))},
                         .trigger = edge ? Trigger::Edge : Trigger::Level};
}

Outcome MachineReader::resolve() {
  if (out_.gic.version == 0) {
    return fail("machine-missing", "no GIC: no node compatible with arm,gic-v3, arm,cortex-a15-gic or arm,gic-400");
  }
  if (out_.cpus.empty()) {
    return fail("machine-missing", "no CPU under /cpus");
  }
  if (timer_.cells.empty()) {
    return fail("machine-missing", "no timer: no node compatible with arm,armv8-timer with interrupts");
  }
  const auto timer = decode(timer_, timer_index_, "timer", PhysAddr{0});
  if (!timer) {
    return std::unexpected(timer.error());
  }
  out_.virtual_timer = *timer;
  if (const Outcome done = resolve_virtio(); !done) {
    return done;
  }
  if (const Outcome done = reserve_map(); !done) {
    return done;
  }
  return check_memory();
}

Outcome MachineReader::reserve_map() {
  const int count = fdt_num_mem_rsv(cursor_.tree());
  if (count < 0) {
    return fail("tree-bad-structure", "memory reservation block: {}", std::string_view(fdt_strerror(count)));
  }
  for (int i = 0; i < count; ++i) {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    if (fdt_get_mem_rsv(cursor_.tree(), i, &base, &size) != 0 || base > kAddressLimit || size > kAddressLimit - base) {
      return fail("machine-bad-memory", "reservation {}: {:#x} bytes at {:#x}, expected a range below 2^52", i, size,
                  base);
    }
    if (size != 0 && !out_.reserved.push_back({PhysAddr{base}, size})) {
      return fail("machine-too-many", "more than {} reserved ranges", MachineInfo::kMaxReserved);
    }
  }
  return {};
}

Outcome MachineReader::resolve_virtio() {
  // QEMU lists the slots from the highest address down. Starting at that end, each is put behind the last.
  const std::size_t count = virtio_.size();
  const bool descending = count > 1 && virtio_[0].registers.begin() > virtio_[count - 1].registers.begin();
  for (std::size_t i = 0; i < count; ++i) {
    const PendingVirtio& pending = virtio_[descending ? count - 1 - i : i];
    const auto interrupt = decode(pending.interrupt, 0, "virtio-mmio slot", pending.registers.base);
    if (!interrupt) {
      return std::unexpected(interrupt.error());
    }
    std::size_t at = out_.virtio.size();
    while (at > 0 && out_.virtio[at - 1].registers.begin() > pending.registers.begin()) {
      --at;
    }
    if (at > 0 && out_.virtio[at - 1].registers.overlaps(pending.registers)) {
      return fail("machine-bad-property", "virtio-mmio slots overlap at {:#x}", pending.registers.begin());
    }
    static_cast<void>(out_.virtio.insert(at, {pending.registers, *interrupt}));  // as many as virtio_ holds
  }
  return {};
}

Outcome MachineReader::check_memory() {
  if (out_.memory.empty()) {
    return fail("machine-missing", "no memory: no node with device_type 'memory' and a size");
  }
  for (std::size_t i = 1; i < out_.memory.size(); ++i) {
    if (out_.memory[i].overlaps(out_.memory[i - 1])) {
      return fail("machine-bad-memory", "memory ranges overlap at {:#x}", out_.memory[i].begin());
    }
  }
  if (out_.initrd.size == 0) {
    return {};
  }
  const auto holds = [this](const PhysRange& range) { return range.contains(out_.initrd); };
  if (!std::any_of(out_.memory.begin(), out_.memory.end(), holds)) {
    return fail("machine-bad-memory", "the initrd ({:#x} bytes at {:#x}) does not lie in memory", out_.initrd.size,
                out_.initrd.begin());
  }
  return {};
}

std::string_view MachineReader::stdout_path() {
  if (stdout_.empty() || stdout_.front() == '/' || aliases_ < 0) {
    return stdout_;
  }
  int length = 0;
  const void* const target =
      fdt_getprop_namelen(cursor_.tree(), aliases_, stdout_.data(), static_cast<int>(stdout_.size()), &length);
  if (target == nullptr || length <= 0) {
    return {};
  }
  const std::string_view path(static_cast<const char*>(target), static_cast<std::size_t>(length));
  return path.substr(0, path.find('\0'));
}

void MachineReader::resolve_console() {
  const std::string_view path = stdout_path();
  const auto named = [path](const Uart& uart) { return uart.path.view() == path; };
  const Uart* chosen = std::find_if(uarts_.begin(), uarts_.end(), named);
  if (chosen == uarts_.end()) {
    chosen = uarts_.begin();  // no stdout-path, or one that is no UART: better the first one than silence
  }
  if (chosen == uarts_.end()) {
    return;
  }
  out_.console = chosen->info;
  out_.console.stdout_not_found = !stdout_.empty() && !named(*chosen);
  // Output works without an interrupt, so a wrong one is no error here.
  if (const auto interrupt = decode(chosen->interrupt, 0, "console", chosen->info.registers.base)) {
    out_.console.interrupt = *interrupt;
  }
}

}  // namespace guest::kernel
