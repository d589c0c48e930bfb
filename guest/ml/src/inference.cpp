#include "guest/ml/inference.hpp"

#include <cstring>
#include <new>

#include "abi/npu_commands.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/npu/names.hpp"
#include "npu/stream/checked_command.hpp"

namespace guest::ml {
namespace {

using kernel::fail;

std::uint64_t aligned(std::uint64_t bytes) { return (bytes + Memory::kAlignment - 1) & ~(Memory::kAlignment - 1); }

/// The regions of one network, for the checker.
class OwnRegions final : public ::npu::Regions {
 public:
  OwnRegions(const Memory& constants, const Memory& tensors)
      : constants_(region(constants, Memory::kConstant)),
        tensors_(region(tensors, Memory::kReadWrite)),
        constants_handle_(constants.handle()),
        tensors_handle_(tensors.handle()) {}
  [[nodiscard]] const ::npu::Region* find(std::uint32_t handle) const override {
    if (handle == constants_handle_) {
      return &constants_;
    }
    return handle == tensors_handle_ ? &tensors_ : nullptr;
  }

 private:
  static ::npu::Region region(const Memory& memory, std::uint32_t flags) {
    return {.base = memory.bytes().data(), .bytes = memory.bytes().size(), .flags = flags};
  }
  ::npu::Region constants_;
  ::npu::Region tensors_;
  std::uint32_t constants_handle_;
  std::uint32_t tensors_handle_;
};

::npu::Model model_of(const npu::Info& info) {
  return {.clock_hz = info.clock_hz,
          .bytes_per_cycle = info.bytes_per_cycle,
          .f32_macs_per_cycle = info.f32_macs_per_cycle,
          .i8_macs_per_cycle = info.i8_macs_per_cycle,
          .f32_ops_per_cycle = info.f32_ops_per_cycle,
          .max_command_cycles = info.max_command_cycles};
}

abi::npu::TensorRef reference(const Place& place) {
  return {.offset = place.offset, .region = place.region, .row_stride = 0U};
}

/// Aligned memory with a copy of the constants, and where each begins.
struct Packed {
  std::unique_ptr<Memory> memory;
  kernel::BoundedArray<std::uint64_t, Network::kMaxConstants> offsets;
};

std::expected<Packed, kernel::NamedError> pack(std::span<const Constant> constants) {
  Packed packed;
  std::uint64_t bytes = 0;
  for (const Constant& constant : constants) {
    kernel::require(packed.offsets.push_back(bytes), "a network has too many constants");
    bytes += aligned(constant.bytes.size());
  }
  auto memory = Memory::make(bytes);
  if (!memory) {
    return std::unexpected(memory.error());
  }
  for (std::size_t i = 0; i < constants.size(); ++i) {
    const std::span<const std::byte> from = constants[i].bytes;
    std::memcpy((*memory)->bytes().subspan(packed.offsets[i], from.size()).data(), from.data(), from.size());
  }
  packed.memory = *std::move(memory);
  return packed;
}

}  // namespace

/// Makes an Inference of a network, step by step. What a step has made goes with the Inference where a later one fails.
class Compiler {
 public:
  Compiler(npu::Npu& npu, const Network& network, Inference& made) : npu_(npu), network_(network), made_(made) {}

  kernel::Outcome run() {
    for (const auto step : {&Compiler::place_tensors, &Compiler::place_constants, &Compiler::make_job}) {
      if (const kernel::Outcome done = (this->*step)(); !done) {
        return done;
      }
    }
    return {};
  }

 private:
  kernel::Outcome place_tensors() {
    std::uint64_t bytes = 0;
    for (std::uint16_t i = 0; i < network_.tensors().size(); ++i) {
      const std::uint64_t size = network_.bytes_of({i});
      kernel::require(made_.places_.push_back({.offset = bytes, .bytes = size}), "too many tensors");
      bytes += aligned(size);
    }
    auto memory = Memory::make(bytes);
    if (!memory) {
      return std::unexpected(memory.error());
    }
    made_.tensors_ = *std::move(memory);
    return made_.tensors_->enlist(npu_, Memory::kReadWrite);
  }

  kernel::Outcome place_constants() {
    auto packed = pack(network_.constants());
    if (!packed) {
      return std::unexpected(packed.error());
    }
    offsets_ = packed->offsets;
    made_.constants_ = std::move(packed->memory);
    return made_.constants_->enlist(npu_, Memory::kConstant);
  }

  kernel::Outcome make_job() {
    auto job = npu::Job::make(static_cast<std::uint32_t>(network_.layers().size()));
    if (!job) {
      return fail("ml-no-memory", "no memory for a job of {} commands", network_.layers().size());
    }
    made_.job_ = *std::move(job);
    for (const Network::Layer& layer : network_.layers()) {
      if (const kernel::Outcome added = add(layer); !added) {
        return added;
      }
    }
    return {};
  }

  kernel::Outcome add(const Network::Layer& layer) {
    abi::npu::Command command = layer.command;
    for (unsigned i = 0; i < abi::npu::kMaxOperands; ++i) {
      if (layer.tensors[i] != Network::Layer::kNone) {
        command.operands[i] = reference({.region = made_.tensors_->handle(),
                                         .offset = made_.places_[static_cast<std::size_t>(layer.tensors[i])].offset});
      } else if (layer.constants[i] != Network::Layer::kNone) {
        command.operands[i] = reference(
            {.region = made_.constants_->handle(), .offset = offsets_[static_cast<std::size_t>(layer.constants[i])]});
      }
    }
    const npu::Info& info = npu_.info();
    const OwnRegions regions(*made_.constants_, *made_.tensors_);
    const auto checked = ::npu::check_command(command, regions, model_of(info));
    if (!checked) {
      return fail("ml-refused", "layer {} ({}): {}, {}, at byte {} of its command", made_.layers_.size(), layer.name,
                  npu::to_string(checked.error().status), npu::to_string(checked.error().reason),
                  checked.error().field_offset);
    }
    made_.cycles_ += checked->cost.cycles;
    if (made_.cycles_ > info.max_job_cycles) {
      return fail("ml-refused", "layer {} ({}): {} cycles up to here: the NPU allows {} for a job",
                  made_.layers_.size(), layer.name, made_.cycles_, info.max_job_cycles);
    }
    kernel::require(
        made_.layers_.push_back({.name = layer.name, .cycles = checked->cost.cycles, .tensors = layer.tensors}),
        "too many layers");
    kernel::require(made_.job_->add(command) == kernel::Status::Ok, "a job has no room for its commands");
    return {};
  }

  npu::Npu& npu_;
  const Network& network_;
  Inference& made_;
  kernel::BoundedArray<std::uint64_t, Network::kMaxConstants> offsets_;
};

std::expected<std::unique_ptr<Inference>, kernel::NamedError> Inference::make(npu::Npu& npu, const Network& network) {
  if (network.layers().empty()) {
    return fail("ml-refused", "a network without layers");
  }
  std::unique_ptr<Inference> made(new (std::nothrow) Inference(npu));
  if (made == nullptr) {
    return fail("ml-no-memory", "no {} bytes for a network that runs", sizeof(Inference));
  }
  if (const kernel::Outcome done = Compiler(npu, network, *made).run(); !done) {
    return std::unexpected(done.error());
  }
  return made;
}

Inference::~Inference() = default;

std::span<std::byte> Inference::bytes(Value value) const {
  const Tensor& tensor = places_[value.index];
  return tensors_->bytes().subspan(tensor.offset, tensor.bytes);
}

void Inference::place(Value value, const Place& place) {
  kernel::require(!job_->in_flight(), "a tensor is placed elsewhere while the NPU uses it");
  const auto index = static_cast<std::int16_t>(value.index);
  std::size_t layer = 0;
  for (abi::npu::Command& command : job_->commands()) {
    for (unsigned i = 0; i < abi::npu::kMaxOperands; ++i) {
      if (layers_[layer].tensors[i] == index) {
        command.operands[i] = reference(place);
      }
    }
    ++layer;
  }
}

kernel::Outcome Inference::run() {
  if (const kernel::Outcome ran = npu_.run(*job_); !ran) {
    return ran;
  }
  return verdict();
}

kernel::Outcome Inference::verdict() const {
  const npu::JobEnd& end = job_->end();
  if (end.ok()) {
    return {};
  }
  if (end.command < layers_.size()) {
    return fail("ml-failed", "layer {} ({}): {}, {}", end.command, layers_[end.command].name,
                npu::to_string(end.status), npu::to_string(end.reason));
  }
  return fail("ml-failed", "{}, {}", npu::to_string(end.status), npu::to_string(end.reason));
}

Inference::LayerCost Inference::layer(std::size_t index) const {
  return {.name = layers_[index].name, .cycles = layers_[index].cycles};
}

}  // namespace guest::ml
