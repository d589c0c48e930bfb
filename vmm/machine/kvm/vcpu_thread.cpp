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

/// All signals of the process are the main thread's; this one's are the kick and its own faults, whose handlers put the
/// terminal back and tell of a refused system call.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t set;
    ::sigfillset(&set);
    for (const int number : {kick_signal(), SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS})
      ::sigdelset(&set, number);
    ::pthread_sigmask(SIG_SETMASK, &set, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

VcpuThread::VcpuThread(sandbox::Sandbox sandbox) {
  install_kick_handler();
  const SignalsBlocked blocked;  // the new thread inherits the mask
  thread_ = std::thread([this, sandbox] {
    sandbox.enter(sandbox::ThreadKind::Vcpu);
    serve();
  });
}

VcpuThread::~VcpuThread() {
  request_stop();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void VcpuThread::start(kvm::Vcpu& vcpu, mmio::Bus& bus, const VcpuEvents& events) {
  vcpu.clear_exit_request();
  {
    const std::lock_guard lock(mutex_);
    work_ = {.vcpu = &vcpu, .bus = &bus, .events = &events};
    stop_ = false;
  }
  changed_.notify_all();
}

void VcpuThread::request_stop() {
  const std::lock_guard lock(mutex_);
  if (work_.vcpu == nullptr) return;
  stop_ = true;
  // Whatever the thread does now: KVM looks at the request before it enters the guest, or the signal gets it out.
  work_.vcpu->request_exit();
  ::pthread_kill(thread_.native_handle(), kick_signal());
}

void VcpuThread::wait_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return work_.vcpu == nullptr; });
}

void VcpuThread::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return work_.vcpu != nullptr || ending_; });
    if (work_.vcpu == nullptr) return;
    const Work work = work_;
    lock.unlock();
    run(work);
    lock.lock();
    work_ = {};
    changed_.notify_all();
  }
}

bool VcpuThread::stop_requested() {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void VcpuThread::run(const Work& work) {
  using Reason = kvm::VcpuExit::Reason;
  for (;;) {
    const kvm::VcpuExit exit = work.vcpu->run(*work.bus);
    // Only here: KVM completes the access or the fault of the last exit when it is entered again, and only then is the
    // CPU's state whole.
    if (exit.reason == Reason::Interrupted) {
      if (stop_requested()) return work.events->paused();
      continue;
    }
    if (exit.reason != Reason::Undecodable) return work.events->stopped(exit);
    work.events->warning("the guest accessed " + hex(exit.address.value()) +
                         ", where no memory is, by an instruction that cannot be emulated; it gets a fault");
    if (auto injected = work.vcpu->inject_external_abort(); !injected) {
      return work.events->stopped({.reason = Reason::Failed, .address = exit.address, .kvm_exit = exit.kvm_exit});
    }
  }
}

}  // namespace vmm::machine_kvm
