#include "control.hpp"
#include "guest/graph/operators/control.hpp"
#include "guest/kernel/spin_lock.hpp"

namespace guest::graph {
namespace {

/// Under the lock tensors only change hands; they are let go of outside of it.
class ControlSink final : public OperatorCode, public ControlTap {
 public:
  explicit ControlSink(const Parameters& parameters)
      : capacity_(static_cast<std::uint32_t>(parameters.integer("keep"))) {}

  void begin(std::uint64_t /*now_ns*/) override {
    while (take().tensor) {
    }
    const kernel::SpinGuard guard(lock_);
    received_ = 0;
    lost_ = 0;
    lost_before_ = 0;
  }

  kernel::Outcome fire(Firing& firing) override {
    TensorRef tensor = std::move(firing.input(0));
    TensorRef oldest;
    kernel::WorkItem* listener = nullptr;
    {
      const kernel::SpinGuard guard(lock_);
      if (kept_ == capacity_) {
        oldest = remove_oldest();
        ++lost_;
      }
      ring_[(first_ + kept_) % capacity_] = std::move(tensor);
      ++kept_;
      ++received_;
      listener = listener_;
    }
    if (listener != nullptr) {
      kernel::work_queue().raise(*listener);  // not under the lock: it may wake a thread
    }
    return {};
  }

  Taken take() override {
    const kernel::SpinGuard guard(lock_);
    Taken taken{.tensor = {}, .lost = lost_ - lost_before_, .index = received_ - kept_};
    if (kept_ > 0) {
      taken.tensor = remove_oldest();
      lost_before_ = lost_;
    }
    return taken;
  }
  bool listen(kernel::WorkItem& item) override {
    const kernel::SpinGuard guard(lock_);
    if (listener_ != nullptr) {
      return false;
    }
    listener_ = &item;
    return true;
  }
  void unlisten() override {
    const kernel::SpinGuard guard(lock_);
    listener_ = nullptr;
  }
  [[nodiscard]] State state() const override {
    const kernel::SpinGuard guard(lock_);
    return {.kept = kept_, .capacity = capacity_, .received = received_, .lost = lost_};
  }

 private:
  TensorRef remove_oldest() {
    TensorRef oldest = std::move(ring_[first_]);
    first_ = first_ + 1 == capacity_ ? 0 : first_ + 1;
    --kept_;
    return oldest;
  }

  mutable kernel::SpinLock lock_{"control-sink", kernel::LockRank::ControlSink};
  TensorRef ring_[kMaxControlDepth];
  kernel::WorkItem* listener_ = nullptr;
  std::uint32_t capacity_;
  std::uint32_t first_ = 0;
  std::uint32_t kept_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t lost_before_ = 0;  ///< of `lost_`, what a take() has told
};

}  // namespace

MadeOperator make_control_sink(const Parameters& parameters) { return make_code<ControlSink>(parameters); }

ControlTap* control_tap(Operator& of) {
  // As control_feed().
  return of.kind().make == make_control_sink ? static_cast<ControlSink*>(&of.code()) : nullptr;
}

}  // namespace guest::graph
