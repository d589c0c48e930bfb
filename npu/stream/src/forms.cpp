#include "forms.hpp"

#include "abi/npu_commands.hpp"
#include "arithmetic.hpp"
#include "relations.hpp"

namespace npu {

namespace {

namespace dim = abi::npu::dim;
namespace image = abi::npu::dim::image;
namespace flag = abi::npu::command_flag;
using abi::npu::Opcode;
using abi::npu::Type;
using Operands = std::array<OperandRule, abi::npu::kMaxOperands>;
using Params = std::array<ParamRule, abi::npu::kMaxParams>;
using enum ParamRule;

constexpr TypeSet kF32 = types(Type::F32);
constexpr TypeSet kF16 = types(Type::F16);
constexpr TypeSet kI8 = types(Type::I8);
constexpr TypeSet kI32 = types(Type::I32);
constexpr TypeSet kU8 = types(Type::U8);
constexpr TypeSet kIntegers = kI8 | kU8 | kI32;
constexpr TypeSet kWeights = types(Type::F32, Type::F16, Type::Q8_0, Type::Q4_0);
constexpr TypeSet kAll = (1U << abi::npu::kTypes) - 1;

constexpr DimSet kRowSet = dims(dim::kRows);
constexpr DimSet kColumnSet = dims(dim::kColumns);
constexpr DimSet kMatrixSet = kRowSet | kColumnSet;

constexpr Params kClampParams = {Unused, Unused, ClampMin, ClampMax};
constexpr Params kPadParams = {Unused, Unused, Unused, Unused, Padding, Padding};

constexpr OperandRule tensor(TypeSet types, DimSet rows, DimSet columns) {
  return {.types = types, .rows = rows, .columns = columns};
}
constexpr OperandRule optional_row(TypeSet types, DimSet columns) {
  return {.types = types, .columns = columns, .optional = true};
}
/// Multipliers or shifts.
constexpr OperandRule per_channel(DimSet columns) {
  return {.types = kI32, .columns = columns, .one_element_flag = flag::kPerTensor};
}
/// A matrix of f32, as most commands have it.
constexpr OperandRule kMatrix = tensor(kF32, kRowSet, kColumnSet);

constexpr Form gemm(std::uint16_t flags, Rate rate, const Params& params, const Operands& operands,
                    std::uint32_t operations) {
  constexpr DimSet kOutput = dims(dim::kRows, dim::kOuter);
  constexpr DimSet kProduct = kOutput | dims(dim::kInner);
  return {.opcode = Opcode::Gemm,
          .flags = flags,
          .dims = kProduct,
          .rate = rate,
          .params = params,
          .operands = operands,
          .work = {.macs = kProduct, .elements = kOutput, .operations_each = operations}};
}
constexpr OperandRule gemm_output(TypeSet types) { return tensor(types, kRowSet, dims(dim::kOuter)); }
constexpr OperandRule gemm_input(TypeSet types) { return tensor(types, kRowSet, dims(dim::kInner)); }
constexpr OperandRule gemm_weight(TypeSet types) { return tensor(types, dims(dim::kOuter), dims(dim::kInner)); }
constexpr OperandRule kGemmChannel = per_channel(dims(dim::kOuter));

constexpr Params kRequantiseParams = {ZeroPoint, ZeroPoint, BoundMin, BoundMax};
constexpr Form kGemmForms[] = {
    gemm(flag::kClamp, Rate::F32, kClampParams,
         {gemm_output(kF32), gemm_input(kF32), gemm_weight(kWeights), optional_row(kF32, dims(dim::kOuter))}, 2),
    gemm(flag::kPerTensor, Rate::I8, kRequantiseParams,
         {gemm_output(kI8), gemm_input(kI8), gemm_weight(kI8), optional_row(kI32, dims(dim::kOuter)), kGemmChannel,
          kGemmChannel},
         8),
    gemm(0, Rate::I8, {ZeroPoint},
         {gemm_output(kI32), gemm_input(kI8), gemm_weight(kI8), optional_row(kI32, dims(dim::kOuter))}, 2),
};

/// A command on the rows or the elements of f32 matrices of one shape.
constexpr Form on_matrix(Opcode opcode, const Params& params, const Operands& operands, std::uint8_t in_place,
                         std::uint32_t operations, std::uint16_t flags = 0) {
  return {.opcode = opcode,
          .flags = flags,
          .dims = kMatrixSet,
          .in_place = in_place,
          .params = params,
          .operands = operands,
          .work = {.elements = kMatrixSet, .operations_each = operations}};
}
constexpr std::uint8_t kInputInPlace = 1U << abi::npu::operand::kInput;
constexpr std::uint8_t kBothInPlace = kInputInPlace | 1U << abi::npu::operand::kOther;
constexpr OperandRule kBroadcast = {
    .types = kF32, .rows = kRowSet, .columns = kColumnSet, .one_row_flag = flag::kBroadcastRow};
constexpr OperandRule kOptionalRow = optional_row(kF32, kColumnSet);

constexpr DimSet kHeadSet = dims(dim::rope::kHeads, dim::rope::kHeadElements);
constexpr Form kRope = {
    .opcode = Opcode::Rope,
    .flags = flag::kHalfSplit,
    .dims = kRowSet | kHeadSet | dims(dim::rope::kRotated),
    .in_place = kInputInPlace,
    .params = {Positive, Finite},
    .operands = {tensor(kF32, kRowSet, kHeadSet), tensor(kF32, kRowSet, kHeadSet), tensor(kI32, 0, kRowSet)},
    .work = {.elements = kRowSet | kHeadSet, .operations_each = 4},
    .relation = check_rope};

constexpr DimSet kQuerySet = dims(dim::attention::kQueryHeads, dim::attention::kHeadElements);
constexpr DimSet kKeySet = dims(dim::attention::kKeyHeads, dim::attention::kHeadElements);
constexpr OperandRule kCache = tensor(kF32 | kF16, dims(kContext), kKeySet);
constexpr Form kAttention = {
    .opcode = Opcode::Attention,
    .dims = kRowSet | kQuerySet | kKeySet,
    .dims_or_zero = dims(dim::attention::kPast),
    .params = {Finite},
    .operands = {tensor(kF32, kRowSet, kQuerySet), tensor(kF32, kRowSet, kQuerySet), kCache, kCache},
    .work = {.macs = kQuerySet | dims(kCausal),
             .macs_each = 2,
             .elements = dims(dim::attention::kQueryHeads, kCausal),
             .operations_each = 12},
    .relation = check_attention};

constexpr DimSet kEmbedding = dims(dim::embed::kElements);
constexpr Form kEmbedRows = {.opcode = Opcode::EmbedRows,
                             .dims = kRowSet | kEmbedding | dims(dim::embed::kVocabulary),
                             .operands = {tensor(kF32, kRowSet, kEmbedding),
                                          {.types = kWeights,
                                           .rows = dims(dim::embed::kVocabulary),
                                           .columns = kEmbedding,
                                           .rows_read = kRowSet},
                                          tensor(kI32, 0, kRowSet)},
                             .work = {.elements = kRowSet | kEmbedding, .operations_each = 2}};

constexpr Form kArgMax = {.opcode = Opcode::ArgMax,
                          .dims = kMatrixSet,
                          .operands = {tensor(kI32, 0, kRowSet), tensor(kF32 | kI8, kRowSet, kColumnSet)},
                          .work = {.elements = kMatrixSet, .operations_each = 1}};
constexpr Form kTopK = {
    .opcode = Opcode::TopK,
    .dims = kMatrixSet | dims(dim::kTop),
    .outputs = 1U << abi::npu::operand::kOutput | 1U << abi::npu::operand::kIndices,
    .operands = {tensor(kF32, kRowSet, dims(dim::kTop)), kMatrix, tensor(kI32, kRowSet, dims(dim::kTop))},
    .work = {.elements = kMatrixSet, .operations_each = 8},
    .relation = check_top};

constexpr DimSet kImageRows = dims(image::kBatch, image::kHeight);
constexpr DimSet kImageColumns = dims(image::kWidth, image::kChannels);
constexpr DimSet kOutRows = dims(image::kBatch, image::kOutHeight);
constexpr DimSet kOutChannels = dims(image::kOutChannels);
constexpr DimSet kWindow = dims(image::kKernelHeight, image::kKernelWidth);
constexpr DimSet kPoolDims = kImageRows | kImageColumns | kOutRows | dims(image::kOutWidth) | kWindow |
                             dims(image::kStrideHeight, image::kStrideWidth);
constexpr OperandRule image_input(TypeSet types) { return tensor(types, kImageRows, kImageColumns); }

struct Filter {
  Opcode opcode;
  DimSet rows;     ///< of the weights
  DimSet columns;  ///< of the weights
  DimSet each;     ///< MACs of an output element
  bool reuse;      ///< an input is used for several outputs, so they are done by the MAC units
  Relation relation;
};
constexpr Filter kDense = {
    Opcode::Conv2d, kOutChannels, kWindow | dims(image::kChannels), kWindow | dims(image::kChannels),
    true,           check_window};
constexpr Filter kDepthwise = {Opcode::DepthwiseConv2d, kWindow, kOutChannels, kWindow, false, check_depthwise};

/// With i8: as TFLite quantises; without: f32.
constexpr Form convolution(const Filter& filter, bool i8) {
  constexpr DimSet kElements = kOutRows | dims(image::kOutWidth) | kOutChannels;
  const TypeSet type = i8 ? kI8 : kF32;
  const OperandRule channel = i8 ? per_channel(kOutChannels) : OperandRule{};
  const ParamRule zero = i8 ? ZeroPoint : Unused;
  return {.opcode = filter.opcode,
          .flags = i8 ? flag::kPerTensor : flag::kClamp,
          .dims = static_cast<DimSet>(kPoolDims | kOutChannels | dims(image::kDilation)),
          .rate = !filter.reuse ? Rate::Elements
                  : i8          ? Rate::I8
                                : Rate::F32,
          .params = {zero, zero, i8 ? BoundMin : ClampMin, i8 ? BoundMax : ClampMax, Padding, Padding},
          .operands = {tensor(type, kOutRows, dims(image::kOutWidth) | kOutChannels), image_input(type),
                       tensor(type, filter.rows, filter.columns), optional_row(i8 ? kI32 : kF32, kOutChannels), channel,
                       channel},
          .work = {.macs = static_cast<DimSet>(kElements | filter.each),
                   .elements = kElements,
                   .operations_each = i8 ? 8U : 2U},
          .relation = filter.relation};
}

constexpr Form pool(Opcode opcode, bool i8) {
  constexpr DimSet kOutColumns = dims(image::kOutWidth, image::kChannels);
  const TypeSet type = i8 ? kI8 : kF32;
  Params params = kPadParams;
  params[abi::npu::param::kMin] = i8 ? BoundMin : Unused;
  params[abi::npu::param::kMax] = i8 ? BoundMax : Unused;
  return {.opcode = opcode,
          .dims = kPoolDims,
          .params = params,
          .operands = {tensor(type, kOutRows, kOutColumns), image_input(type)},
          .work = {.elements = kOutRows | kOutColumns | kWindow, .operations_each = 2},
          .relation = check_window};
}

constexpr Form copy(TypeSet to, TypeSet from, const Params& params = {}) {
  return {.opcode = Opcode::Copy,
          .dims = kMatrixSet,
          .params = params,
          .operands = {tensor(to, kRowSet, kColumnSet), tensor(from, kRowSet, kColumnSet)},
          .work = {.elements = kMatrixSet, .operations_each = 2}};
}
constexpr Form copy_same() {
  Form form = copy(kAll, kAll);
  form.same_type = true;
  return form;
}

constexpr Form kForms[] = {
    {.opcode = Opcode::Nop, .outputs = 0},
    kGemmForms[0],
    kGemmForms[1],
    kGemmForms[2],
    on_matrix(Opcode::RmsNorm, {NotNegative}, {kMatrix, kMatrix, kOptionalRow}, kInputInPlace, 4),
    on_matrix(Opcode::LayerNorm, {NotNegative}, {kMatrix, kMatrix, kOptionalRow, kOptionalRow}, kInputInPlace, 6),
    on_matrix(Opcode::Softmax, {Finite}, {kMatrix, kMatrix}, kInputInPlace, 12),
    kRope,
    kAttention,
    on_matrix(Opcode::SwiGlu, {}, {kMatrix, kMatrix, kMatrix}, kBothInPlace, 12),
    on_matrix(Opcode::Silu, {}, {kMatrix, kMatrix}, kInputInPlace, 12),
    on_matrix(Opcode::Gelu, {}, {kMatrix, kMatrix}, kInputInPlace, 14),
    on_matrix(Opcode::Relu, {}, {kMatrix, kMatrix}, kInputInPlace, 1),
    on_matrix(Opcode::Add, kClampParams, {kMatrix, kMatrix, kBroadcast}, kBothInPlace, 1,
              flag::kBroadcastRow | flag::kClamp),
    on_matrix(Opcode::Mul, kClampParams, {kMatrix, kMatrix, kBroadcast}, kBothInPlace, 1,
              flag::kBroadcastRow | flag::kClamp),
    on_matrix(Opcode::Scale, {Finite, Finite}, {kMatrix, kMatrix}, kInputInPlace, 2),
    kEmbedRows,
    kArgMax,
    kTopK,
    convolution(kDense, false),
    convolution(kDense, true),
    convolution(kDepthwise, false),
    convolution(kDepthwise, true),
    pool(Opcode::MaxPool, false),
    pool(Opcode::MaxPool, true),
    pool(Opcode::AvgPool, false),
    pool(Opcode::AvgPool, true),
    copy_same(),
    copy(kF16 | types(Type::Q8_0), kF32),
    copy(kF32, kF16 | types(Type::Q8_0, Type::Q4_0)),
    copy(kIntegers, kF32, {Positive, ZeroPoint}),
    copy(kF32, kIntegers, {Positive, ZeroPoint}),
    copy(kI8, kU8),
    copy(kU8, kI8),
};

std::uint64_t factor(unsigned index, std::span<const std::uint32_t, abi::npu::kMaxDims> dims) {
  if (index < abi::npu::kMaxDims) {
    return dims[index];
  }
  // Both are below 2^31. Row m sees past + m + 1 positions.
  const std::uint64_t rows = dims[dim::kRows];
  const std::uint64_t past = dims[dim::attention::kPast];
  return index == kContext ? rows + past : rows * past + rows * (rows + 1) / 2;
}

constexpr bool takes(const OperandRule& rule, std::uint8_t type) {
  return rule.types == 0 || (type < abi::npu::kTypes && (rule.types >> type & 1U) != 0);
}

}  // namespace

std::span<const Form> all_forms() { return kForms; }

const Form* find_form(Opcode opcode, std::uint8_t output_type, std::uint8_t input_type) {
  for (const Form& form : kForms) {
    if (form.opcode == opcode && takes(form.operands[0], output_type) && takes(form.operands[1], input_type) &&
        (!form.same_type || output_type == input_type)) {
      return &form;
    }
  }
  return nullptr;
}

std::uint64_t product(DimSet set, std::span<const std::uint32_t, abi::npu::kMaxDims> dims) {
  std::uint64_t result = 1;
  for (unsigned left = set; left != 0; left &= left - 1) {
    result = saturating_multiply(result, factor(static_cast<unsigned>(__builtin_ctz(left)), dims));
  }
  return result;
}

}  // namespace npu
