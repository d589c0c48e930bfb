#include <algorithm>

#include "routing.hpp"

namespace guest::graph {
namespace {

class Join final : public OperatorCode {
 public:
  explicit Join(const Parameters& parameters) : stacks_(parameters.text("mode") == "stack") {}

  kernel::Outcome fire(Firing& firing) override {
    const auto shape = stacks_ ? stacked_shape(firing) : joined_shape(firing);
    if (!shape) {
      return std::unexpected(shape.error());
    }
    auto made = firing.allocate(firing.input(0).info().dtype, *shape);
    if (!made) {
      return std::unexpected(made.error());
    }
    std::uint64_t offset = 0;
    for (std::size_t i = 0; i < firing.inputs(); ++i) {
      const std::span<const std::byte> data = firing.input(i).data();
      kernel::require(made->arena()->write(*made, offset, data) == kernel::Status::Ok, "joined tensors do not fit");
      offset += data.size();
    }
    firing.send(0, *std::move(made));
    return {};
  }

 private:
  using MadeShape = std::expected<Shape, kernel::NamedError>;

  static MadeShape stacked_shape(Firing& firing) {
    const TensorInfo& first = firing.input(0).info();
    if (first.shape.rank == Shape::kMaxRank) {
      return bad_input(0, "at most 3 dimensions", first);
    }
    for (std::size_t i = 1; i < firing.inputs(); ++i) {
      const TensorInfo& info = firing.input(i).info();
      if (info.dtype != first.dtype || info.shape != first.shape) {
        return bad_input(i, describe(first).view(), info);
      }
    }
    Shape shape{.rank = static_cast<std::uint8_t>(first.shape.rank + 1),
                .dims = {static_cast<std::uint32_t>(firing.inputs())}};
    std::copy_n(first.shape.dims, first.shape.rank, shape.dims + 1);
    return shape;
  }

  static MadeShape joined_shape(Firing& firing) {
    const TensorInfo& first = firing.input(0).info();
    if (first.shape.rank == 0) {
      return bad_input(0, "at least 1 dimension", first);
    }
    Shape shape = first.shape;
    for (std::size_t i = 1; i < firing.inputs(); ++i) {
      const TensorInfo& info = firing.input(i).info();
      Shape same = info.shape;
      same.dims[0] = first.shape.dims[0];
      if (info.dtype != first.dtype || info.shape.rank != first.shape.rank || same != first.shape) {
        kernel::FixedText<96> expected;
        kernel::format_to(expected, "{}, the first dimension any", describe(first).view());
        return bad_input(i, expected.view(), info);
      }
      if (__builtin_add_overflow(shape.dims[0], info.shape.dims[0], &shape.dims[0])) {
        return bad_input(i, "first dimensions below 2^32 together", info);
      }
    }
    return shape;
  }

  bool stacks_;
};

}  // namespace

MadeOperator make_join(const Parameters& parameters) { return make_code<Join>(parameters); }

}  // namespace guest::graph
