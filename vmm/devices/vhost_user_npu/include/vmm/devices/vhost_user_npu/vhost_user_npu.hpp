// The NPU as QEMU uses it: our device model behind a vhost-user socket.
//
// QEMU knows no NPU. Its front end for file systems (vhost-user-fs-device) forwards two plain queues and a tag, which
// is all that it takes: queue 0, there for requests of high priority, is the control queue, queue 1 the job queue, and
// the tag (abi::npu::kCarrierTag) tells the guest what it is. Every QEMU that SIS runs on has that front end. The
// generic one (vhost-user-device) has had another name and other rules from release to release, and would need QEMU to
// be asked before each start.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/devices/npu/counters.hpp"
#include "vmm/devices/npu_options/options.hpp"

namespace vmm {

struct NpuConfig {
  npu::Options options;
  /// Told, on the loop's thread, what goes wrong without ending the device. May be empty.
  std::function<void(const std::string& message)> warning = {};
};

/// Serves one NPU to one vhost-user front end. Thread: that of the loop, or any while the loop does not run; the
/// exceptions are said.
class VhostUserNpu {
 public:
  /// Tells why the front end's connection ended: an empty string for an orderly close (QEMU exited), else a sentence.
  using DisconnectCallback = std::function<void(const std::string& reason)>;

  /// Starts the device's threads and answers the front end.
  /// @param loop         runs the device; outlives it
  /// @param front_end    our end of the socket pair whose other end QEMU has as its chardev
  /// @param disconnected called once on the loop's thread when the front end is gone; the device may be destroyed in it
  static Result<std::unique_ptr<VhostUserNpu>> start(EventLoop& loop, UniqueFd front_end, NpuConfig config,
                                                     DisconnectCallback disconnected);
  virtual ~VhostUserNpu() = default;
  VhostUserNpu(const VhostUserNpu&) = delete;
  VhostUserNpu& operator=(const VhostUserNpu&) = delete;

  /// A copy of the counters. Any thread, also after the front end has gone.
  [[nodiscard]] virtual npu::Counters counters() const = 0;

  /// The guest was reset (QMP event RESET): its jobs end now instead of when the next driver starts. Optional.
  virtual void guest_was_reset() = 0;

  /// Closes the front end's socket and gives up the guest's memory. counters() stays usable.
  virtual void stop() = 0;

 protected:
  VhostUserNpu() = default;
};

}  // namespace vmm
