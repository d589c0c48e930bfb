// Where the control plane reaches into a graph: what it feeds to a control-source, and takes from a control-sink.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "guest/graph/graph.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/kernel/work.hpp"

namespace guest::graph {

/// The code of a control-source: a bounded queue. One thread at a time feeds it, whether the graph runs or not; what
/// was fed and not used yet waits for the next run.
class ControlFeed {
 public:
  /// Queues a tensor with these bytes. The operator may sleep: the caller has it woken. Errors: graph-feed-full (the
  /// queue has no room now), graph-feed-bad-size (more than the operator allows, or no whole number of elements),
  /// graph-feed-ended.
  virtual kernel::Outcome feed(std::span<const std::byte> bytes) = 0;
  /// Nothing more comes: the source finishes when the queue is empty. The caller has the operator woken.
  virtual void end() = 0;
  struct State {
    std::uint32_t queued;
    std::uint32_t capacity;
    bool ended;
    std::uint64_t refused;  ///< for want of room, since the operator was made
  };
  [[nodiscard]] virtual State state() const = 0;

 protected:
  ~ControlFeed() = default;
};

/// The code of a control-sink: the newest tensors, until somebody takes them. From any thread.
class ControlTap {
 public:
  struct Taken {
    TensorRef tensor;         ///< none: there is none
    std::uint64_t lost = 0;   ///< that made room for newer ones since the last take()
    std::uint64_t index = 0;  ///< the how manieth of this run it is, from 0
  };
  /// The oldest one that is kept. It belongs to the graph's arena: let go of it before the graph ends.
  virtual Taken take() = 0;
  /// Raises `item` in the kernel's work queue when a tensor has come, until unlisten(). It may be raised once more
  /// after that: it is of static storage. False: somebody listens already.
  [[nodiscard]] virtual bool listen(kernel::WorkItem& item) = 0;
  virtual void unlisten() = 0;
  struct State {
    std::uint32_t kept;
    std::uint32_t capacity;
    std::uint64_t received;  ///< since the run began
    std::uint64_t lost;      ///< since the run began
  };
  [[nodiscard]] virtual State state() const = 0;

 protected:
  ~ControlTap() = default;
};

/// The feed of a control-source; null: `of` is of another kind.
ControlFeed* control_feed(Operator& of);
/// The tap of a control-sink; null: `of` is of another kind.
ControlTap* control_tap(Operator& of);

}  // namespace guest::graph
