#include <algorithm>

#include "routing.hpp"

namespace guest::graph {
namespace {

/// `like`, and a dimension before it.
Shape stacked(const Shape& like, std::uint32_t count) {
  Shape shape{.rank = static_cast<std::uint8_t>(like.rank + 1), .dims = {count}};
  std::copy_n(like.dims, like.rank, shape.dims + 1);
  return shape;
}

/// Keeps references; the bytes are copied when they are put together.
class Window final : public OperatorCode {
 public:
  explicit Window(const Parameters& parameters)
      : size_(static_cast<std::uint32_t>(parameters.integer("size"))),
        step_(static_cast<std::uint32_t>(parameters.integer("step"))) {}

  void begin(std::uint64_t /*now_ns*/) override {
    for (TensorRef& tensor : kept_) {
      tensor.reset();
    }
    count_ = 0;
    skip_ = 0;
  }

  kernel::Outcome fire(Firing& firing) override {
    TensorRef input = std::move(firing.input(0));
    if (input.info().shape.rank == Shape::kMaxRank) {
      return bad_input(0, "at most 3 dimensions", input.info());
    }
    if (skip_ > 0) {
      --skip_;
      return {};
    }
    if (count_ > 0) {
      const TensorInfo& first = kept_[0].info();
      if (input.info().dtype != first.dtype || input.info().shape != first.shape) {
        return bad_input(0, describe(first).view(), input.info());
      }
    }
    kept_[count_++] = std::move(input);
    return count_ == size_ ? put_together(firing) : kernel::Outcome();
  }

 private:
  kernel::Outcome put_together(Firing& firing) {
    auto made = firing.allocate(kept_[0].info().dtype, stacked(kept_[0].info().shape, size_));
    if (!made) {
      return std::unexpected(made.error());
    }
    std::uint64_t offset = 0;
    std::uint64_t oldest_ns = made->info().timestamp_ns;
    for (std::uint32_t i = 0; i < size_; ++i) {
      const std::span<const std::byte> data = kept_[i].data();
      kernel::require(made->arena()->write(*made, offset, data) == kernel::Status::Ok, "a window has another size");
      offset += data.size();
      oldest_ns = std::min(oldest_ns, kept_[i].info().timestamp_ns);
    }
    const TensorInfo& info = made->info();
    made->stamp(info.schema, info.origin, info.sequence, oldest_ns);
    firing.send(0, *std::move(made));
    advance();
    return {};
  }

  /// Lets go of `step` tensors, of which some may not be here yet.
  void advance() {
    const std::uint32_t gone = std::min(step_, count_);
    for (std::uint32_t i = gone; i < count_; ++i) {
      kept_[i - gone] = std::move(kept_[i]);
    }
    for (std::uint32_t i = count_ - gone; i < count_; ++i) {
      kept_[i].reset();
    }
    count_ -= gone;
    skip_ = step_ - gone;
  }

  std::uint32_t size_;
  std::uint32_t step_;
  TensorRef kept_[kMaxWindow];
  std::uint32_t count_ = 0;
  std::uint32_t skip_ = 0;  ///< inputs that come next and belong to no window
};

}  // namespace

MadeOperator make_window(const Parameters& parameters) { return make_code<Window>(parameters); }

}  // namespace guest::graph
