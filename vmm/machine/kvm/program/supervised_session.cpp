#include <fcntl.h>

#include <new>

#include "sessions.hpp"
#include "vmm/base/mapped_region.hpp"
#include "vmm/base/socket_stream.hpp"
#include "vmm/machine/kvm_protocol/channel.hpp"
#include "vmm/machine/kvm_protocol/message.hpp"

namespace vmm::kvm_program {
namespace {

using kvm_protocol::Channel;
using kvm_protocol::Message;
using kvm_protocol::News;
using kvm_protocol::Order;

/// Output of the console that sisvmm has not taken yet; beyond this the guest waits.
constexpr std::size_t kMaxPending = 64 * 1024;

class SupervisedSession final : public machine::BackendEvents {
 public:
  SupervisedSession(EventLoop& loop, machine_kvm::Machine& machine) : loop_(loop), machine_(machine) {}

  Result<> run(sandbox::Sandbox sandbox) {
    channel_ = std::make_unique<Channel>(
        loop_, UniqueFd(kvm_protocol::kChannelFd),
        Channel::Callbacks{.on_packet = [this](std::string_view packet,
                                               std::vector<UniqueFd> files) { on_packet(packet, std::move(files)); },
                           .on_closed = [this] { machine_.end(); }});
    auto done = start();
    if (done) {
      sandbox.enter(sandbox::ThreadKind::Machine);
      done = loop_.run();
    }
    if (done) done = std::move(how_);
    say_the_rest();
    // Who was told says it to the user.
    return tell({.news = News::Ended, .how = done, .text = {}}) ? Result<>() : done;
  }

  void on_console(std::string_view bytes) override {
    if (unsent_.empty()) bytes.remove_prefix(console_->send(bytes));
    unsent_ += bytes;
    if (!unsent_.empty()) machine_.hold_console(true);
  }
  void on_console_writable() override { type({}); }
  void on_guest_reset() override { tell({.news = News::GuestReset, .how = {}, .text = {}}); }
  void on_guest_shutdown() override { tell({.news = News::GuestShutdown, .how = {}, .text = {}}); }
  void on_guest_panicked() override { tell({.news = News::GuestPanicked, .how = {}, .text = {}}); }
  void on_warning(const std::string& message) override { tell({.news = News::Warning, .how = {}, .text = message}); }
  void on_exited(Result<> how) override {
    how_ = std::move(how);
    loop_.stop();
  }

 private:
  Result<> start() {
    auto console = SocketStream::create(loop_, UniqueFd(kvm_protocol::kConsoleFd), kMaxPending,
                                        {.on_bytes = [this](std::string_view bytes) { type(bytes); },
                                         .on_closed = {},  // sisvmm's end is told by the channel's
                                         .on_drained = [this] { on_console_drained(); }});
    if (!console) return std::unexpected(std::move(console.error()));
    console_ = std::move(*console);
    return machine_.start(loop_, *this);
  }

  /// Passes on what fits; the rest waits here, and more of it in the socket.
  void type(std::string_view bytes) {
    typed_ += bytes;
    typed_.erase(0, machine_.write_console(typed_));
    console_->set_reading(typed_.empty());
  }

  void on_console_drained() {
    unsent_.erase(0, console_->send(unsent_));
    if (unsent_.empty()) machine_.hold_console(false);
  }

  /// Waits for the guest's last words to be taken, however slowly sisvmm does it.
  void say_the_rest() {
    if (!console_) return;
    console_->drain();
    while (!unsent_.empty()) {
      unsent_.erase(0, console_->send(unsent_));
      console_->drain();
    }
  }

  void on_packet(std::string_view packet, std::vector<UniqueFd> files) {
    const auto order = kvm_protocol::decode_order(packet);
    if (order == Order::Snapshot && files.size() == kvm_protocol::kSnapshotDescriptors) {
      return machine_.snapshot(
          {.machine = std::move(files[0]),
           .memory = std::move(files[1]),
           .kernel = std::move(files[2]),
           .initrd = std::move(files[3])},
          [this](Result<> how) { tell({.news = News::SnapshotDone, .how = std::move(how), .text = {}}); });
    }
    // Stop, or what no sisvmm says: then it is not to be obeyed.
    machine_.end();
  }

  /// False if sisvmm is gone, which the channel tells, too. If it is only slow, the machine waits for it.
  bool tell(const Message& message) { return channel_->send(encode(message), Channel::WhenFull::Wait).has_value(); }

  EventLoop& loop_;
  machine_kvm::Machine& machine_;
  std::unique_ptr<SocketStream> console_;
  std::unique_ptr<Channel> channel_;
  std::string typed_;
  std::string unsent_;
  Result<> how_;
};

}  // namespace

Result<> check_descriptors(bool legacy_clients) {
  for (int fd = kvm_protocol::kConsoleFd;
       fd <= (legacy_clients ? kvm_protocol::kLegacyListenerFd : kvm_protocol::kListenerFd); ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    return fail("--supervised is for sisvmm: descriptor " + std::to_string(fd) + " is not open", abi::ExitCode::Usage);
  }
  return {};
}

Result<> run_supervised(EventLoop& loop, machine_kvm::Machine& machine, sandbox::Sandbox sandbox) {
  return SupervisedSession(loop, machine).run(sandbox);
}

Result<kvm_protocol::Counters*> map_counters() {
  const UniqueFd file(kvm_protocol::kCountersFd);
  // Lives as long as the process.
  static MappedRegion memory;
  auto mapped = MappedRegion::map_shared(file, kvm_protocol::kCountersBytes, 0);
  if (!mapped) return std::unexpected(std::move(mapped.error()).because_of("cannot map the counters (descriptor 5)"));
  memory = std::move(*mapped);
  return new (memory.data()) kvm_protocol::Counters;
}

}  // namespace vmm::kvm_program
