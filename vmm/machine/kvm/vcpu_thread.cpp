#include "vcpu_thread.hpp"

#include <pthread.h>

#include <csignal>
#include <mutex>

#include "text.hpp"

namespace vmm::machine_kvm {
namespace {

int kick_signal() { return SIGRTMIN; }

/// The signal has to do nothing but end a system call.
void install_kick_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ::sigaction(kick_signal(), &action, nullptr);  // no SA_RESTART: KVM_RUN shall return
  });
}

/// All signals of the process are the main thread's; this one's only the kick.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t set;
    ::sigfillset(&set);
    ::sigdelset(&set, kick_signal());
    ::pthread_sigmask(SIG_SETMASK, &set, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

VcpuThread::VcpuThread(kvm::Vcpu& vcpu, mmio::Bus& bus, Events events)
    : vcpu_(vcpu), bus_(bus), events_(std::move(events)) {
  install_kick_handler();
  const SignalsBlocked blocked;  // the new thread inherits the mask
  thread_ = std::thread([this] { run(); });
}

VcpuThread::~VcpuThread() {
  request_stop();
  join();
}

void VcpuThread::request_stop() {
  if (!thread_.joinable()) return;
  stop_ = true;
  // Whatever the thread does now: it sees the flag before it enters the guest, or the signal gets it out.
  vcpu_.request_exit();
  ::pthread_kill(thread_.native_handle(), kick_signal());
}

void VcpuThread::join() {
  if (thread_.joinable()) thread_.join();
}

void VcpuThread::run() {
  using Reason = kvm::VcpuExit::Reason;
  while (!stop_) {
    const kvm::VcpuExit exit = vcpu_.run(bus_);
    if (exit.reason == Reason::Interrupted) continue;
    if (exit.reason != Reason::Undecodable) {
      events_.stopped(exit);
      return;
    }
    events_.warning("the guest accessed " + hex(exit.address.value()) +
                    ", where no memory is, by an instruction that cannot be emulated; it gets a fault");
    if (auto injected = vcpu_.inject_external_abort(); !injected) {
      events_.stopped({.reason = Reason::Failed, .address = exit.address, .kvm_exit = exit.kvm_exit});
      return;
    }
  }
}

}  // namespace vmm::machine_kvm
