#include "vmm/machine/kvm_process/backend.hpp"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <new>
#include <optional>

#include "vmm/base/file.hpp"
#include "vmm/base/mapped_region.hpp"
#include "vmm/base/socket_stream.hpp"
#include "vmm/base/subprocess.hpp"
#include "vmm/base/unix_socket.hpp"
#include "vmm/devices/vsock/host_socket.hpp"
#include "vmm/machine/kvm_protocol/channel.hpp"
#include "vmm/machine/kvm_protocol/counters.hpp"
#include "vmm/machine/kvm_protocol/message.hpp"

namespace vmm::kvm_process {
namespace {

using kvm_protocol::Channel;
using kvm_protocol::News;
using kvm_protocol::Order;

constexpr std::size_t kMaxConsoleInput = 4096;
constexpr std::size_t kShownLog = 500;  // characters
/// How long bytes of the console may gather.
constexpr std::chrono::milliseconds kConsolePause{1};

/// Counters in memory that another process may write, but not take away.
class SharedCounters {
 public:
  static Result<SharedCounters> create() {
    const char* const what = "cannot make the counters' memory";
    UniqueFd file(::memfd_create("sis-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file.valid() || ::ftruncate(file.get(), kvm_protocol::kCountersBytes) != 0) return fail_errno(what);
    if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return fail_errno(what);
    auto memory = MappedRegion::map_shared(file, kvm_protocol::kCountersBytes, 0);
    if (!memory) return std::unexpected(std::move(memory.error()).because_of(what));
    return SharedCounters(std::move(file), std::move(*memory));
  }

  [[nodiscard]] int fd() const { return file_.get(); }
  [[nodiscard]] const kvm_protocol::Counters& operator*() const { return *counters_; }

 private:
  SharedCounters(UniqueFd file, MappedRegion memory)
      : file_(std::move(file)), memory_(std::move(memory)), counters_(new(memory_.data()) kvm_protocol::Counters) {}

  UniqueFd file_;
  MappedRegion memory_;
  const kvm_protocol::Counters* counters_;  ///< in memory_
};

class ProcessBackend final : public machine::Backend {
 public:
  ProcessBackend(machine::MachineConfig config, std::filesystem::path program, std::filesystem::path snapshot)
      : config_(std::move(config)), program_(std::move(program)), snapshot_(std::move(snapshot)) {}
  ~ProcessBackend() override;

  Result<> start(EventLoop& loop, machine::BackendEvents& events) override;
  void stop() override;
  void kill() override;
  void snapshot(machine::SnapshotFiles files, machine::SnapshotDone done) override;
  std::size_t write_console(std::string_view bytes) override { return console_ ? console_->send(bytes) : bytes.size(); }
  [[nodiscard]] machine::BackendInfo info() const override;
  [[nodiscard]] std::map<std::string, std::uint64_t, std::less<>> counters() const override;

 private:
  [[nodiscard]] std::vector<std::string> arguments() const;
  Result<> connect(UniqueFd console, UniqueFd channel);
  void on_console_bytes(std::string_view bytes);
  void on_packet(std::string_view packet);
  void finish_snapshot(Result<> how);
  void on_process_exit();
  [[nodiscard]] Result<> judge(const ExitStatus& status) const;

  machine::MachineConfig config_;
  std::filesystem::path program_;
  std::filesystem::path snapshot_;
  EventLoop* loop_ = nullptr;
  machine::BackendEvents* events_ = nullptr;
  std::optional<SharedCounters> counters_;
  std::unique_ptr<SocketStream> console_;
  std::unique_ptr<Channel> channel_;
  std::optional<Subprocess> process_;
  machine::SnapshotDone snapshot_done_;  ///< of the snapshot that is being written; empty: none
  bool killed_ = false;
  std::string failure_;           ///< why we killed it
  std::optional<Result<>> said_;  ///< its own last words
};

ProcessBackend::~ProcessBackend() {
  if (process_) loop_->remove(process_->exit_fd());
}

std::vector<std::string> ProcessBackend::arguments() const {
  std::vector<std::string> words{program_, "--supervised", "--vsock", config_.vsock_socket};
  if (config_.legacy_listener >= 0) words.emplace_back("--legacy-clients");
  if (!config_.sandbox) words.emplace_back("--no-sandbox");
  words.insert(words.end(), {"--name", config_.name});
  if (!snapshot_.empty()) {
    words.insert(words.end(), {"--restore", snapshot_});
    return words;
  }
  const scenario::Machine& machine = config_.machine;
  words.insert(words.end(),
               {"--cpus", std::to_string(machine.cpus), "--memory", std::to_string(machine.memory_bytes) + "B",
                "--gic-version", std::to_string(machine.gic_version)});
  if (machine.huge_pages) words.insert(words.end(), {"--huge-pages", "true"});
  if (config_.npu) words.insert(words.end(), {"--npu", npu::to_text(*config_.npu)});
  words.insert(words.end(), {"--initrd", config_.boot_archive, "--", config_.kernel});
  return words;
}

Result<> ProcessBackend::start(EventLoop& loop, machine::BackendEvents& events) {
  loop_ = &loop;
  events_ = &events;
  auto counters = SharedCounters::create();
  if (!counters) return std::unexpected(std::move(counters.error()));
  counters_ = std::move(*counters);
  auto listener = vsock::listen_for_clients(config_.vsock_socket);
  if (!listener) return std::unexpected(std::move(listener.error()).because_of("cannot start the vsock device"));
  auto console = make_socket_pair();
  if (!console) return std::unexpected(std::move(console.error()));
  auto channel = kvm_protocol::make_channel_pair();
  if (!channel) return std::unexpected(std::move(channel.error()));
  const UniqueFd log(::open(config_.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!log.valid()) return fail_errno("cannot create " + config_.log_file.string());
  static_assert(kvm_protocol::kConsoleFd == Subprocess::kFirstInherited);
  std::vector<int> inherited{console->second.get(), channel->second.get(), counters_->fd(), listener->get()};
  if (config_.legacy_listener >= 0) inherited.push_back(config_.legacy_listener);
  auto process = Subprocess::spawn({.arguments = arguments(),
                                    .standard_output = log.get(),
                                    .standard_error = log.get(),
                                    .inherited = std::move(inherited)});
  if (!process) return std::unexpected(std::move(process.error()));
  process_.emplace(std::move(*process));
  loop.add(process_->exit_fd(), Interest::Read, [this](Events) { on_process_exit(); });
  return connect(std::move(console->first), std::move(channel->first));
}

Result<> ProcessBackend::connect(UniqueFd console, UniqueFd channel) {
  auto stream = SocketStream::create(*loop_, std::move(console), kMaxConsoleInput,
                                     {.on_bytes = [this](std::string_view bytes) { on_console_bytes(bytes); },
                                      .on_closed = {},  // the end of the process follows, and tells
                                      .on_drained = [this] { events_->on_console_writable(); }});
  if (!stream) return std::unexpected(std::move(stream.error()));
  console_ = std::move(*stream);
  channel_ = std::make_unique<Channel>(
      *loop_, std::move(channel),
      Channel::Callbacks{
          .on_packet = [this](std::string_view packet, const std::vector<UniqueFd>&) { on_packet(packet); },
          .on_closed = {}});
  return {};
}

void ProcessBackend::on_console_bytes(std::string_view bytes) {
  events_->on_console(bytes);
  // The guest writes single bytes: they shall not wake us each.
  if (console_) console_->rest_reading(kConsolePause);
}

void ProcessBackend::on_packet(std::string_view packet) {
  auto message = kvm_protocol::decode_news(packet);
  if (!message) {
    failure_ = "the machine's process says what no machine says";
    process_->kill();
    return;
  }
  switch (message->news) {
    case News::GuestReset:
      return events_->on_guest_reset();
    case News::GuestShutdown:
      return events_->on_guest_shutdown();
    case News::GuestPanicked:
      return events_->on_guest_panicked();
    case News::Warning:
      return events_->on_warning(message->text);
    case News::SnapshotDone:
      return finish_snapshot(std::move(message->how));
    case News::Ended:
      said_ = std::move(message->how);
      return;
  }
}

void ProcessBackend::stop() {
  if (!channel_->send(encode(Order::Stop), Channel::WhenFull::Fail)) kill();
}

void ProcessBackend::kill() {
  killed_ = true;
  if (process_) process_->kill();
}

void ProcessBackend::snapshot(machine::SnapshotFiles files, machine::SnapshotDone done) {
  if (!process_) return done(fail("the machine does not run"));
  if (snapshot_done_) return done(fail("another snapshot is being written"));
  const std::array<int, kvm_protocol::kSnapshotDescriptors> descriptors = {files.machine.get(), files.memory.get(),
                                                                           files.kernel.get(), files.initrd.get()};
  auto sent = channel_->send(encode(Order::Snapshot), Channel::WhenFull::Fail, descriptors);
  if (!sent) return done(std::move(sent));
  snapshot_done_ = std::move(done);
}

void ProcessBackend::finish_snapshot(Result<> how) {
  if (const auto done = std::exchange(snapshot_done_, {})) done(std::move(how));
}

void ProcessBackend::on_process_exit() {
  loop_->remove(process_->exit_fd());
  const ExitStatus status = process_->wait();
  console_->read_rest();
  channel_->read_rest();
  finish_snapshot(fail("the machine has ended"));
  ::unlink(config_.vsock_socket.c_str());
  auto verdict = judge(status);
  process_.reset();
  events_->on_exited(std::move(verdict));
}

Result<> ProcessBackend::judge(const ExitStatus& status) const {
  if (killed_) return {};
  if (!failure_.empty()) return fail(failure_);
  if (said_) return *said_;
  std::string message = "the machine's process " + status.describe();
  if (const auto log = end_of_log(config_.log_file, kShownLog); !log.empty()) message += "; it said: " + log;
  return fail(message);
}

machine::BackendInfo ProcessBackend::info() const {
  struct utsname host{};
  ::uname(&host);
  return {.name = "kvm", .version = std::string(host.sysname) + " " + host.release, .accel = "kvm"};
}

std::map<std::string, std::uint64_t, std::less<>> ProcessBackend::counters() const {
  std::map<std::string, std::uint64_t, std::less<>> named;
  if (!counters_) return named;
  const kvm_protocol::Counters& counters = **counters_;
  for (const auto& field : vsock::kCounterFields) {
    named.emplace(std::string("vsock_") + field.name, (counters.vsock.*field.member).value());
  }
  for (const auto& field : npu::kCounterFields) {
    if (config_.npu) named.emplace(std::string("npu_") + field.name, (counters.npu.*field.member).value());
  }
  named.emplace("mmio_unknown_accesses", counters.unknown_accesses.load(std::memory_order_relaxed));  // a statistic
  return named;
}

}  // namespace

std::unique_ptr<machine::Backend> make_backend(machine::MachineConfig config, std::filesystem::path program,
                                               std::filesystem::path snapshot) {
  return std::make_unique<ProcessBackend>(std::move(config), std::move(program), std::move(snapshot));
}

}  // namespace vmm::kvm_process
