#include <atomic>
#include <cstring>

#include "control.hpp"
#include "guest/graph/operators/control.hpp"

namespace guest::graph {
namespace {

/// A ring of pieces of memory, each of `max_bytes`. The feeder writes `fed_` and the piece before it; the operator
/// writes `used_`.
class ControlSource final : public OperatorCode, public ControlFeed {
 public:
  ControlSource(const Parameters& parameters, std::unique_ptr<std::byte[]> memory)
      : memory_(std::move(memory)),
        capacity_(static_cast<std::uint32_t>(parameters.integer("depth"))),
        max_bytes_(static_cast<std::uint32_t>(parameters.integer("max_bytes"))),
        dtype_(find_dtype(parameters.text("dtype")).value_or(DType::U8)) {}

  // ---- the operator's thread

  std::uint64_t ready_at(std::uint64_t /*now_ns*/) override {
    // The end is read first: what was fed before it is then seen, too.
    const bool ended = ended_.load(std::memory_order_acquire);
    return ended || queued() > 0 ? kNow : kAsleep;
  }
  kernel::Outcome fire(Firing& firing) override;

  // ---- the feeder

  kernel::Outcome feed(std::span<const std::byte> bytes) override;
  void end() override { ended_.store(true, std::memory_order_release); }  // pairs with ready_at() and fire()
  [[nodiscard]] State state() const override {
    return {.queued = queued(),
            .capacity = capacity_,
            .ended = ended_.load(std::memory_order_relaxed),  // a figure
            .refused = refused_};
  }

 private:
  /// Acquire pairs with the release of the other side: its piece is written, or free.
  [[nodiscard]] std::uint32_t queued() const {
    return fed_.load(std::memory_order_acquire) - used_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::byte* piece(std::uint32_t count) const {
    return memory_.get() + std::size_t{count % capacity_} * max_bytes_;
  }

  std::unique_ptr<std::byte[]> memory_;
  std::uint32_t capacity_;  ///< a power of two, so that counts may wrap
  std::uint32_t max_bytes_;
  DType dtype_;
  std::uint32_t sizes_[kMaxControlDepth] = {};
  std::atomic<std::uint32_t> fed_{0};
  std::atomic<std::uint32_t> used_{0};
  std::atomic<bool> ended_{false};
  std::uint64_t refused_ = 0;  ///< the feeder's
};

kernel::Outcome ControlSource::feed(std::span<const std::byte> bytes) {
  if (bytes.size() > max_bytes_ || bytes.size() % size_of(dtype_) != 0) {
    return kernel::fail("graph-feed-bad-size", "{} bytes: expected at most {}, in elements of {}", bytes.size(),
                        max_bytes_, to_string(dtype_));
  }
  if (ended_.load(std::memory_order_relaxed)) {  // written by this side, or by the operator when all was used
    return kernel::fail("graph-feed-ended", "the end has been said already");
  }
  if (queued() == capacity_) {
    ++refused_;
    return kernel::fail("graph-feed-full", "{} tensors wait already", capacity_);
  }
  const std::uint32_t fed = fed_.load(std::memory_order_relaxed);  // this side's own
  if (!bytes.empty()) {
    std::memcpy(piece(fed), bytes.data(), bytes.size());
  }
  sizes_[fed % capacity_] = static_cast<std::uint32_t>(bytes.size());
  fed_.store(fed + 1, std::memory_order_release);  // pairs with queued()
  return {};
}

kernel::Outcome ControlSource::fire(Firing& firing) {
  const bool ended = ended_.load(std::memory_order_acquire);  // before queued(), as in ready_at()
  if (queued() == 0) {
    kernel::require(ended, "a control-source fires without anything to send");
    ended_.store(false, std::memory_order_relaxed);  // the next run has its own end
    firing.finish();
    return {};
  }
  const std::uint32_t used = used_.load(std::memory_order_relaxed);  // this side's own
  const std::span<const std::byte> bytes(piece(used), sizes_[used % capacity_]);
  auto made =
      firing.allocate(dtype_, {.rank = 1, .dims = {static_cast<std::uint32_t>(bytes.size() / size_of(dtype_))}});
  if (!made) {
    return std::unexpected(made.error());
  }
  kernel::require(made->arena()->write(*made, 0, bytes) == kernel::Status::Ok, "what was fed does not fit");
  used_.store(used + 1, std::memory_order_release);  // pairs with queued()
  firing.send(0, *std::move(made));
  return {};
}

}  // namespace

MadeOperator make_control_source(const Parameters& parameters) {
  const auto depth = static_cast<std::uint64_t>(parameters.integer("depth"));
  if ((depth & (depth - 1)) != 0) {
    return kernel::fail("graph-bad-parameter", "parameter 'depth' is {}: expected a power of two", depth);
  }
  const std::uint64_t bytes = depth * static_cast<std::uint64_t>(parameters.integer("max_bytes"));
  std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[bytes]);
  if (memory == nullptr) {
    return kernel::fail("graph-no-memory", "no {} bytes for what is fed", bytes);
  }
  return make_code<ControlSource>(parameters, std::move(memory));
}

ControlFeed* control_feed(Operator& of) {
  // The kind made the code, so its type is known; kernel code has no run-time type information.
  return of.kind().make == make_control_source ? static_cast<ControlSource*>(&of.code()) : nullptr;
}

}  // namespace guest::graph
