// Waking another thread or process through a file descriptor.
#pragma once

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm {

/// A counter-like event: signalled any number of times, seen once. An eventfd where the system has it, else a
/// non-blocking pipe. Both ends are close-on-exec. signal() may be called from any thread and from a signal handler.
class Notifier {
 public:
  Notifier() = default;

  static Result<Notifier> create();

  /// Adopts the end(s) of an event made elsewhere: an eventfd, or one end of a pipe, as vhost-user hands them over.
  /// The descriptor becomes non-blocking.
  static Result<Notifier> adopt(UniqueFd fd);

  [[nodiscard]] bool valid() const { return read_end_.valid(); }
  /// The descriptor to poll for readability.
  [[nodiscard]] int fd() const { return read_end_.get(); }

  /// Makes fd() readable. An event that is already as full as it can be stays signalled, so no error is lost.
  void signal() const;
  /// Makes fd() unreadable again. True if it had been signalled.
  bool drain() const;

 private:
  UniqueFd read_end_;
  UniqueFd write_end_;  ///< empty when one descriptor serves both ways
};

}  // namespace vmm
