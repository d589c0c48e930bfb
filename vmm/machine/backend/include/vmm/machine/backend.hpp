// What runs a machine: QEMU, or a process of ours by KVM. The supervisor (supervisor.hpp) drives either through this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/devices/npu_options/options.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::machine {

/// One machine to run.
struct MachineConfig {
  std::string name;  ///< is_machine_name()
  scenario::Machine machine;
  std::optional<npu::Options> npu = {};  ///< absent: the machine has none
  std::filesystem::path kernel;
  std::filesystem::path boot_archive;
  std::filesystem::path vsock_socket;  ///< where the public socket of the vsock device is to listen
  int legacy_listener = -1;            ///< listens for clients of abi::control::kLegacyPort; the caller's; -1: none
  std::filesystem::path log_file;      ///< for what the back end itself has to say
  bool sandbox = true;                 ///< confine the process that runs the guest; KVM's back end can
};

/// Where a snapshot is written to: empty files, open for writing (vmm/machine/snapshot/state.hpp says what for).
struct SnapshotFiles {
  UniqueFd machine;
  UniqueFd memory;
  UniqueFd kernel;
  UniqueFd initrd;  ///< stays empty if the machine has none
};
using SnapshotDone = std::function<void(Result<>)>;

struct BackendInfo {
  std::string name;     ///< "qemu"
  std::string version;  ///< empty until it is known
  std::string accel;    ///< "tcg", "kvm", "hvf"
};

/// Receives what happens to a machine, on the thread of the loop that Backend::start() was given.
class BackendEvents {
 public:
  virtual ~BackendEvents() = default;
  /// Bytes that the guest wrote to its console.
  virtual void on_console(std::string_view bytes) = 0;
  /// write_console() takes bytes again.
  virtual void on_console_writable() = 0;
  /// The guest rebooted; it runs on.
  virtual void on_guest_reset() = 0;
  /// The guest has asked the platform to power off; on_exited() follows.
  virtual void on_guest_shutdown() = 0;
  /// The back end was told of a panic by other means than the console's record.
  virtual void on_guest_panicked() = 0;
  /// Something went wrong that the machine survives: a driver that broke its queues.
  virtual void on_warning(const std::string& message) = 0;
  /// The machine is gone; all console bytes have been delivered, every vsock connection is closed. The last call.
  /// An error when it ended otherwise than by the guest's power-off, stop() or kill().
  virtual void on_exited(Result<> how) = 0;
};

/// One machine, started once. Thread: that of the loop, but for counters().
class Backend {
 public:
  virtual ~Backend() = default;  ///< a machine that still runs is killed

  /// Starts the machine. `loop` and `events` outlive it. An error means that nothing runs; it carries
  /// ExitCode::HostLacks when the host has not what the machine needs.
  virtual Result<> start(EventLoop& loop, BackendEvents& events) = 0;

  /// Ends the machine in order as far as the back end goes; the guest is not asked. on_exited() follows.
  virtual void stop() = 0;

  /// Ends it at once. on_exited() follows.
  virtual void kill() = 0;

  /// Writes the running machine into `files` and lets it run on; then calls `done`, before on_exited() in any case. The
  /// guest stands still meanwhile and does not notice; its vsock connections stay. One at a time: an error if another
  /// is being written.
  virtual void snapshot(SnapshotFiles files, SnapshotDone done) = 0;

  /// Types into the guest's console. Takes as many bytes as there is room for, and returns their number; after less
  /// than all, on_console_writable() tells when to go on.
  virtual std::size_t write_console(std::string_view bytes) = 0;

  [[nodiscard]] virtual BackendInfo info() const = 0;

  /// Counters of its devices, "vsock_rx_packets" and so on. Any thread, also after the exit.
  [[nodiscard]] virtual std::map<std::string, std::uint64_t, std::less<>> counters() const = 0;
};

}  // namespace vmm::machine
