// A machine that KVM runs, in this process.
//
// One thread, the loop's, has everything but the virtual CPUs: the devices' queues and host sockets, the console,
// reboot, snapshot. Each virtual CPU has a thread that runs the guest and serves its accesses to registers. The loop
// never waits for a virtual CPU that may be waiting for the loop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/machine/backend.hpp"
#include "vmm/machine/board/kernel_image.hpp"
#include "vmm/machine/kvm_protocol/counters.hpp"
#include "vmm/machine/snapshot/state.hpp"
#include "vmm/sandbox/sandbox.hpp"

namespace vmm::machine_kvm {

struct Options {
  std::string name;                           ///< kept in snapshots
  unsigned cpus = 1;                          ///< 1 to 8
  std::uint64_t memory_bytes = 512ull << 20;  ///< a multiple of 2 MiB
  bool huge_pages = false;
  unsigned gic_version = 3;  ///< 2 or 3
  std::filesystem::path kernel;
  board::KernelFormat kernel_format = board::KernelFormat::Auto;
  std::filesystem::path initrd;                ///< empty: none
  std::string boot_arguments;                  ///< the kernel's command line
  std::filesystem::path vsock_socket;          ///< of the vsock device's host side; empty: no such device
  std::optional<npu::Options> npu = {};        ///< absent: no such device
  int vsock_listener = -1;                     ///< vsock::DeviceConfig::listener
  int legacy_listener = -1;                    ///< for clients of abi::control::kLegacyPort, taken over; -1: none
  sandbox::Sandbox sandbox;                    ///< for the threads of virtual CPUs; the loop's thread enters by itself
  kvm_protocol::Counters* counters = nullptr;  ///< where to count, outliving the machine; null: nobody wants to know
  /// A machine to go on with, instead of booting one. Its memory and files lie in `folder`, which must stay as it is
  /// for as long as the machine runs.
  struct Restored {
    snapshot::MachineState state;
    std::filesystem::path folder;
  };
  std::optional<Restored> restored = std::nullopt;
};

/// What it takes to go on with the machine that lies in a snapshot's folder: all but socket, sandbox and counters.
Options options_of(snapshot::MachineState state, const std::filesystem::path& folder);

/// One machine, started once. Thread: the loop's.
class Machine {
 public:
  virtual ~Machine() = default;  ///< ends it

  /// Starts the machine; `loop` and `events` outlive it. An error means that nothing runs.
  virtual Result<> start(EventLoop& loop, machine::BackendEvents& events) = 0;

  /// Ends it, from the loop: BackendEvents::on_exited() follows.
  virtual void end() = 0;

  /// As machine::Backend::snapshot(). The loop waits while the files are written.
  virtual void snapshot(machine::SnapshotFiles files, machine::SnapshotDone done) = 0;

  /// As machine::Backend::write_console().
  virtual std::size_t write_console(std::string_view bytes) = 0;

  /// While it is held, no output of the console is passed on but what is left at the end; the guest waits when the
  /// console's buffer is full.
  virtual void hold_console(bool hold) = 0;
};

std::unique_ptr<Machine> make_machine(Options options);

}  // namespace vmm::machine_kvm
