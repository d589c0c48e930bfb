#include "relations.hpp"

#include "abi/npu_commands.hpp"
#include "fields.hpp"

namespace npu {

namespace {

namespace dim = abi::npu::dim;
using abi::npu::Reason;

std::optional<Violation> wrong_dim(unsigned index) { return Violation{Reason::Dimension, dim_field(index)}; }

/// One axis of a window that moves over an image.
struct Axis {
  unsigned image;
  unsigned out;
  unsigned kernel;
  unsigned stride;
  unsigned pad;  ///< a parameter
};
constexpr Axis kAxes[] = {
    {dim::image::kHeight, dim::image::kOutHeight, dim::image::kKernelHeight, dim::image::kStrideHeight,
     abi::npu::param::kPadTop},
    {dim::image::kWidth, dim::image::kOutWidth, dim::image::kKernelWidth, dim::image::kStrideWidth,
     abi::npu::param::kPadLeft},
};

std::optional<Violation> check_axis(const Checked& command, const Axis& axis) {
  // Each factor is below 2^31, so nothing here overflows.
  const std::uint64_t dilation = command.dims[dim::image::kDilation] != 0 ? command.dims[dim::image::kDilation] : 1;
  const std::uint64_t reach = (command.dims[axis.kernel] - std::uint64_t{1}) * dilation;
  const std::uint64_t pad = command.params[axis.pad];
  if (pad > reach) {
    return Violation{Reason::Parameter, param_field(axis.pad)};
  }
  const std::uint64_t last = (command.dims[axis.out] - std::uint64_t{1}) * command.dims[axis.stride];
  return last < command.dims[axis.image] + pad ? std::nullopt : wrong_dim(axis.out);
}

}  // namespace

std::optional<Violation> check_rope(const Checked& command) {
  const std::uint32_t rotated = command.dims[dim::rope::kRotated];
  return rotated % 2 == 0 && rotated <= command.dims[dim::rope::kHeadElements] ? std::nullopt
                                                                               : wrong_dim(dim::rope::kRotated);
}

std::optional<Violation> check_attention(const Checked& command) {
  if (command.dims[dim::attention::kQueryHeads] % command.dims[dim::attention::kKeyHeads] != 0) {
    return wrong_dim(dim::attention::kQueryHeads);
  }
  return command.dims[dim::attention::kHeadElements] <= abi::npu::kMaxHeadElements
             ? std::nullopt
             : wrong_dim(dim::attention::kHeadElements);
}

std::optional<Violation> check_top(const Checked& command) {
  const std::uint32_t top = command.dims[dim::kTop];
  return top <= command.dims[dim::kColumns] && top <= abi::npu::kMaxTop ? std::nullopt : wrong_dim(dim::kTop);
}

std::optional<Violation> check_window(const Checked& command) {
  for (const Axis& axis : kAxes) {
    if (const auto violation = check_axis(command, axis)) {
      return violation;
    }
  }
  return std::nullopt;
}

std::optional<Violation> check_depthwise(const Checked& command) {
  if (command.dims[dim::image::kOutChannels] % command.dims[dim::image::kChannels] != 0) {
    return wrong_dim(dim::image::kOutChannels);
  }
  return check_window(command);
}

}  // namespace npu
