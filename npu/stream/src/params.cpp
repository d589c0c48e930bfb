#include "params.hpp"

#include <limits>

#include "abi/npu_commands.hpp"
#include "fields.hpp"

namespace npu {

namespace {

using abi::npu::Reason;
using abi::npu::Type;

constexpr std::uint32_t kSign = 0x8000'0000;
constexpr std::uint32_t kInfinity = 0x7F80'0000;

constexpr bool is_finite(std::uint32_t bits) { return (bits & ~kSign) < kInfinity; }
constexpr bool is_nan(std::uint32_t bits) { return (bits & ~kSign) > kInfinity; }
constexpr bool is_zero(std::uint32_t bits) { return (bits & ~kSign) == 0; }
constexpr bool is_negative(std::uint32_t bits) { return (bits & kSign) != 0 && !is_zero(bits); }

/// f32 that are not NaN, as integers of the same order.
constexpr std::int64_t order(std::uint32_t bits) {
  const std::int64_t magnitude = bits & ~kSign;
  return (bits & kSign) != 0 ? -magnitude : magnitude;
}

struct Range {
  std::int64_t min;
  std::int64_t max;
  [[nodiscard]] constexpr bool contains(std::uint32_t bits) const {
    const auto value = static_cast<std::int32_t>(bits);
    return value >= min && value <= max;
  }
};
constexpr Range kI8Range = {-128, 127};

constexpr Range integers_of(Type type) {
  if (type == Type::U8) {
    return {0, 255};
  }
  return type == Type::I8 ? kI8Range
                          : Range{std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
}

bool is_allowed(ParamRule rule, unsigned index, const Checked& command) {
  const std::uint32_t value = command.params[index];
  const std::uint32_t next = index + 1 < abi::npu::kMaxParams ? command.params[index + 1] : 0;
  const bool clamps = (command.flags & abi::npu::command_flag::kClamp) != 0;
  switch (rule) {
    case ParamRule::Unused:
      return value == 0;
    case ParamRule::Finite:
      return is_finite(value);
    case ParamRule::NotNegative:
      return is_finite(value) && !is_negative(value);
    case ParamRule::Positive:
      return is_finite(value) && !is_negative(value) && !is_zero(value);
    case ParamRule::ClampMin:
      return clamps ? !is_nan(value) && (is_nan(next) || order(value) <= order(next)) : value == 0;
    case ParamRule::ClampMax:
      return clamps ? !is_nan(value) : value == 0;
    case ParamRule::ZeroPoint: {
      const Type input = command.operands[abi::npu::operand::kInput].type;
      return integers_of(input == Type::F32 ? command.operands[abi::npu::operand::kOutput].type : input)
          .contains(value);
    }
    case ParamRule::BoundMin:
      return kI8Range.contains(value) && static_cast<std::int32_t>(value) <= static_cast<std::int32_t>(next);
    case ParamRule::BoundMax:
      return kI8Range.contains(value);
    case ParamRule::Padding:
      return value <= abi::npu::kMaxDim;
  }
  return false;
}

}  // namespace

std::optional<Violation> check_params(const Form& form, const Checked& command) {
  const bool clamps = (command.flags & abi::npu::command_flag::kClamp) != 0;
  for (unsigned i = 0; i < abi::npu::kMaxParams; ++i) {
    const ParamRule rule = form.params[i];
    if (!is_allowed(rule, i, command)) {
      const bool unused =
          rule == ParamRule::Unused || (!clamps && (rule == ParamRule::ClampMin || rule == ParamRule::ClampMax));
      return Violation{unused ? Reason::ReservedField : Reason::Parameter, param_field(i)};
    }
  }
  return std::nullopt;
}

}  // namespace npu
