// The thread of a virtual CPU.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "vmm/hypervisor/kvm/vcpu.hpp"
#include "vmm/mmio/bus.hpp"

namespace vmm::machine_kvm {

class VcpuThread {
 public:
  struct Events {
    /// The guest ended the machine or cannot go on. Called once at most, as the thread's last act.
    std::function<void(const kvm::VcpuExit&)> stopped;
    /// Something went wrong that the guest can live with.
    std::function<void(const std::string&)> warning;
  };

  /// @param vcpu, bus outlive the thread
  VcpuThread(kvm::Vcpu& vcpu, mmio::Bus& bus, Events events);
  /// Stops it.
  ~VcpuThread();
  VcpuThread(const VcpuThread&) = delete;
  VcpuThread& operator=(const VcpuThread&) = delete;

  /// Asks it to leave the guest and end; join() waits for that. No event is called for it.
  void request_stop();
  void join();

 private:
  void run();

  kvm::Vcpu& vcpu_;
  mmio::Bus& bus_;
  Events events_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace vmm::machine_kvm
