#include "vmm/machine/kvm/machine.hpp"

#include "boot.hpp"
#include "hardware.hpp"
#include "vmm/base/descriptor_limit.hpp"
#include "vmm/base/file.hpp"
#include "vmm/devices/npu/device.hpp"
#include "vmm/devices/vsock/device.hpp"

namespace vmm::machine_kvm {
namespace {

class KvmMachine final : public Machine {
 public:
  explicit KvmMachine(Options options) : options_(std::move(options)) {}
  ~KvmMachine() override;

  Result<> start(EventLoop& loop, machine::BackendEvents& events) override;
  void end() override;
  void snapshot(machine::SnapshotFiles files, machine::SnapshotDone done) override;
  std::size_t write_console(std::string_view bytes) override;
  void hold_console(bool hold) override;

 private:
  /// A snapshot that waits until no virtual CPU runs.
  struct Snapshot {
    machine::SnapshotFiles files;
    machine::SnapshotDone done;
    unsigned running;  ///< virtual CPUs that have not stopped yet
  };

  Result<> make_memory();
  Result<> make_vsock();
  Result<> make_npu();
  [[nodiscard]] HardwareConfig hardware_config();
  /// Makes the hardware and fills the memory.
  Result<> power_on();
  Result<> restore_hardware(const snapshot::MachineState& state);
  HardwareEvents hardware_events();
  void on_stopped(const kvm::VcpuExit& exit);
  void on_cpu_paused();
  Result<> save(const machine::SnapshotFiles& files);
  void finish_snapshot(Result<> how);
  void reboot();
  void deliver_console();
  void take_console();
  void end_with(Result<> how);
  /// Calls a member on the loop's thread, if this is still there then and the machine has not ended.
  template <typename F>
  void post(F work) {
    loop_->post([self = self_, work = std::move(work)] {
      if (*self != nullptr && !(*self)->ended_) work(**self);
    });
  }

  Options options_;
  EventLoop* loop_ = nullptr;
  machine::BackendEvents* events_ = nullptr;
  std::optional<kvm::Kvm> kvm_;
  std::optional<GuestRam> ram_;
  std::optional<BootFiles> files_;
  std::unique_ptr<vsock::VsockDevice> vsock_;
  std::unique_ptr<npu::NpuDevice> npu_;
  std::vector<std::unique_ptr<VcpuThread>> vcpu_threads_;  ///< one for each CPU, whatever hardware there is
  std::unique_ptr<Hardware> hardware_;                     ///< null before start() and after the end
  std::optional<Snapshot> snapshot_;
  unsigned life_ = 0;  ///< counts power-ons: news of an earlier one is no news
  bool console_held_ = false;
  bool ended_ = false;
  /// Work that other threads post to our loop finds out here that we are gone.
  std::shared_ptr<KvmMachine*> self_ = std::make_shared<KvmMachine*>(this);
};

KvmMachine::~KvmMachine() {
  *self_ = nullptr;
  if (hardware_) hardware_->halt();
}

Result<> KvmMachine::start(EventLoop& loop, machine::BackendEvents& events) {
  loop_ = &loop;
  events_ = &events;
  auto kvm = kvm::Kvm::open();
  if (!kvm) return std::unexpected(std::move(kvm.error()));
  kvm_ = std::move(*kvm);
  if (auto made = make_memory(); !made) return made;
  auto files = BootFiles::open(options_.kernel, options_.kernel_format, options_.initrd, ram_->range());
  if (!files) return std::unexpected(std::move(files.error()));
  files_ = std::move(*files);
  if (auto made = make_vsock(); !made) return made;
  if (auto made = make_npu(); !made) return made;
  auto done = options_.restored ? restore_hardware(options_.restored->state) : power_on();
  if (!done) return done;
  options_.restored.reset();
  for (unsigned i = 0; i < options_.cpus; ++i) {
    vcpu_threads_.push_back(std::make_unique<VcpuThread>(options_.sandbox));
  }
  hardware_->start(vcpu_threads_);
  return {};
}

Result<> KvmMachine::make_memory() {
  auto ram = options_.restored ? GuestRam::restore(options_.restored->folder / snapshot::file::kMemory,
                                                   options_.memory_bytes, options_.huge_pages)
                               : GuestRam::create(options_.memory_bytes, options_.huge_pages);
  if (!ram) return std::unexpected(std::move(ram.error()));
  ram_ = std::move(*ram);
  return {};
}

Result<> KvmMachine::make_vsock() {
  raise_descriptor_limit();
  if (options_.vsock_socket.empty()) return {};
  auto device = vsock::VsockDevice::create(
      *loop_, {.socket_path = options_.vsock_socket.string(),
               .listener = options_.vsock_listener,
               .direct = vsock::for_legacy_clients(options_.legacy_listener),
               .limits = {},
               .socket_limits = {},
               .counters = options_.counters == nullptr ? nullptr : &options_.counters->vsock});
  if (!device) return std::unexpected(std::move(device.error()).because_of("cannot start the vsock device"));
  vsock_ = std::move(*device);
  return {};
}

Result<> KvmMachine::make_npu() {
  if (!options_.npu) return {};
  auto device = npu::NpuDevice::create(
      *loop_, {.commands = npu::real_commands(),
               .options = *options_.npu,
               .counters = options_.counters == nullptr ? nullptr : &options_.counters->npu,
               .thread_start = [sandbox = options_.sandbox] { sandbox.enter(sandbox::ThreadKind::Npu); }});
  if (!device) return std::unexpected(std::move(device.error()));
  npu_ = std::move(*device);
  return {};
}

HardwareConfig KvmMachine::hardware_config() {
  HardwareConfig config{
      .cpus = options_.cpus,
      .gic = options_.gic_version == 2 ? board::GicVersion::V2 : board::GicVersion::V3,
      .unknown_accesses = options_.counters == nullptr ? nullptr : &options_.counters->unknown_accesses,
      .devices = {}};
  if (vsock_) config.devices.push_back(vsock_.get());
  if (npu_) config.devices.push_back(npu_.get());
  return config;
}

Result<> KvmMachine::power_on() {
  ++life_;
  auto hardware = Hardware::create(*kvm_, *ram_, *loop_, hardware_config(), hardware_events());
  if (!hardware) return std::unexpected(std::move(hardware.error()));
  hardware_ = std::move(*hardware);
  board::DeviceTreeConfig tree = hardware_->describe();
  tree.boot_arguments = options_.boot_arguments;
  const auto state = files_->load(*ram_, std::move(tree));
  if (!state) return std::unexpected(state.error());
  return hardware_->set_entry(state->entry, state->device_tree);
}

Result<> KvmMachine::restore_hardware(const snapshot::MachineState& state) {
  ++life_;
  HardwareConfig config = hardware_config();
  config.restored = &state;
  if (state.cpus.size() != config.cpus || state.transports.size() != config.devices.size()) {
    return fail("the snapshot is of a machine with other CPUs or devices", abi::ExitCode::Usage);
  }
  auto hardware = Hardware::create(*kvm_, *ram_, *loop_, config, hardware_events());
  if (!hardware) return std::unexpected(std::move(hardware.error()));
  hardware_ = std::move(*hardware);
  auto done = hardware_->restore(state);
  if (!done) done = fail(done.error().message, abi::ExitCode::HostLacks);
  if (done && state.vsock) done = vsock_->restore(*state.vsock);
  if (done && state.npu) done = npu_->restore(*state.npu);
  if (done) done = hardware_->resume_devices();
  return done;
}

HardwareEvents KvmMachine::hardware_events() {
  return {.console_output = [this] { post([](KvmMachine& self) { self.deliver_console(); }); },
          .console_room = [this] { post([](KvmMachine& self) { self.events_->on_console_writable(); }); },
          .warning =
              [this](const std::string& message) {
                post([message](KvmMachine& self) { self.events_->on_warning(message); });
              },
          .stopped =
              [this, life = life_](const kvm::VcpuExit& exit) {
                post([life, exit](KvmMachine& self) {
                  if (self.life_ == life) self.on_stopped(exit);
                });
              },
          .paused =
              [this, life = life_] {
                post([life](KvmMachine& self) {
                  if (self.life_ == life) self.on_cpu_paused();
                });
              }};
}

void KvmMachine::deliver_console() {
  if (!console_held_ && hardware_) take_console();
}

void KvmMachine::take_console() {
  const std::string_view bytes = hardware_->console().take_output();
  if (!bytes.empty()) events_->on_console(bytes);
}

void KvmMachine::hold_console(bool hold) {
  console_held_ = hold;
  deliver_console();
}

void KvmMachine::on_stopped(const kvm::VcpuExit& exit) {
  using enum kvm::VcpuExit::Reason;
  finish_snapshot(fail("the guest powers off or resets itself just now"));
  switch (exit.reason) {
    case Shutdown:
      events_->on_guest_shutdown();
      return end_with({});
    case Reset:
      return reboot();
    case Crash:
      events_->on_guest_panicked();
      return end_with({});
    default:
      return end_with(fail(exit.failure()));
  }
}

void KvmMachine::reboot() {
  hardware_->halt();
  take_console();
  hardware_.reset();
  if (vsock_) vsock_->reset();
  if (npu_) npu_->reset();
  auto done = ram_->clear();
  if (done) done = power_on();
  if (!done) return end_with(std::unexpected(std::move(done.error()).because_of("cannot restart the machine")));
  events_->on_guest_reset();
  hardware_->start(vcpu_threads_);
  // What the old console did not take any more is for the new one, which nobody has offered it.
  events_->on_console_writable();
}

void KvmMachine::snapshot(machine::SnapshotFiles files, machine::SnapshotDone done) {
  if (!hardware_ || ended_) return done(fail("the machine does not run"));
  if (snapshot_) return done(fail("another snapshot is being written"));
  snapshot_ = {.files = std::move(files), .done = std::move(done), .running = options_.cpus};
  hardware_->request_pause();
}

/// The loop goes on until all have told: they may be waiting for it, or for room for what they print.
void KvmMachine::on_cpu_paused() {
  if (!snapshot_ || --snapshot_->running != 0) return;
  hardware_->wait_paused();
  take_console();  // what was not taken would be in neither machine
  auto saved = save(snapshot_->files);
  if (auto resumed = hardware_->resume_devices(); !resumed) {
    finish_snapshot(std::move(saved));
    return end_with(std::move(resumed));
  }
  hardware_->start(vcpu_threads_);
  finish_snapshot(std::move(saved));
}

Result<> KvmMachine::save(const machine::SnapshotFiles& files) {
  snapshot::MachineState state;
  state.configuration = {.name = options_.name,
                         .memory_bytes = options_.memory_bytes,
                         .huge_pages = options_.huge_pages,
                         .kernel_format = board::name_of(options_.kernel_format),
                         .boot_arguments = options_.boot_arguments,
                         .has_initrd = files_->has_initrd(),
                         .npu = options_.npu ? npu::to_text(*options_.npu) : std::string()};
  auto done = hardware_->save(state);
  if (vsock_) state.vsock = vsock_->save();
  if (npu_) state.npu = npu_->save();
  if (done) done = ram_->save(files.memory);
  if (done) done = files_->save(files);
  if (done) done = write_all(files.machine, snapshot::encode(state), snapshot::file::kMachine);
  return done;
}

void KvmMachine::finish_snapshot(Result<> how) {
  if (!snapshot_) return;
  const auto done = std::move(snapshot_->done);
  snapshot_.reset();
  done(std::move(how));
}

void KvmMachine::end() {
  // Later: the caller does not expect to be called back from here.
  post([](KvmMachine& self) { self.end_with({}); });
}

void KvmMachine::end_with(Result<> how) {
  ended_ = true;
  finish_snapshot(fail("the machine is being stopped"));
  if (hardware_) {
    hardware_->halt();
    take_console();
  }
  hardware_.reset();
  if (vsock_) vsock_->close_host_side("the machine has stopped");
  events_->on_exited(std::move(how));
}

std::size_t KvmMachine::write_console(std::string_view bytes) {
  return hardware_ ? hardware_->console().receive(bytes) : bytes.size();
}

}  // namespace

std::unique_ptr<Machine> make_machine(Options options) { return std::make_unique<KvmMachine>(std::move(options)); }

Options options_of(snapshot::MachineState state, const std::filesystem::path& folder) {
  const snapshot::Configuration& saved = state.configuration;
  Options options{
      .name = saved.name,
      .cpus = static_cast<unsigned>(state.cpus.size()),
      .memory_bytes = saved.memory_bytes,
      .huge_pages = saved.huge_pages,
      .gic_version = saved.gic_version,
      .kernel = folder / snapshot::file::kKernel,
      .kernel_format = board::kernel_format_from(saved.kernel_format).value_or(board::KernelFormat::Auto),
      .initrd = saved.has_initrd ? folder / snapshot::file::kInitrd : std::filesystem::path(),
      .boot_arguments = saved.boot_arguments,
      .vsock_socket = {},
      .sandbox = {},
  };
  options.npu = snapshot::npu_of(state);
  options.restored.emplace(std::move(state), folder);
  return options;
}

}  // namespace vmm::machine_kvm
