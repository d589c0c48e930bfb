// The thread of a virtual CPU. It is made once and waits whenever there is nothing to run: a reboot or a pause makes no
// thread, so that what makes threads can be left behind with the machine's set-up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "vmm/hypervisor/kvm/vcpu.hpp"
#include "vmm/mmio/bus.hpp"
#include "vmm/sandbox/sandbox.hpp"

namespace vmm::machine_kvm {

/// What a virtual CPU tells from its thread.
struct VcpuEvents {
  /// The guest ended the machine or cannot go on; the thread is idle next.
  std::function<void(const kvm::VcpuExit&)> stopped;
  /// It has left the guest because of request_stop(); the thread is idle next.
  std::function<void()> paused;
  /// Something went wrong that the guest can live with.
  std::function<void(const std::string&)> warning;
};

/// Thread: any one, which calls all of it.
class VcpuThread {
 public:
  explicit VcpuThread(sandbox::Sandbox sandbox);
  /// Stops what it runs.
  ~VcpuThread();
  VcpuThread(const VcpuThread&) = delete;
  VcpuThread& operator=(const VcpuThread&) = delete;

  /// Runs the guest on `vcpu`, until request_stop() or `events.stopped`. Only while it is idle.
  /// @param vcpu, bus, events  stay until it is idle again
  void start(kvm::Vcpu& vcpu, mmio::Bus& bus, const VcpuEvents& events);

  /// Asks it to leave the guest, with every access to a device complete.
  void request_stop();
  /// Waits until it is idle.
  void wait_idle();

 private:
  /// Null: idle.
  struct Work {
    kvm::Vcpu* vcpu = nullptr;
    mmio::Bus* bus = nullptr;
    const VcpuEvents* events = nullptr;
  };
  void serve();
  void run(const Work& work);
  bool stop_requested();

  std::mutex mutex_;  ///< guards the next four
  std::condition_variable changed_;
  Work work_;
  bool stop_ = false;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace vmm::machine_kvm
