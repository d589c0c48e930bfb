#include "vmm/machine/kvm/backend.hpp"

#include <sys/utsname.h>

#include <atomic>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "boot.hpp"
#include "hardware.hpp"
#include "vmm/base/descriptor_limit.hpp"
#include "vmm/base/file.hpp"
#include "vmm/devices/vsock/device.hpp"

namespace vmm::machine_kvm {
namespace {

/// The devices' thread. What needs it to do something from outside waits for it with call().
class DeviceThread {
 public:
  explicit DeviceThread(EventLoop& loop) : loop_(loop) {}
  ~DeviceThread() { stop(); }
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;

  /// @param on_failure called on the thread, as its last act, if the loop cannot go on
  void start(sandbox::Sandbox sandbox, std::function<void(const Error&)> on_failure) {
    thread_ = std::thread([this, sandbox, on_failure = std::move(on_failure)] {
      sandbox.enter(sandbox::ThreadKind::Device);
      if (const auto ran = loop_.run(); !ran) on_failure(ran.error());
    });
  }
  void stop() {
    if (!thread_.joinable()) return;
    loop_.stop();
    thread_.join();
  }
  /// Runs `work` where devices may be touched, and waits for its end.
  void call(const std::function<void()>& work) {
    if (!thread_.joinable()) return work();
    std::promise<void> finished;
    loop_.post([&] {
      work();
      finished.set_value();
    });
    finished.get_future().wait();
  }

 private:
  EventLoop& loop_;
  std::thread thread_;
};

class KvmBackend final : public machine::Backend {
 public:
  KvmBackend(machine::MachineConfig config, KvmOptions options)
      : config_(std::move(config)), options_(std::move(options)) {}
  ~KvmBackend() override;

  Result<> start(EventLoop& loop, machine::BackendEvents& events) override;
  void stop() override { end_soon(); }
  void kill() override { end_soon(); }
  Result<> snapshot(const std::filesystem::path& folder) override;
  std::size_t write_console(std::string_view bytes) override;
  [[nodiscard]] machine::BackendInfo info() const override;
  [[nodiscard]] std::map<std::string, std::uint64_t, std::less<>> counters() const override;

 private:
  Result<> make_memory();
  Result<> make_devices();
  /// Makes the hardware and fills the memory. On the device loop's thread, or while that does not run.
  Result<> power_on();
  Result<> restore_hardware(const snapshot::MachineState& state);
  Result<> save(snapshot::MachineState& state);
  Result<> write(const snapshot::MachineState& state, const std::filesystem::path& folder) const;
  /// Also with nothing, as at the end.
  void replace_hardware(std::unique_ptr<Hardware> next);
  HardwareEvents hardware_events();
  void on_stopped(const kvm::VcpuExit& exit);
  void reboot();
  void pause();
  void deliver_console();
  void end_soon();
  void end(Result<> how);
  /// Calls a member on the main loop's thread, if this is still there then and the machine has not ended.
  template <typename F>
  void post(F work) {
    loop_->post([self = self_, work = std::move(work)] {
      if (*self != nullptr && !(*self)->ended_) work(**self);
    });
  }

  machine::MachineConfig config_;
  KvmOptions options_;
  EventLoop* loop_ = nullptr;
  machine::BackendEvents* events_ = nullptr;
  std::optional<kvm::Kvm> kvm_;
  std::optional<GuestRam> ram_;
  std::optional<BootFiles> files_;
  std::unique_ptr<EventLoop> device_loop_;  // destroyed after what refers to it
  std::unique_ptr<vsock::VsockDevice> vsock_;
  std::vector<std::unique_ptr<VcpuThread>> vcpu_threads_;  ///< one for each CPU, whatever hardware there is
  mutable std::mutex hardware_mutex_;   ///< for counters(): guards the next two against replace_hardware()
  std::unique_ptr<Hardware> hardware_;  ///< null before start() and after the end
  std::uint64_t unknown_accesses_ = 0;  ///< of hardware that is gone
  std::optional<DeviceThread> device_thread_;
  unsigned life_ = 0;                       ///< counts power-ons: news of an earlier one is no news
  std::atomic<unsigned> stopped_life_ = 0;  ///< of which a virtual CPU has told the end
  bool ended_ = false;
  /// Work that other threads post to our loop finds out here that we are gone.
  std::shared_ptr<KvmBackend*> self_ = std::make_shared<KvmBackend*>(this);
};

KvmBackend::~KvmBackend() {
  *self_ = nullptr;
  if (hardware_) hardware_->halt();
  device_thread_.reset();
}

Result<> KvmBackend::start(EventLoop& loop, machine::BackendEvents& events) {
  loop_ = &loop;
  events_ = &events;
  auto kvm = kvm::Kvm::open();
  if (!kvm) return std::unexpected(std::move(kvm.error()));
  kvm_ = std::move(*kvm);
  if (auto made = make_memory(); !made) return made;
  auto files = BootFiles::open(config_.kernel, options_.kernel_format, config_.boot_archive, ram_->range());
  if (!files) return std::unexpected(std::move(files.error()));
  files_ = std::move(*files);
  if (auto made = make_devices(); !made) return made;
  auto done = options_.restored ? restore_hardware(options_.restored->state) : power_on();
  if (!done) return done;
  options_.restored.reset();
  device_thread_.emplace(*device_loop_);
  device_thread_->start(config_.sandbox, [this](const Error& error) {
    post([error](KvmBackend& self) { self.end(std::unexpected(error)); });
  });
  for (unsigned i = 0; i < config_.machine.cpus; ++i)
    vcpu_threads_.push_back(std::make_unique<VcpuThread>(config_.sandbox));
  hardware_->start(vcpu_threads_);
  return {};
}

Result<> KvmBackend::make_memory() {
  const scenario::Machine& machine = config_.machine;
  auto ram = options_.restored ? GuestRam::restore(options_.restored->folder / snapshot::file::kMemory,
                                                   machine.memory_bytes, machine.huge_pages)
                               : GuestRam::create(machine.memory_bytes, machine.huge_pages);
  if (!ram) return std::unexpected(std::move(ram.error()));
  ram_ = std::move(*ram);
  return {};
}

Result<> KvmBackend::make_devices() {
  raise_descriptor_limit();
  auto device_loop = EventLoop::create();
  if (!device_loop) return std::unexpected(std::move(device_loop.error()));
  device_loop_ = std::move(*device_loop);
  if (config_.vsock_socket.empty()) return {};
  auto device = vsock::VsockDevice::create(
      *device_loop_, {.socket_path = config_.vsock_socket.string(), .limits = {}, .socket_limits = {}});
  if (!device) return std::unexpected(std::move(device.error()).because_of("cannot start the vsock device"));
  vsock_ = std::move(*device);
  return {};
}

Result<> KvmBackend::power_on() {
  ++life_;
  HardwareConfig config{.cpus = config_.machine.cpus,
                        .gic = config_.machine.gic_version == 2 ? board::GicVersion::V2 : board::GicVersion::V3,
                        .devices = {}};
  if (vsock_) config.devices.push_back(vsock_.get());
  auto hardware = Hardware::create(*kvm_, *ram_, *device_loop_, config, hardware_events());
  if (!hardware) return std::unexpected(std::move(hardware.error()));
  replace_hardware(std::move(*hardware));
  board::DeviceTreeConfig tree = hardware_->describe();
  tree.boot_arguments = options_.boot_arguments;
  const auto state = files_->load(*ram_, std::move(tree));
  if (!state) return std::unexpected(state.error());
  return hardware_->set_entry(state->entry, state->device_tree);
}

Result<> KvmBackend::restore_hardware(const snapshot::MachineState& state) {
  ++life_;
  HardwareConfig config{.cpus = config_.machine.cpus,
                        .gic = config_.machine.gic_version == 2 ? board::GicVersion::V2 : board::GicVersion::V3,
                        .restored = &state,
                        .devices = {}};
  if (vsock_) config.devices.push_back(vsock_.get());
  if (state.cpus.size() != config.cpus || state.transports.size() != config.devices.size()) {
    return fail("the snapshot is of a machine with other CPUs or devices", abi::ExitCode::Usage);
  }
  auto hardware = Hardware::create(*kvm_, *ram_, *device_loop_, config, hardware_events());
  if (!hardware) return std::unexpected(std::move(hardware.error()));
  replace_hardware(std::move(*hardware));
  auto done = hardware_->restore(state);
  if (!done) done = fail(done.error().message, abi::ExitCode::HostLacks);
  if (done && state.vsock) done = vsock_->restore(*state.vsock);
  if (done) done = hardware_->resume_devices();
  return done;
}

void KvmBackend::replace_hardware(std::unique_ptr<Hardware> next) {
  {
    const std::lock_guard lock(hardware_mutex_);
    if (hardware_) unknown_accesses_ += hardware_->unknown_accesses();
    hardware_.swap(next);
  }
}

HardwareEvents KvmBackend::hardware_events() {
  return {.console_output = [this] { post([](KvmBackend& self) { self.deliver_console(); }); },
          .console_room = [this] { post([](KvmBackend& self) { self.events_->on_console_writable(); }); },
          .warning =
              [this](const std::string& message) {
                post([message](KvmBackend& self) { self.events_->on_warning(message); });
              },
          .stopped =
              [this, life = life_](const kvm::VcpuExit& exit) {
                stopped_life_ = life;
                post([life, exit](KvmBackend& self) {
                  if (self.life_ == life) self.on_stopped(exit);
                });
              }};
}

void KvmBackend::deliver_console() {
  if (!hardware_) return;
  const std::string_view bytes = hardware_->console().take_output();
  if (!bytes.empty()) events_->on_console(bytes);
}

void KvmBackend::on_stopped(const kvm::VcpuExit& exit) {
  using enum kvm::VcpuExit::Reason;
  switch (exit.reason) {
    case Shutdown:
      events_->on_guest_shutdown();
      return end({});
    case Reset:
      return reboot();
    case Crash:
      events_->on_guest_panicked();
      return end({});
    default:
      return end(fail(exit.failure()));
  }
}

void KvmBackend::reboot() {
  hardware_->halt();
  deliver_console();
  Result<> done;
  device_thread_->call([this, &done] {
    replace_hardware(nullptr);
    if (vsock_) vsock_->reset();
    done = ram_->clear();
    if (done) done = power_on();
  });
  if (!done) return end(std::unexpected(std::move(done.error()).because_of("cannot restart the machine")));
  events_->on_guest_reset();
  hardware_->start(vcpu_threads_);
  // What the old console did not take any more is for the new one, which nobody has offered it.
  events_->on_console_writable();
}

/// Returns when no virtual CPU runs. What the guest writes to its console meanwhile is passed on.
void KvmBackend::pause() {
  constexpr std::chrono::milliseconds kBetweenLooks{1};
  hardware_->request_pause();
  while (!hardware_->wait_paused(kBetweenLooks)) deliver_console();
  deliver_console();
}

Result<> KvmBackend::snapshot(const std::filesystem::path& folder) {
  if (!hardware_ || ended_) return fail("the machine does not run");
  pause();
  // The news is on its way here; nothing of the hardware goes on until then.
  if (stopped_life_ == life_) return fail("the guest powers off or resets itself just now");
  Result<> saved;
  Result<> resumed;
  snapshot::MachineState state;
  device_thread_->call([&] { saved = save(state); });
  // Not on the devices' thread, which may open no files: without their queues devices do not touch the guest's memory.
  if (saved) saved = write(state, folder);
  device_thread_->call([&] { resumed = hardware_->resume_devices(); });
  if (resumed) {
    hardware_->start(vcpu_threads_);
  } else {
    post([error = resumed.error()](KvmBackend& self) { self.end(std::unexpected(error)); });
  }
  if (!saved) return saved;
  return resumed;
}

Result<> KvmBackend::save(snapshot::MachineState& state) {
  state.configuration = {.name = config_.name,
                         .memory_bytes = config_.machine.memory_bytes,
                         .huge_pages = config_.machine.huge_pages,
                         .kernel_format = board::name_of(options_.kernel_format),
                         .boot_arguments = options_.boot_arguments,
                         .has_initrd = files_->has_initrd()};
  auto done = hardware_->save(state);
  if (vsock_) state.vsock = vsock_->save();
  return done;
}

Result<> KvmBackend::write(const snapshot::MachineState& state, const std::filesystem::path& folder) const {
  auto done = ram_->save(folder / snapshot::file::kMemory);
  if (done) done = files_->save(folder);
  if (done) done = write_file(folder / snapshot::file::kMachine, snapshot::encode(state), 0600);
  return done;
}

void KvmBackend::end_soon() {
  // Later: the caller does not expect to be called back from here.
  post([](KvmBackend& self) { self.end({}); });
}

void KvmBackend::end(Result<> how) {
  ended_ = true;
  if (hardware_) {
    hardware_->halt();
    deliver_console();
  }
  device_thread_->stop();
  replace_hardware(nullptr);
  if (vsock_) vsock_->close_host_side("the machine has stopped");
  events_->on_exited(std::move(how));
}

std::size_t KvmBackend::write_console(std::string_view bytes) {
  return hardware_ ? hardware_->console().receive(bytes) : bytes.size();
}

machine::BackendInfo KvmBackend::info() const {
  struct utsname host{};
  ::uname(&host);
  return {.name = "kvm", .version = std::string(host.sysname) + " " + host.release, .accel = "kvm"};
}

std::map<std::string, std::uint64_t, std::less<>> KvmBackend::counters() const {
  std::map<std::string, std::uint64_t, std::less<>> named;
  if (vsock_) {
    const auto& counters = vsock_->counters();
    for (const auto& field : vsock::kCounterFields) {
      named.emplace(std::string("vsock_") + field.name, (counters.*field.member).value());
    }
  }
  const std::lock_guard lock(hardware_mutex_);
  named.emplace("mmio_unknown_accesses", unknown_accesses_ + (hardware_ ? hardware_->unknown_accesses() : 0));
  return named;
}

}  // namespace

std::unique_ptr<machine::Backend> make_backend(machine::MachineConfig config, KvmOptions options) {
  return std::make_unique<KvmBackend>(std::move(config), std::move(options));
}

std::unique_ptr<machine::Backend> restore_backend(machine::MachineConfig config, snapshot::MachineState state,
                                                  const std::filesystem::path& folder) {
  const snapshot::Configuration& saved = state.configuration;
  config.kernel = folder / snapshot::file::kKernel;
  config.boot_archive = saved.has_initrd ? folder / snapshot::file::kInitrd : std::filesystem::path();
  config.machine = snapshot::machine_of(state);
  KvmOptions options{
      .kernel_format = board::kernel_format_from(saved.kernel_format).value_or(board::KernelFormat::Auto),
      .boot_arguments = saved.boot_arguments};
  options.restored =
      std::make_shared<const KvmOptions::Restored>(KvmOptions::Restored{.state = std::move(state), .folder = folder});
  return make_backend(std::move(config), std::move(options));
}

std::vector<std::string> missing_on_host() {
  const auto kvm = kvm::Kvm::open();
  if (!kvm) return {kvm.error().message};
  const auto vm = kvm->create_vm(0);
  if (!vm) return {vm.error().message};
  if (!vm->supports(kvm::DeviceType::GicV3) && !vm->supports(kvm::DeviceType::GicV2)) {
    return {"this host's KVM emulates neither GICv3 nor GICv2"};
  }
  return {};
}

}  // namespace vmm::machine_kvm
