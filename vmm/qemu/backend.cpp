#include "vmm/qemu/backend.hpp"

#include <fcntl.h>

#include <functional>
#include <optional>
#include <thread>

#include "vmm/base/file.hpp"
#include "vmm/base/socket_stream.hpp"
#include "vmm/base/subprocess.hpp"
#include "vmm/base/unix_socket.hpp"
#include "vmm/devices/vhost_user_npu/vhost_user_npu.hpp"
#include "vmm/devices/vhost_user_vsock/vhost_user_vsock.hpp"
#include "vmm/qemu/command_line.hpp"
#include "vmm/qemu/probe.hpp"
#include "vmm/qemu/qmp.hpp"

namespace vmm::qemu {
namespace {

constexpr std::size_t kMaxConsoleInput = 4096;
constexpr std::size_t kMaxQmpOutput = 64 * 1024;
constexpr std::size_t kShownLog = 500;  // characters
/// How long bytes of the console may gather.
constexpr std::chrono::milliseconds kConsolePause{1};

/// The devices of one machine, on a thread with a loop of their own.
class DeviceThread {
 public:
  /// Told of a device by its name.
  using Tell = std::function<void(const char* device, const std::string& what)>;
  struct Config {
    UniqueFd vsock_front_end;
    std::string vsock_socket;
    int legacy_listener = -1;  ///< VsockConfig::legacy_listener
    UniqueFd npu_front_end;
    std::optional<npu::Options> npu;  ///< absent: no such device
    Tell on_failure;                  ///< called on the device thread with a reason when a front end's connection broke
    Tell on_warning;                  ///< called there too, with what went wrong without ending the device
  };
  static Result<std::unique_ptr<DeviceThread>> start(Config config) {
    auto loop = EventLoop::create();
    if (!loop) return std::unexpected(loop.error());
    std::unique_ptr<DeviceThread> devices(new DeviceThread(std::move(*loop)));
    auto done = devices->start_vsock(config);
    if (done && config.npu) done = devices->start_npu(config);
    if (!done) return std::unexpected(std::move(done.error()));
    devices->thread_ = std::thread([raw = devices.get()] { static_cast<void>(raw->loop_->run()); });
    return devices;
  }

  ~DeviceThread() { stop(); }
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;

  /// Closes every connection and the public socket. The counters can still be read.
  void stop() {
    if (!thread_.joinable()) return;
    loop_->stop();
    thread_.join();
    vsock_->stop();
    if (npu_) npu_->stop();
  }

  /// What belongs to the guest's last life ends now, not when the next driver starts.
  void guest_was_reset() {
    loop_->post([this] {
      vsock_->guest_was_reset();
      if (npu_) npu_->guest_was_reset();
    });
  }

  [[nodiscard]] vsock::Counters vsock_counters() const { return vsock_->counters(); }
  /// Nothing without an NPU.
  [[nodiscard]] std::optional<npu::Counters> npu_counters() const {
    return npu_ ? std::optional(npu_->counters()) : std::nullopt;
  }

 private:
  explicit DeviceThread(std::unique_ptr<EventLoop> loop) : loop_(std::move(loop)) {}

  Result<> start_vsock(Config& config) {
    auto vsock = VhostUserVsock::start(*loop_, std::move(config.vsock_front_end),
                                       {.socket_path = config.vsock_socket,
                                        .legacy_listener = config.legacy_listener,
                                        .warning = std::bind_front(config.on_warning, "vsock")},
                                       [this, on_failure = config.on_failure](const std::string& reason) {
                                         if (!reason.empty()) return on_failure("vsock", reason);
                                         // QEMU is on its way out, which takes it a while: time to give up its memory.
                                         vsock_->stop();
                                       });
    if (!vsock) return std::unexpected(std::move(vsock.error()).because_of("cannot start the vsock device"));
    vsock_ = std::move(*vsock);
    return {};
  }

  Result<> start_npu(Config& config) {
    auto npu =
        VhostUserNpu::start(*loop_, std::move(config.npu_front_end),
                            {.options = std::move(*config.npu), .warning = std::bind_front(config.on_warning, "npu")},
                            [this, on_failure = config.on_failure](const std::string& reason) {
                              if (!reason.empty()) return on_failure("NPU", reason);
                              npu_->stop();  // as above
                            });
    if (!npu) return std::unexpected(std::move(npu.error()).because_of("cannot start the NPU"));
    npu_ = std::move(*npu);
    return {};
  }

  std::unique_ptr<EventLoop> loop_;  // destroyed after the devices, which refer to it
  std::unique_ptr<VhostUserVsock> vsock_;
  std::unique_ptr<VhostUserNpu> npu_;  ///< null: the machine has none
  std::thread thread_;
};

class QemuBackend final : public machine::Backend {
 public:
  explicit QemuBackend(machine::MachineConfig config)
      : config_(std::move(config)), accel_(accelerator(config_.machine.accel)) {}
  ~QemuBackend() override;

  Result<> start(EventLoop& loop, machine::BackendEvents& events) override;
  void stop() override;
  void kill() override;
  void snapshot(machine::SnapshotFiles, machine::SnapshotDone done) override {
    done(fail("QEMU runs this machine, and only the KVM back end's can be saved (machine.backend: kvm)",
              abi::ExitCode::HostLacks));
  }
  std::size_t write_console(std::string_view bytes) override { return console_ ? console_->send(bytes) : bytes.size(); }
  [[nodiscard]] machine::BackendInfo info() const override { return {"qemu", qmp_session_.version(), accel_}; }
  [[nodiscard]] std::map<std::string, std::uint64_t, std::less<>> counters() const override;

 private:
  Result<std::unique_ptr<DeviceThread>> start_devices(UniqueFd vsock, UniqueFd npu, int legacy_listener);
  Result<> connect_streams(UniqueFd console, UniqueFd qmp);
  void on_console_bytes(std::string_view bytes);
  void on_qmp_bytes(std::string_view bytes);
  void on_qmp_event(const std::string& name, const nlohmann::json& data);
  void flush_qmp();
  /// Ends the machine because of an error of QEMU's or ours, which on_exited() then reports.
  void give_up(const std::string& reason);
  void on_process_exit();
  [[nodiscard]] Result<> judge(const ExitStatus& status) const;

  machine::MachineConfig config_;
  std::string accel_;
  EventLoop* loop_ = nullptr;
  machine::BackendEvents* events_ = nullptr;
  std::unique_ptr<DeviceThread> devices_;
  std::unique_ptr<SocketStream> console_;
  std::unique_ptr<SocketStream> qmp_;
  QmpSession qmp_session_{[this](const std::string& name, const nlohmann::json& data) { on_qmp_event(name, data); }};
  std::optional<Subprocess> process_;
  bool end_requested_ = false;
  std::string failure_;
  /// Work that the device thread posts to our loop finds out here that we are gone.
  std::shared_ptr<QemuBackend*> self_ = std::make_shared<QemuBackend*>(this);
};

QemuBackend::~QemuBackend() {
  *self_ = nullptr;
  if (process_) {
    loop_->remove(process_->exit_fd());
    process_.reset();
  }
}

Result<> QemuBackend::start(EventLoop& loop, machine::BackendEvents& events) {
  loop_ = &loop;
  events_ = &events;
  auto console = make_socket_pair();
  if (!console) return std::unexpected(console.error());
  auto qmp = make_socket_pair();
  if (!qmp) return std::unexpected(qmp.error());
  auto vsock = make_socket_pair();
  if (!vsock) return std::unexpected(vsock.error());
  auto npu = config_.npu ? make_socket_pair() : std::pair<UniqueFd, UniqueFd>();
  if (!npu) return std::unexpected(npu.error());
  const UniqueFd log(::open(config_.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!log.valid()) return fail_errno("cannot create " + config_.log_file.string());

  // First, since QEMU takes its time before it looks at anything.
  constexpr int kFirst = Subprocess::kFirstInherited;
  std::vector<int> inherited{console->second.get(), qmp->second.get(), vsock->second.get()};
  if (config_.npu) inherited.push_back(npu->second.get());
  auto process = Subprocess::spawn(
      {.arguments = command_line(config_, accel_,
                                 {.console = kFirst, .qmp = kFirst + 1, .vsock = kFirst + 2, .npu = kFirst + 3}),
       .standard_output = log.get(),
       .standard_error = log.get(),
       .inherited = inherited,
       .environment = environment()});
  if (!process) {
    const auto missing = missing_for(probe(), accel_, config_.npu.has_value());
    return missing.empty() ? std::unexpected(process.error()) : fail(missing.front(), abi::ExitCode::HostLacks);
  }

  const int legacy_listener = config_.legacy_listener < 0 ? -1 : ::fcntl(config_.legacy_listener, F_DUPFD_CLOEXEC, 0);
  if (config_.legacy_listener >= 0 && legacy_listener < 0) return fail_errno("cannot hand on the legacy socket");
  auto devices = start_devices(std::move(vsock->first), std::move(npu->first), legacy_listener);
  if (!devices) return std::unexpected(devices.error());
  devices_ = std::move(*devices);
  process_.emplace(std::move(*process));
  loop.add(process_->exit_fd(), Interest::Read, [this](Events) { on_process_exit(); });
  return connect_streams(std::move(console->first), std::move(qmp->first));
}

Result<std::unique_ptr<DeviceThread>> QemuBackend::start_devices(UniqueFd vsock, UniqueFd npu, int legacy_listener) {
  return DeviceThread::start({.vsock_front_end = std::move(vsock),
                              .vsock_socket = config_.vsock_socket.string(),
                              .legacy_listener = legacy_listener,
                              .npu_front_end = std::move(npu),
                              .npu = config_.npu,
                              .on_failure =
                                  [loop = loop_, self = self_](const std::string& device, const std::string& reason) {
                                    loop->post([self, device, reason] {
                                      if (*self == nullptr) return;
                                      (*self)->give_up("the " + device + " device lost QEMU: " + reason);
                                    });
                                  },
                              .on_warning =
                                  [loop = loop_, self = self_](const std::string& device, const std::string& message) {
                                    loop->post([self, device, message] {
                                      if (*self == nullptr) return;
                                      (*self)->events_->on_warning(device + ": " + message);
                                    });
                                  }});
}

Result<> QemuBackend::connect_streams(UniqueFd console, UniqueFd qmp) {
  auto console_stream = SocketStream::create(*loop_, std::move(console), kMaxConsoleInput,
                                             {.on_bytes = [this](std::string_view b) { on_console_bytes(b); },
                                              .on_closed = {},  // the end of the process follows, and tells
                                              .on_drained = [this] { events_->on_console_writable(); }});
  if (!console_stream) return std::unexpected(console_stream.error());
  console_ = std::move(*console_stream);
  auto qmp_stream = SocketStream::create(
      *loop_, std::move(qmp), kMaxQmpOutput,
      {.on_bytes = [this](std::string_view b) { on_qmp_bytes(b); }, .on_closed = {}, .on_drained = {}});
  if (!qmp_stream) return std::unexpected(qmp_stream.error());
  qmp_ = std::move(*qmp_stream);
  return {};
}

void QemuBackend::on_console_bytes(std::string_view bytes) {
  events_->on_console(bytes);
  // QEMU writes single bytes, while its virtual CPU waits: it shall not have to wake us for each.
  if (console_) console_->rest_reading(kConsolePause);
}

void QemuBackend::on_qmp_bytes(std::string_view bytes) {
  if (!failure_.empty()) return;
  if (auto taken = qmp_session_.feed(bytes); !taken) {
    give_up(taken.error().message);
    return;
  }
  flush_qmp();
}

void QemuBackend::flush_qmp() {
  const std::string output = qmp_session_.take_output();
  if (qmp_ && qmp_->send(output) < output.size()) give_up("QEMU does not read what we send it over QMP");
}

void QemuBackend::on_qmp_event(const std::string& name, const nlohmann::json& data) {
  const auto is_guest = [&data] {
    const auto guest = data.is_object() ? data.find("guest") : data.end();
    return data.is_object() && guest != data.end() && guest->is_boolean() && guest->get<bool>();
  };
  if (name == "RESET") {
    devices_->guest_was_reset();
    if (is_guest()) events_->on_guest_reset();
  } else if (name == "SHUTDOWN") {
    if (is_guest()) events_->on_guest_shutdown();
  } else if (name == "GUEST_PANICKED") {
    events_->on_guest_panicked();
  } else if (name == "STOP") {
    // Nobody asked for it: QEMU stops a machine that it cannot run on, and would wait for ever for somebody to look.
    qmp_session_.execute("query-status", [this](const Result<nlohmann::json>& reply) {
      const std::string status = reply && reply->contains("status") ? (*reply)["status"].dump() : "unknown";
      if (status != "\"shutdown\"" && status != "\"running\"")
        give_up("QEMU stopped the machine, its state is " + status);
    });
  }
}

void QemuBackend::give_up(const std::string& reason) {
  // While it ends, losing QEMU is no news; and before, its end says more than a broken connection does.
  if (end_requested_ || !failure_.empty() || !process_) return;
  failure_ = reason;
  process_->kill();
}

void QemuBackend::stop() {
  end_requested_ = true;
  qmp_session_.execute("quit");
  flush_qmp();
}

void QemuBackend::kill() {
  end_requested_ = true;
  if (process_) process_->kill();
}

void QemuBackend::on_process_exit() {
  loop_->remove(process_->exit_fd());
  const ExitStatus status = process_->wait();
  if (console_) console_->read_rest();
  if (qmp_) qmp_->read_rest();
  devices_->stop();
  auto verdict = judge(status);
  process_.reset();
  events_->on_exited(std::move(verdict));
}

Result<> QemuBackend::judge(const ExitStatus& status) const {
  if (end_requested_ || status.ok()) return {};
  if (!failure_.empty()) return fail(failure_);
  std::string message = "QEMU " + status.describe();
  if (const auto log = end_of_log(config_.log_file, kShownLog); !log.empty()) message += "; it said: " + log;
  // QEMU that runs the machine answers; one that refuses it (an unknown CPU model, no memory) does not get that far.
  if (status.signal == 0 && !qmp_session_.negotiated()) {
    const auto missing = missing_for(probe(), accel_, config_.npu.has_value());
    return fail(missing.empty() ? "this host's QEMU cannot run the machine: " + message
                                : missing.front() + " (" + message + ")",
                abi::ExitCode::HostLacks);
  }
  return fail(message);
}

std::map<std::string, std::uint64_t, std::less<>> QemuBackend::counters() const {
  std::map<std::string, std::uint64_t, std::less<>> named;
  if (!devices_) return named;
  const auto vsock = devices_->vsock_counters();
  for (const auto& field : vsock::kCounterFields) {
    named.emplace(std::string("vsock_") + field.name, (vsock.*field.member).value());
  }
  const auto npu = devices_->npu_counters();
  if (!npu) return named;
  for (const auto& field : npu::kCounterFields) {
    named.emplace(std::string("npu_") + field.name, (*npu.*field.member).value());
  }
  return named;
}

}  // namespace

std::unique_ptr<machine::Backend> make_backend(machine::MachineConfig config) {
  return std::make_unique<QemuBackend>(std::move(config));
}

}  // namespace vmm::qemu
