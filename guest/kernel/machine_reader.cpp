// The walk, and what a node is made of. Kinds of nodes: machine_nodes.cpp. After the walk: machine_info.cpp.
#include "machine_reader.hpp"

#include <algorithm>
#include <iterator>

namespace guest::kernel {
namespace {

constexpr std::string_view kPropertyNames[] = {
    "#address-cells",
    "#size-cells",
    "#interrupt-cells",
    "interrupt-parent",
    "interrupts",
    "interrupt-names",
    "phandle",
    "compatible",
    "device_type",
    "status",
    "reg",
    "ranges",
    "reg-shift",
    "reg-io-width",
    "#redistributor-regions",
    "redistributor-stride",
    "method",
    "enable-method",
    "bootargs",
    "stdout-path",
    "linux,initrd-start",
    "linux,initrd-end",
    "rng-seed",
    "kaslr-seed",
};
static_assert(std::size(kPropertyNames) == static_cast<std::size_t>(Prop::Count));

constexpr std::uint32_t kMaxCells = 2;
constexpr std::size_t kCellBytes = 4;

std::uint64_t read_cells(const std::byte* bytes, std::uint32_t cells) {
  return cells == 0 ? 0 : cells == 1 ? read_be32(bytes) : read_be64(bytes);
}

}  // namespace

Outcome MachineReader::read() {
  levels_[0].mapped = true;
  Outcome outcome = walk();
  // Also after an error: the console is needed to show it.
  resolve_console();
  return outcome ? resolve() : outcome;
}

Outcome MachineReader::walk() {
  for (;;) {
    const TreeToken token = cursor_.next();
    switch (token) {
      case TreeToken::Property:
        if (const Prop prop = identify(); prop != Prop::Count) {
          present_ |= std::uint32_t{1} << static_cast<unsigned>(prop);
          values_[static_cast<std::size_t>(prop)] = cursor_.value();
        }
        continue;
      case TreeToken::BeginNode:
      case TreeToken::EndNode:
        break;
      case TreeToken::End:
        return {};
      case TreeToken::Error:
        return std::unexpected(cursor_.error());
    }
    // The properties of the node at hand are complete: they come before its children.
    if (node_pending_) {
      if (Outcome outcome = finish_node(); !outcome) {
        return outcome;
      }
    }
    node_pending_ = token == TreeToken::BeginNode;
    if (node_pending_) {
      present_ = 0;
      depth_ = cursor_.depth();
      node_offset_ = cursor_.offset();
    }
  }
}

Prop MachineReader::identify() {
  // A name is stored once among the strings, so its offset tells it; comparing it is needed the first time only.
  const std::uint32_t offset = cursor_.property_name_offset();
  CachedName& cached = names_[offset % std::size(names_)];
  if (cached.offset_plus_one != offset + 1) {
    const auto* const found = std::find(std::begin(kPropertyNames), std::end(kPropertyNames), cursor_.property_name());
    cached = {offset + 1, static_cast<Prop>(found - std::begin(kPropertyNames))};
  }
  return cached.prop;
}

void MachineReader::open_level(std::uint32_t address_cells, std::uint32_t size_cells) {
  const bool root = depth_ == 1;
  const std::string_view node = name();
  Level& level = levels_[depth_];
  level = Level{};
  level.address_cells = address_cells;
  level.size_cells = size_cells;
  if (depth_ == 2) {
    level.place = node == "cpus" ? Place::Cpus : node == "reserved-memory" ? Place::ReservedMemory : Place::Other;
  } else if (root) {
    level.place = Place::Root;
  }
  // Devicetree Specification v0.4, "ranges": without it the children are not mapped, empty it is the identity.
  level.mapped = parent().mapped && (root || has(Prop::Ranges));
  level.ranges = value(Prop::Ranges);
}

Outcome MachineReader::finish_node() {
  const auto address_cells = cell(Prop::AddressCells, 2);
  const auto size_cells = cell(Prop::SizeCells, 1);
  const auto interrupt_parent = cell(Prop::InterruptParent, parent().interrupt_parent);
  for (const auto* const checked : {&address_cells, &size_cells, &interrupt_parent}) {
    if (!*checked) {
      return std::unexpected(checked->error());
    }
  }
  open_level(*address_cells, *size_cells);
  levels_[depth_].interrupt_parent = *interrupt_parent;
  if (!enabled()) {
    return {};
  }
  const std::string_view node = name();
  switch (parent().place) {
    case Place::ReservedMemory:
      return reserved();
    case Place::Cpus:
      return cpu();
    case Place::Root:
      if (node == "chosen") {
        return chosen();
      }
      if (node == "aliases") {
        aliases_ = node_offset_;
        return {};
      }
      if (value(Prop::DeviceType).size() == 7) {
        const auto type = text(Prop::DeviceType);
        if (type && *type == "memory") {
          return memory();
        }
      }
      break;
    case Place::Other:
      break;
  }
  return has(Prop::Compatible) ? device() : Outcome{};
}

std::unexpected<NamedError> MachineReader::bad(Prop prop, std::string_view expected) {
  const Bytes found = value(prop);
  std::unexpected<NamedError> error =
      fail("machine-bad-property", "node '{}', property '{}' ({} bytes): expected {}; found", escaped(name()),
           kPropertyNames[static_cast<std::size_t>(prop)], found.size(), expected);
  for (const std::byte byte : found.first(std::min<std::size_t>(found.size(), 16))) {
    format_to(error.error().detail, " {:02x}", static_cast<unsigned>(byte));
  }
  if (found.size() > 16) {
    error.error().detail.write(" ...");
  }
  return error;
}

std::expected<std::uint32_t, NamedError> MachineReader::cell(Prop prop, std::uint32_t absent) {
  if (!has(prop)) {
    return absent;
  }
  if (value(prop).size() != kCellBytes) {
    return bad(prop, "one cell");
  }
  return static_cast<std::uint32_t>(read_be32(value(prop).data()));
}

std::expected<std::string_view, NamedError> MachineReader::text(Prop prop) {
  const Bytes bytes = value(prop);
  // char may alias anything.
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (all.empty() || all.find('\0') != all.size() - 1) {
    return bad(prop, "one text ended by a NUL");
  }
  return all.substr(0, all.size() - 1);
}

bool MachineReader::enabled() const {
  if (!has(Prop::Status)) {
    return true;
  }
  const Bytes bytes = value(Prop::Status);
  const std::string_view status(reinterpret_cast<const char*>(bytes.data()), bytes.size());  // char aliases anything
  using namespace std::string_view_literals;
  return status == "okay\0"sv || status == "ok\0"sv;
}

DeviceKind MachineReader::kind() const {
  struct Compatible {
    std::string_view name;
    DeviceKind kind;
  };
  static constexpr Compatible kKnown[] = {
      {"virtio,mmio", DeviceKind::Virtio},       {"arm,pl011", DeviceKind::Pl011},
      {"ns16550a", DeviceKind::Ns16550},         {"ns16550", DeviceKind::Ns16550},
      {"snps,dw-apb-uart", DeviceKind::Ns16550}, {"arm,gic-v3", DeviceKind::GicV3},
      {"arm,cortex-a15-gic", DeviceKind::GicV2}, {"arm,gic-400", DeviceKind::GicV2},
      {"arm,armv8-timer", DeviceKind::Timer},    {"arm,psci-1.0", DeviceKind::Psci},
      {"arm,psci-0.2", DeviceKind::Psci},        {"arm,pl031", DeviceKind::Pl031},
  };
  const Bytes bytes = value(Prop::Compatible);
  std::string_view list(reinterpret_cast<const char*>(bytes.data()), bytes.size());  // char aliases anything
  while (!list.empty()) {
    const std::string_view entry = list.substr(0, list.find('\0'));
    for (const Compatible& known : kKnown) {
      if (known.name == entry) {
        return known.kind;
      }
    }
    list.remove_prefix(std::min(entry.size() + 1, list.size()));
  }
  return DeviceKind::Other;
}

std::expected<PhysRange, NamedError> MachineReader::reg_entry(std::size_t index, std::size_t& count) {
  const Level& level = parent();
  if (level.address_cells == 0 || level.address_cells > kMaxCells || level.size_cells > kMaxCells) {
    return fail("machine-bad-property", "node '{}': its parent has {} address cells and {} size cells, at most 2 fit",
                escaped(name()), level.address_cells, level.size_cells);
  }
  const Bytes bytes = value(Prop::Reg);
  const std::size_t entry_bytes = kCellBytes * (level.address_cells + level.size_cells);
  count = bytes.size() / entry_bytes;
  if (bytes.size() % entry_bytes != 0 || index >= count) {
    return bad(Prop::Reg, "address and size for each register range");
  }
  const std::byte* const entry = bytes.data() + index * entry_bytes;
  const std::uint64_t base = read_cells(entry, level.address_cells);
  const std::uint64_t size = read_cells(entry + kCellBytes * level.address_cells, level.size_cells);
  if (base >= kAddressLimit || size > kAddressLimit - base) {
    return bad(Prop::Reg, "a range below 2^52");
  }
  return PhysRange{PhysAddr{base}, size};
}

std::expected<PhysRange, NamedError> MachineReader::reg(std::size_t index) {
  std::size_t count = 0;
  auto range = reg_entry(index, count);
  if (!range) {
    return range;
  }
  if (range->size == 0) {
    return bad(Prop::Reg, "a range that is not empty");
  }
  return translate(*range);
}

std::expected<PhysRange, NamedError> MachineReader::translate(PhysRange range) {
  for (unsigned depth = depth_ - 1; depth > 1; --depth) {
    const Level& bus = levels_[depth];
    const Level& above = levels_[depth - 1];
    if (bus.ranges.empty()) {
      continue;
    }
    if (bus.address_cells > kMaxCells || bus.size_cells > kMaxCells || above.address_cells > kMaxCells) {
      return bad(Prop::Reg, "a bus whose ranges have at most 2 cells each");
    }
    const std::size_t entry_bytes = kCellBytes * (bus.address_cells + above.address_cells + bus.size_cells);
    bool found = false;
    for (Bytes rest = bus.ranges; entry_bytes != 0 && rest.size() >= entry_bytes && !found;
         rest = rest.subspan(entry_bytes)) {
      const std::uint64_t child = read_cells(rest.data(), bus.address_cells);
      const std::byte* const parent_cells = rest.data() + kCellBytes * bus.address_cells;
      const std::uint64_t base = read_cells(parent_cells, above.address_cells);
      const std::uint64_t size = read_cells(parent_cells + kCellBytes * above.address_cells, bus.size_cells);
      if (range.begin() >= child && range.size <= size && range.begin() - child <= size - range.size) {
        const std::uint64_t offset = range.begin() - child;
        if (base >= kAddressLimit || offset >= kAddressLimit - base || range.size > kAddressLimit - base - offset) {
          return bad(Prop::Reg, "a range below 2^52 after translation");
        }
        range.base = PhysAddr{base + offset};
        found = true;
      }
    }
    if (!found) {
      return bad(Prop::Reg, "a range within the ranges of its bus");
    }
  }
  return range;
}

MachineReader::PendingInterrupt MachineReader::interrupt() {
  return {.cells = value(Prop::Interrupts), .parent = levels_[depth_].interrupt_parent};
}

}  // namespace guest::kernel
