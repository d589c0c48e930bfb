// What confines the threads of a process that runs a machine: no capabilities, and for each kind of thread a filter of
// system calls (docs/sandbox.md).
#pragma once

#include <cstdint>

#include "vmm/base/result.hpp"

namespace vmm::sandbox {

enum class ThreadKind : std::uint8_t {
  Main,     ///< the loop of the supervisor
  Machine,  ///< of sisvmm-kvm: the loop of a machine, with its devices' queues and host sockets
  Vcpu,     ///< of sisvmm-kvm: runs a virtual CPU
  Control,  ///< speaks with the guest's control server
  Output,   ///< writes to the terminal
  Npu,      ///< of sisvmm-kvm: computes for the NPU
};
inline constexpr unsigned kThreadKinds = 6;

/// Whether threads are confined. A value that goes to whoever makes a thread.
class Sandbox {
 public:
  /// Confines nothing.
  Sandbox() = default;

  /// Confines every thread that enters. To be called before the first thread is made.
  /// @param before_exit called in a signal handler before the process ends because of a refused system call; may be
  /// null Errors: HostLacks, when the host's kernel has no such filters.
  static Result<Sandbox> create(void (*before_exit)());

  /// To be called by each thread of a machine as its first act, by the main thread when the machine has been set up and
  /// all threads are made. From here on a system call that the kind may not make ends the process with
  /// ExitCode::Internal and a message that names it. Also names the thread (ps -L, top -H), but for the main one.
  ///
  /// If the thread cannot be confined, the process ends in the same way: create() has found that it can, and nothing
  /// else may be done with an open thread.
  void enter(ThreadKind kind) const;

  [[nodiscard]] bool confines() const { return confines_; }

 private:
  bool confines_ = false;
};

}  // namespace vmm::sandbox
