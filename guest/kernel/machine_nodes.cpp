// What each kind of node means.
#include <algorithm>

#include "machine_reader.hpp"

namespace guest::kernel {
namespace {

constexpr std::uint64_t kPl011Bytes = 0x1000;
/// Arm IHI 0069, GICR: RD_base and SGI_base frames of one redistributor.
constexpr std::uint64_t kRedistributorBytes = 0x20000;

std::unexpected<NamedError> too_many(std::string_view what, std::size_t limit) {
  return fail("machine-too-many", "more than {} {}", limit, what);
}

}  // namespace

Outcome MachineReader::memory() {
  std::size_t count = 1;
  for (std::size_t i = 0; i < count; ++i) {
    const auto range = reg_entry(i, count);
    if (!range) {
      return std::unexpected(range.error());
    }
    if (range->size == 0) {
      continue;
    }
    std::size_t at = out_.memory.size();
    while (at > 0 && out_.memory[at - 1].begin() > range->begin()) {
      --at;
    }
    if (!out_.memory.insert(at, *range)) {
      return too_many("memory ranges", MachineInfo::kMaxRanges);
    }
  }
  return {};
}

Outcome MachineReader::reserved() {
  if (!has(Prop::Reg)) {
    return {};  // to be placed anywhere by whoever wants it; nobody here does
  }
  std::size_t count = 1;
  for (std::size_t i = 0; i < count; ++i) {
    const auto range = reg_entry(i, count);
    if (!range) {
      return std::unexpected(range.error());
    }
    if (range->size != 0 && !out_.reserved.push_back(*range)) {
      return too_many("reserved ranges", MachineInfo::kMaxReserved);
    }
  }
  return {};
}

Outcome MachineReader::cpu() {
  if (value(Prop::DeviceType).size() != 4) {
    return {};  // cpu-map, idle-states, caches
  }
  const auto type = text(Prop::DeviceType);
  if (!type || *type != "cpu") {
    return {};
  }
  const Bytes bytes = value(Prop::Reg);
  if (parent().address_cells == 0 || parent().address_cells > 2 ||
      bytes.size() != std::size_t{4} * parent().address_cells) {
    return bad(Prop::Reg, "the affinity of one CPU");
  }
  const std::uint64_t affinity = bytes.size() == 4 ? read_be32(bytes.data()) : read_be64(bytes.data());
  using namespace std::string_view_literals;
  const Bytes method = value(Prop::EnableMethod);
  // The first of the methods; the others are of no use to this kernel.
  const bool psci =
      std::string_view(reinterpret_cast<const char*>(method.data()), method.size()).starts_with("psci\0"sv);
  return out_.cpus.push_back({.affinity = affinity, .psci = psci}) ? Outcome{}
                                                                   : too_many("CPUs", MachineInfo::kMaxCpus);
}

Outcome MachineReader::chosen() {
  if (has(Prop::StdoutPath)) {
    const auto path = text(Prop::StdoutPath);
    if (!path) {
      return std::unexpected(path.error());
    }
    stdout_ = path->substr(0, path->find(':'));  // options such as the speed follow the colon
  }
  if (has(Prop::Bootargs)) {
    const auto arguments = text(Prop::Bootargs);
    if (!arguments) {
      return std::unexpected(arguments.error());
    }
    if (arguments->size() > MachineInfo::kMaxBootArguments) {
      return fail("machine-bad-property", "node 'chosen', property 'bootargs': {} characters, at most {} fit",
                  arguments->size(), MachineInfo::kMaxBootArguments);
    }
    out_.boot_arguments.write(*arguments);
  }
  for (const std::byte byte :
       value(Prop::RngSeed).first(std::min(value(Prop::RngSeed).size(), MachineInfo::kMaxSeedBytes))) {
    // The room was checked; more entropy than that is of no use.
    static_cast<void>(out_.rng_seed.push_back(static_cast<std::uint8_t>(byte)));
  }
  if (has(Prop::KaslrSeed)) {
    if (value(Prop::KaslrSeed).size() != 8) {
      return bad(Prop::KaslrSeed, "two cells");
    }
    out_.kaslr_seed = read_be64(value(Prop::KaslrSeed).data());
  }
  return initrd();
}

Outcome MachineReader::initrd() {
  if (!has(Prop::InitrdStart) && !has(Prop::InitrdEnd)) {
    return {};
  }
  std::uint64_t edges[2] = {};
  for (const Prop prop : {Prop::InitrdStart, Prop::InitrdEnd}) {
    const Bytes bytes = value(prop);
    if (bytes.size() != 4 && bytes.size() != 8) {
      return bad(prop, "an address of one or two cells; start and end belong together");
    }
    edges[prop == Prop::InitrdEnd ? 1 : 0] = bytes.size() == 4 ? read_be32(bytes.data()) : read_be64(bytes.data());
  }
  if (edges[1] < edges[0]) {
    return fail("machine-bad-memory", "the initrd ends at {:#x}, before its start at {:#x}", edges[1], edges[0]);
  }
  out_.initrd = {PhysAddr{edges[0]}, edges[1] - edges[0]};
  return {};
}

Outcome MachineReader::device() {
  switch (kind()) {
    case DeviceKind::Other:
      return {};
    case DeviceKind::Virtio:
      return virtio();
    case DeviceKind::Pl011:
      return uart(ConsoleKind::Pl011);
    case DeviceKind::Ns16550:
      return uart(ConsoleKind::Ns16550);
    case DeviceKind::GicV2:
      return gic(2);
    case DeviceKind::GicV3:
      return gic(3);
    case DeviceKind::Timer:
      return timer();
    case DeviceKind::Psci:
      return psci();
    case DeviceKind::Pl031:
      return rtc();
  }
  return {};
}

Outcome MachineReader::timer() {
  timer_ = interrupt();
  // Without names the order is secure, non-secure, virtual, hypervisor.
  const Bytes names = value(Prop::InterruptNames);
  std::string_view list(reinterpret_cast<const char*>(names.data()), names.size());  // char aliases anything
  for (std::size_t index = 0; !list.empty(); ++index) {
    const std::string_view entry = list.substr(0, list.find('\0'));
    if (entry == "virt") {
      timer_index_ = index;
    }
    list.remove_prefix(std::min(entry.size() + 1, list.size()));
  }
  return {};
}

Outcome MachineReader::psci() {
  const auto method = text(Prop::Method);
  if (!method || (*method != "hvc" && *method != "smc")) {
    return bad(Prop::Method, "'hvc' or 'smc'");
  }
  out_.psci = *method == "hvc" ? PsciMethod::Hvc : PsciMethod::Smc;
  return {};
}

Outcome MachineReader::rtc() {
  const auto registers = reg(0);
  if (!registers) {
    return std::unexpected(registers.error());
  }
  out_.rtc = *registers;
  return {};
}

Outcome MachineReader::gic(std::uint8_t version) {
  if (out_.gic.version != 0) {
    return {};  // the first one is the root of the interrupt tree in every known machine
  }
  const auto cells = cell(Prop::InterruptCells, 0);
  const auto phandle = cell(Prop::Phandle, 0);
  const auto regions = cell(Prop::RedistributorRegions, 1);
  if (!cells || *cells < 3 || *cells > 4) {
    return bad(Prop::InterruptCells, "3 or 4");
  }
  if (!phandle || *phandle == 0) {
    return bad(Prop::Phandle, "a phandle, since interrupts must refer to it");
  }
  if (!regions || *regions == 0 || *regions > out_.gic.redistributors.capacity()) {
    return bad(Prop::RedistributorRegions, "1 to 8 regions");
  }
  const std::size_t wanted = version == 3 ? 1 + *regions : 2;
  for (std::size_t i = 0; i < wanted; ++i) {
    const auto registers = reg(i);
    if (!registers) {
      return std::unexpected(registers.error());
    }
    if (i == 0) {
      out_.gic.distributor = *registers;
    } else if (version == 2) {
      out_.gic.cpu_interface = *registers;
    } else if (registers->size < kRedistributorBytes || !out_.gic.redistributors.push_back(*registers)) {
      return bad(Prop::Reg, "room for a redistributor in each region");
    }
  }
  if (has(Prop::RedistributorStride)) {
    const Bytes stride = value(Prop::RedistributorStride);
    if (stride.size() != 8 || read_be64(stride.data()) < kRedistributorBytes) {
      return bad(Prop::RedistributorStride, "two cells, at least 0x20000");
    }
    out_.gic.redistributor_stride_bytes = read_be64(stride.data());
  }
  out_.gic.version = version;
  gic_phandle_ = *phandle;
  gic_interrupt_cells_ = *cells;
  return {};
}

Outcome MachineReader::uart(ConsoleKind kind) {
  if (uarts_.full() || !parent().mapped) {
    return {};
  }
  const auto registers = reg(0);
  const auto shift = cell(Prop::RegShift, 0);
  const auto width = cell(Prop::RegIoWidth, 1);
  if (!registers) {
    return std::unexpected(registers.error());
  }
  if (!shift || *shift > 4) {
    return bad(Prop::RegShift, "0 to 4");
  }
  if (!width || (*width != 1 && *width != 4)) {
    return bad(Prop::RegIoWidth, "1 or 4");
  }
  const std::uint64_t needed = kind == ConsoleKind::Pl011 ? kPl011Bytes : std::uint64_t{8} << *shift;
  if (registers->size < needed) {
    return bad(Prop::Reg, "room for the registers of the UART");
  }
  Uart uart;
  for (unsigned depth = 2; depth <= depth_; ++depth) {
    format_to(uart.path, "/{}", cursor_.node_name(depth));
  }
  uart.info = {.kind = kind,
               .registers = *registers,
               .interrupt = {},
               .register_shift = static_cast<std::uint8_t>(*shift),
               .register_width_bytes = static_cast<std::uint8_t>(*width)};
  uart.interrupt = interrupt();
  static_cast<void>(uarts_.push_back(uart));  // room was checked
  return {};
}

Outcome MachineReader::virtio() {
  const auto registers = reg(0);
  if (!registers) {
    return std::unexpected(registers.error());
  }
  if (registers->size < 0x100 || registers->begin() % 4 != 0) {
    return bad(Prop::Reg, "the registers of a virtio-mmio device, aligned to 4");
  }
  return virtio_.push_back({*registers, interrupt()}) ? Outcome{}
                                                      : too_many("virtio-mmio slots", MachineInfo::kMaxVirtioSlots);
}

}  // namespace guest::kernel
