#include "vmm/machine/snapshot/state.hpp"

#include <array>
#include <cstring>
#include <type_traits>

#include "vmm/base/file.hpp"
#include "vmm/machine/board/kernel_image.hpp"

namespace vmm::snapshot {
namespace {

constexpr std::array<char, 8> kMagic{'S', 'I', 'S', '-', 'S', 'N', 'A', 'P'};
constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20;

/// Limits of what a machine can have, so that a file cannot ask for more memory than its own size.
constexpr std::uint32_t kMaxCpus = 512;
constexpr std::uint32_t kMaxTextBytes = 64 * 1024;

/// A value whose bytes are all there is to it.
template <typename T>
concept Plain = std::has_unique_object_representations_v<T>;

/// Appends values. The counterpart of Reader: transfer() calls either.
class Writer {
 public:
  template <Plain T>
  void value(const char*, T& value) {
    append(&value, sizeof value);
  }
  void flag(const char* name, bool& flag) {
    auto number = static_cast<std::uint8_t>(flag ? 1 : 0);
    value(name, number);
  }
  template <typename Container>
  void count(const char* name, Container& container, std::uint32_t) {
    auto size = static_cast<std::uint32_t>(container.size());
    value(name, size);
  }
  template <typename Container>
  void block(const char* name, Container& container, std::uint32_t most) {
    static_assert(Plain<typename Container::value_type>);
    count(name, container, most);
    append(container.data(), container.size() * sizeof(typename Container::value_type));
  }

  std::vector<std::byte> bytes;

 private:
  void append(const void* from, std::size_t size) {
    const auto* const first = static_cast<const std::byte*>(from);
    bytes.insert(bytes.end(), first, first + size);
  }
};

/// Takes values until one is wrong; from then on everything is left as it is.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <Plain T>
  void value(const char* name, T& value) {
    take(name, &value, sizeof value);
  }
  void flag(const char* name, bool& flag) {
    std::uint8_t number = 0;
    value(name, number);
    if (number > 1) wrong(name, std::to_string(number) + ", expected 0 or 1");
    flag = number != 0;
  }
  /// Makes room for as many items as the file says, which follow one by one.
  template <typename Container>
  void count(const char* name, Container& container, std::uint32_t most) {
    std::uint32_t size = 0;
    value(name, size);
    if (size > most) return wrong(name, std::to_string(size) + " items, expected at most " + std::to_string(most));
    container.resize(size);
  }
  /// The same for items that are plain bytes: `most` is what the rest of the file can hold.
  template <typename Container>
  void block(const char* name, Container& container, std::uint32_t most) {
    using Item = typename Container::value_type;
    static_assert(Plain<Item>);
    std::uint32_t size = 0;
    value(name, size);
    if (size > most) return wrong(name, std::to_string(size) + " items, expected at most " + std::to_string(most));
    if (size > left() / sizeof(Item)) return wrong(name, std::to_string(size) + " items, more than the file holds");
    container.resize(size);
    take(name, container.data(), container.size() * sizeof(Item));
  }

  Result<> finish() {
    if (done_ && left() != 0) return fail(std::to_string(left()) + " bytes behind the end", abi::ExitCode::Usage);
    return done_;
  }

 private:
  [[nodiscard]] std::size_t left() const { return bytes_.size() - position_; }
  void wrong(const char* name, const std::string& what) {
    if (done_)
      done_ =
          fail(std::string(name) + ", before byte " + std::to_string(position_) + ": " + what, abi::ExitCode::Usage);
  }
  void take(const char* name, void* to, std::size_t size) {
    if (!done_ || size == 0) return;
    if (size > left()) return wrong(name, "the file ends");
    std::memcpy(to, bytes_.data() + position_, size);
    position_ += size;
  }

  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
  Result<> done_;
};

/// The format: what comes after what. `state` is only read by a Writer.
template <typename Io>
void transfer(Io& io, MachineState& state) {
  Configuration& configuration = state.configuration;
  io.block("name", configuration.name, kMaxTextBytes);
  io.value("memory size", configuration.memory_bytes);
  io.flag("huge pages", configuration.huge_pages);
  io.value("GIC version", configuration.gic_version);
  io.flag("PMU", configuration.pmu);
  io.flag("pointer authentication", configuration.pointer_authentication);
  io.flag("stolen time", configuration.stolen_time);
  io.value("counter frequency", configuration.counter_hz);
  io.block("kernel format", configuration.kernel_format, kMaxTextBytes);
  io.block("boot arguments", configuration.boot_arguments, kMaxTextBytes);
  io.flag("initrd", configuration.has_initrd);
  io.value("virtual counter", state.virtual_counter);
  io.count("CPUs", state.cpus, kMaxCpus);
  for (hypervisor::VcpuState& cpu : state.cpus) {
    io.value("run state", cpu.run_state);
    io.value("pending events", cpu.events);
    io.block("registers", cpu.registers, UINT32_MAX);
  }
  io.block("interrupt controller", state.gic, UINT32_MAX);
  io.block("stolen time page", state.stolen_time, UINT32_MAX);
  io.value("PL011", state.console);
  io.value("PL031", state.clock);
  io.block("virtio transports", state.transports, UINT32_MAX);
  bool has_vsock = state.vsock.has_value();
  io.flag("vsock", has_vsock);
  if (has_vsock && !state.vsock) state.vsock.emplace();
  if (has_vsock) io.value("vsock device", *state.vsock);
  bool has_npu = state.npu.has_value();
  io.flag("NPU", has_npu);
  if (!has_npu) return;
  if (!state.npu) state.npu.emplace();
  io.block("NPU options", configuration.npu, kMaxTextBytes);
  io.value("NPU time", state.npu->device_ns);
  io.value("NPU power", state.npu->power);
  io.block("NPU regions", state.npu->regions, UINT32_MAX);
  io.block("NPU control requests", state.npu->control_heads, UINT32_MAX);
  io.block("NPU jobs", state.npu->job_heads, UINT32_MAX);
}

Result<> check(const MachineState& state) {
  const auto wrong = [](const std::string& what) { return fail(what, abi::ExitCode::Usage); };
  const Configuration& configuration = state.configuration;
  if (state.cpus.empty()) return wrong("a machine without a CPU");
  if (configuration.gic_version != 2 && configuration.gic_version != 3) {
    return wrong("GIC version " + std::to_string(configuration.gic_version) + ", expected 2 or 3");
  }
  if (!board::kernel_format_from(configuration.kernel_format)) {
    return wrong("kernel format '" + configuration.kernel_format + "' is not known");
  }
  if (state.npu) {
    if (auto options = npu::parse_options(configuration.npu); !options) return wrong(options.error().message);
  }
  const std::size_t devices = std::size_t{state.vsock ? 1U : 0U} + (state.npu ? 1U : 0U);
  if (state.transports.size() != devices) {
    return wrong(std::to_string(state.transports.size()) + " virtio devices, but the state of " +
                 std::to_string(devices));
  }
  return {};
}

struct Header {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t byte_order = 0x0102'0304;  ///< of the host that wrote it
};

}  // namespace

std::vector<std::byte> encode(const MachineState& state) {
  Writer writer;
  Header header;
  writer.value("header", header);
  MachineState copy = state;  // a Reader writes to what it is given
  transfer(writer, copy);
  return std::move(writer.bytes);
}

Result<MachineState> decode(std::span<const std::byte> bytes) {
  Header header;
  if (bytes.size() < sizeof header) return fail("not a snapshot: too short", abi::ExitCode::Usage);
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic) return fail("not a snapshot: it does not begin with SIS-SNAP", abi::ExitCode::Usage);
  if (header.byte_order != Header{}.byte_order) {
    return fail("the snapshot is of a host with another byte order", abi::ExitCode::HostLacks);
  }
  if (header.version != kVersion) {
    return fail("the snapshot has version " + std::to_string(header.version) + ", this sisvmm reads version " +
                    std::to_string(kVersion) + ": restore it with the sisvmm that made it",
                abi::ExitCode::Usage);
  }
  Reader reader(bytes.subspan(sizeof header));
  MachineState state;
  transfer(reader, state);
  auto done = reader.finish();
  if (done) done = check(state);
  if (!done) return std::unexpected(std::move(done.error()).because_of("the snapshot is damaged"));
  return state;
}

scenario::Machine machine_of(const MachineState& state) {
  scenario::Machine machine;
  machine.backend = scenario::Backend::Kvm;
  machine.cpus = static_cast<unsigned>(state.cpus.size());
  machine.memory_bytes = state.configuration.memory_bytes;
  machine.gic_version = state.configuration.gic_version;
  machine.huge_pages = state.configuration.huge_pages;
  return machine;
}

std::optional<npu::Options> npu_of(const MachineState& state) {
  if (!state.npu) return std::nullopt;
  return npu::parse_options(state.configuration.npu).value_or(npu::Options{});
}

Result<MachineState> read_machine(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / file::kMachine;
  const auto text = read_file(path, kMaxFileBytes);
  if (!text) {
    return fail("no snapshot in " + folder.string() + ": " + text.error().message, abi::ExitCode::Usage);
  }
  auto state = decode(std::as_bytes(std::span(*text)));
  if (!state) return std::unexpected(std::move(state.error()).because_of(path.string()));
  return state;
}

}  // namespace vmm::snapshot
