#include "npu_gemm.hpp"

#include <cstring>
#include <optional>

#include "abi/npu_commands.hpp"
#include "files.hpp"
#include "guest/gguf/file.hpp"
#include "guest/ml/memory.hpp"
#include "guest/ml/model.hpp"
#include "guest/npu/names.hpp"
#include "npu_region.hpp"

namespace guest::graph {
namespace {

namespace dim = abi::npu::dim;
namespace operand = abi::npu::operand;
using abi::npu::Type;

/// [rows, columns] of f32, the last dimension being a row.
struct Matrix {
  std::uint64_t rows;
  std::uint64_t columns;
};

std::optional<Matrix> matrix_of(const TensorInfo& info) {
  const Shape& shape = info.shape;
  if (info.dtype != DType::F32 || shape.rank < 1 || shape.rank > 2 || elements_of(info) == 0) {
    return std::nullopt;
  }
  return shape.rank == 1 ? Matrix{.rows = 1, .columns = shape.dims[0]}
                         : Matrix{.rows = shape.dims[0], .columns = shape.dims[1]};
}

/// A matrix that does not change, from a file.
struct Weight {
  std::unique_ptr<ml::Memory> memory;  ///< null: the second input is the matrix
  Type type = Type::F32;
  Matrix shape = {};
};

/// Where the second factor is.
struct Factor {
  ml::Place place;
  Type type;
  Matrix shape;
};

class NpuGemm final : public OperatorCode {
 public:
  NpuGemm(Weight weight, std::unique_ptr<npu::Job> job) : weight_(std::move(weight)), job_(std::move(job)) {}

  kernel::Outcome fire(Firing& firing) override {
    const std::size_t wanted = weight_.memory == nullptr ? 2 : 1;
    if (firing.inputs() != wanted) {
      return kernel::fail("graph-bad-input", "{} inputs: expected {}, {} the parameter 'file'", firing.inputs(), wanted,
                          wanted == 2 ? "without" : "with");
    }
    const TensorRef& input = firing.input(0);
    const auto factor = factor_of(firing);
    if (!factor) {
      return std::unexpected(factor.error());
    }
    const auto matrix = matrix_of(input.info());
    if (!matrix || matrix->columns != factor->shape.columns) {
      kernel::FixedText<64> expected;
      kernel::format_to(expected, "f32 [{}] or [rows, {}]", factor->shape.columns, factor->shape.columns);
      return bad_input(0, expected.view(), input.info());
    }
    Shape shape = input.info().shape;
    shape.dims[shape.rank - 1] = static_cast<std::uint32_t>(factor->shape.rows);
    auto output = firing.allocate(DType::F32, shape);
    if (!output) {
      return std::unexpected(output.error());
    }
    if (const kernel::Outcome ran = run(input, *matrix, *factor, *output); !ran) {
      return ran;
    }
    firing.send(0, *std::move(output));
    return {};
  }

 private:
  std::expected<Factor, kernel::NamedError> factor_of(Firing& firing) {
    if (weight_.memory != nullptr) {
      return Factor{.place = {.region = weight_.memory->handle()}, .type = weight_.type, .shape = weight_.shape};
    }
    const TensorRef& second = firing.input(1);
    const auto matrix = matrix_of(second.info());
    if (!matrix) {
      return bad_input(1, "f32 [rows, columns] or [columns]", second.info());
    }
    const auto place = region_.place_of(second);
    if (!place) {
      return std::unexpected(place.error());
    }
    return Factor{.place = *place, .type = Type::F32, .shape = *matrix};
  }

  kernel::Outcome run(const TensorRef& input, const Matrix& matrix, const Factor& factor, const TensorRef& output) {
    const auto from = region_.place_of(input);
    const auto to = from ? region_.place_of(output) : from;
    if (!to) {
      return std::unexpected(to.error());
    }
    abi::npu::Command command{};
    command.opcode = static_cast<std::uint16_t>(abi::npu::Opcode::Gemm);
    const auto place = [&](unsigned index, const ml::Place& where, Type type) {
      command.types[index] = static_cast<std::uint8_t>(type);
      command.operands[index] = {.offset = where.offset, .region = where.region, .row_stride = 0U};
    };
    place(operand::kOutput, *to, Type::F32);
    place(operand::kInput, *from, Type::F32);
    place(operand::kWeight, factor.place, factor.type);
    command.dims[dim::kRows] = static_cast<std::uint32_t>(matrix.rows);
    command.dims[dim::kOuter] = static_cast<std::uint32_t>(factor.shape.rows);
    command.dims[dim::kInner] = static_cast<std::uint32_t>(matrix.columns);
    job_->clear();
    kernel::require(job_->add(command) == kernel::Status::Ok, "a job has no room for one command");
    if (const kernel::Outcome ran = npu::npu().run(*job_); !ran) {
      return ran;
    }
    const npu::JobEnd& end = job_->end();
    return end.ok() ? kernel::Outcome()
                    : kernel::fail("ml-failed", "gemm: {}, {}", npu::to_string(end.status), npu::to_string(end.reason));
  }

  Weight weight_;
  std::unique_ptr<npu::Job> job_;
  NpuRegion region_;
};

std::expected<const gguf::Tensor*, kernel::NamedError> find_tensor(const gguf::File& file,
                                                                   const Parameters& parameters) {
  if (parameters.has("tensor")) {
    const gguf::Tensor* const tensor = file.find_tensor(parameters.text("tensor"));
    if (tensor == nullptr) {
      return kernel::fail("graph-bad-model", "there is no tensor '{}' among {}",
                          kernel::escaped(parameters.text("tensor")), file.tensors().size());
    }
    return tensor;
  }
  if (file.tensors().size() != 1) {
    return kernel::fail("graph-bad-parameter", "the file has {} tensors: parameter 'tensor' must say which",
                        file.tensors().size());
  }
  return &file.tensors().front();
}

std::expected<Weight, kernel::NamedError> read_weight(std::span<const std::byte> bytes, const Parameters& parameters) {
  const auto file = gguf::File::open(bytes);
  if (!file) {
    return std::unexpected(file.error());
  }
  const auto tensor = find_tensor(*file, parameters);
  if (!tensor) {
    return std::unexpected(tensor.error());
  }
  const auto constant = ml::constant_of(**tensor);
  const bool is_float = constant && constant->type != Type::I8 && constant->type != Type::I32;
  if (!is_float || (*tensor)->dimensions > 2 || (*tensor)->rows() > abi::npu::kMaxDim ||
      (*tensor)->row_elements() > abi::npu::kMaxDim) {
    return kernel::fail("graph-bad-model", "a tensor of {} and {} dimensions: expected F32, F16, Q8_0 or Q4_0, 1 or 2",
                        gguf::to_string((*tensor)->type), (*tensor)->dimensions);
  }
  auto memory = ml::Memory::make(constant->bytes.size());
  if (!memory) {
    return std::unexpected(memory.error());
  }
  std::memcpy((*memory)->bytes().data(), constant->bytes.data(), constant->bytes.size());
  if (const kernel::Outcome enlisted = (*memory)->enlist(npu::npu(), ml::Memory::kConstant); !enlisted) {
    return std::unexpected(enlisted.error());
  }
  return Weight{.memory = *std::move(memory),
                .type = constant->type,
                .shape = {.rows = (*tensor)->rows(), .columns = (*tensor)->row_elements()}};
}

}  // namespace

MadeOperator make_npu_gemm(const Parameters& parameters) {
  Weight weight;
  if (parameters.has("file")) {
    const auto file = find_file(parameters.text("file"));
    if (!file) {
      return std::unexpected(file.error());
    }
    auto read = read_weight(*file, parameters);
    if (!read) {
      return kernel::fail(read.error().name, "file '{}': {}", kernel::escaped(parameters.text("file")),
                          read.error().detail.view());
    }
    weight = *std::move(read);
  } else if (parameters.has("tensor")) {
    return kernel::fail("graph-bad-parameter", "parameter 'tensor' is of a file: there is none");
  }
  auto job = npu::Job::make(1);
  if (!job) {
    return kernel::fail("graph-no-memory", "no memory for a job of one command");
  }
  (*job)->options.deadline_ns = kNoDeadline;
  return make_code<NpuGemm>(std::move(weight), *std::move(job));
}

}  // namespace guest::graph
