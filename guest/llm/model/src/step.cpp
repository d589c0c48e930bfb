#include "guest/llm/model/step.hpp"

#include <cstring>
#include <initializer_list>
#include <new>

#include "abi/npu_commands.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/npu/names.hpp"

namespace guest::llm {
namespace {

using abi::npu::Command;
using abi::npu::Opcode;
using abi::npu::Type;
namespace operand = abi::npu::operand;
namespace param = abi::npu::param;

constexpr std::uint32_t kOne = 0x3F80'0000;  // as f32
constexpr std::uint32_t kCommandsPerLayer = 17;
constexpr std::uint32_t kOtherCommands = 4;
static_assert(Model::kMaxLayers * kCommandsPerLayer + kOtherCommands <= npu::Job::kMaxCommands);

/// An operand of a command.
struct Tensor {
  std::uint32_t region;
  std::uint64_t offset;
  Type type = Type::F32;
};

Command command(Opcode opcode, std::initializer_list<Tensor> operands, std::initializer_list<std::uint32_t> dims) {
  Command made{};
  made.opcode = static_cast<std::uint16_t>(opcode);
  std::size_t at = 0;
  for (const Tensor& operand : operands) {
    made.types[at] = static_cast<std::uint8_t>(operand.type);
    made.operands[at].region = operand.region;
    made.operands[at].offset = operand.offset;
    ++at;
  }
  at = 0;
  for (const std::uint32_t dim : dims) {
    made.dims[at++] = dim;
  }
  return made;
}

}  // namespace

/// The stream of one step.
struct Step::Build {
  Step& step;
  const Sequence& sequence;
  std::uint32_t tokens;        ///< of the step
  std::uint32_t commands = 0;  ///< so far
  std::uint32_t noted = 0;     ///< of the layer

  [[nodiscard]] const Shape& shape() const { return step.model_.shape(); }
  [[nodiscard]] Tensor own(std::uint64_t offset, Type type = Type::F32) const {
    return {step.memory_->handle(), offset, type};
  }
  [[nodiscard]] Tensor weight(const Model::Weight& weight) const { return {step.weights_, weight.offset, weight.type}; }
  /// Keys (0) or values (1) of a layer from `position` on.
  [[nodiscard]] Tensor cache(std::uint32_t layer, unsigned which, std::uint64_t position) const {
    const std::uint64_t row_bytes = sequence.plane_bytes_ / sequence.context_;
    return {sequence.memory_->handle(), (2 * layer + which) * sequence.plane_bytes_ + position * row_bytes,
            sequence.type_};
  }
  /// @return its index
  std::uint32_t add(const Command& made) {
    kernel::require(step.job_->add(made) == kernel::Status::Ok, "a step has more commands than its job has room for");
    return commands++;
  }
  /// Notes that an operand of a command of this layer lies in the sequence.
  void note(std::uint32_t layer, const Cached& operand) {
    kernel::require(noted < kCachedPerLayer, "more of a layer lies in the sequence than there is room for");
    step.cached_[layer * kCachedPerLayer + noted++] = operand;
  }

  void add_norm(Tensor to, Tensor from, const Model::Weight& by, std::uint32_t rows) {
    Command made = command(Opcode::RmsNorm, {to, from, weight(by)}, {rows, shape().embedding});
    made.params[param::kEpsilon] = shape().epsilon;
    add(made);
  }
  std::uint32_t add_gemm(Tensor to, Tensor from, const Model::Weight& by, std::uint32_t outer, std::uint32_t inner) {
    return add(command(Opcode::Gemm, {to, from, weight(by)}, {tokens, outer, inner}));
  }
  std::uint32_t add_rope(Tensor of, std::uint32_t heads) {
    Command made = command(Opcode::Rope, {of, of, own(step.places_.positions, Type::I32)},
                           {tokens, heads, shape().head_elements, shape().rotated});
    made.flags = shape().half_split ? abi::npu::command_flag::kHalfSplit : std::uint16_t{0};
    made.params[param::kRopeBase] = shape().rope_base;
    made.params[param::kFrequencyScale] = kOne;
    return add(made);
  }
  void add_keys(std::uint32_t index);
  void add_attention(std::uint32_t index);
  void add_feed_forward(const Model::Layer& layer);
  void add_all();
  void move_all() const;
};

/// This step's keys and values, into the sequence: there where they are computed, or where they are f16, beside it.
void Step::Build::add_keys(std::uint32_t index) {
  const Model::Layer& layer = step.model_.layer(index);
  const Places& at = step.places_;
  const std::uint32_t elements = shape().key_elements();
  const bool in_place = sequence.type_ == Type::F32;
  const Tensor cached[] = {cache(index, 0, sequence.size()), cache(index, 1, sequence.size())};
  const Tensor computed[] = {in_place ? cached[0] : own(at.keys), in_place ? cached[1] : own(at.values)};
  const std::uint32_t key = add_gemm(computed[0], own(at.normed), layer.key, elements, shape().embedding);
  const std::uint32_t value = add_gemm(computed[1], own(at.normed), layer.value, elements, shape().embedding);
  const std::uint32_t rope = add_rope(computed[0], shape().key_heads);
  if (in_place) {
    note(index, {.command = key, .operand = operand::kOutput, .which = 0, .at_end = true});
    note(index, {.command = value, .operand = operand::kOutput, .which = 1, .at_end = true});
    note(index, {.command = rope, .operand = operand::kOutput, .which = 0, .at_end = true});
    note(index, {.command = rope, .operand = operand::kInput, .which = 0, .at_end = true});
  }
  for (std::uint8_t which = 0; which < 2 && !in_place; ++which) {
    const std::uint32_t copy = add(command(Opcode::Copy, {cached[which], computed[which]}, {tokens, elements}));
    note(index, {.command = copy, .operand = operand::kOutput, .which = which, .at_end = true});
  }
}

void Step::Build::add_attention(std::uint32_t index) {
  const Model::Layer& layer = step.model_.layer(index);
  const Places& at = step.places_;
  add_norm(own(at.normed), own(at.stream), layer.attention_norm, tokens);
  add_gemm(own(at.queries), own(at.normed), layer.query, shape().query_elements(), shape().embedding);
  add_keys(index);
  add_rope(own(at.queries), shape().heads);
  Command made = command(Opcode::Attention, {own(at.attended), own(at.queries), cache(index, 0, 0), cache(index, 1, 0)},
                         {tokens, shape().heads, shape().key_heads, shape().head_elements, sequence.size()});
  made.params[param::kScale] = shape().attention_scale;
  const std::uint32_t attention = add(made);
  note(index, {.command = attention, .operand = operand::kKeys, .which = 0, .at_end = false});
  note(index, {.command = attention, .operand = operand::kValues, .which = 1, .at_end = false});
  step.attentions_[index] = attention;
  add_gemm(own(at.normed), own(at.attended), layer.output, shape().embedding, shape().query_elements());
  add(command(Opcode::Add, {own(at.stream), own(at.stream), own(at.normed)}, {tokens, shape().embedding}));
}

void Step::Build::add_feed_forward(const Model::Layer& layer) {
  const Places& at = step.places_;
  add_norm(own(at.normed), own(at.stream), layer.feed_norm, tokens);
  add_gemm(own(at.gate), own(at.normed), layer.gate, shape().feed_forward, shape().embedding);
  add_gemm(own(at.up), own(at.normed), layer.up, shape().feed_forward, shape().embedding);
  add(command(Opcode::SwiGlu, {own(at.gate), own(at.gate), own(at.up)}, {tokens, shape().feed_forward}));
  add_gemm(own(at.normed), own(at.gate), layer.down, shape().embedding, shape().feed_forward);
  add(command(Opcode::Add, {own(at.stream), own(at.stream), own(at.normed)}, {tokens, shape().embedding}));
}

void Step::Build::add_all() {
  const Places& at = step.places_;
  add(command(Opcode::EmbedRows, {own(at.stream), weight(step.model_.embedding()), own(at.tokens, Type::I32)},
              {tokens, shape().vocabulary, shape().embedding}));
  for (std::uint32_t i = 0; i < shape().layers; ++i) {
    noted = 0;
    add_attention(i);
    add_feed_forward(step.model_.layer(i));
  }
  const std::uint64_t last = at.stream + (tokens - 1) * std::uint64_t{shape().embedding} * sizeof(float);
  add_norm(own(at.normed), own(last), step.model_.output_norm(), 1);
  add(command(Opcode::Gemm, {own(at.logits), own(at.normed), weight(step.model_.output())},
              {1, shape().vocabulary, shape().embedding}));
  add(command(Opcode::ArgMax, {own(at.best, Type::I32), own(at.logits)}, {1, shape().vocabulary}));
}

/// Makes of a stream for another sequence of this type, or for this one when it was shorter, the one for this.
void Step::Build::move_all() const {
  const std::uint32_t per_layer = sequence.type_ == Type::F32 ? kCachedPerLayer : kCachedPerLayer - 2;
  for (std::uint32_t layer = 0; layer < shape().layers; ++layer) {
    for (std::uint32_t i = 0; i < per_layer; ++i) {
      const Cached& each = step.cached_[layer * kCachedPerLayer + i];
      const Tensor at = cache(layer, each.which, each.at_end ? sequence.size() : 0);
      step.job_->set_operand(each.command, each.operand, at.region, at.offset);
    }
    step.job_->set_dim(step.attentions_[layer], abi::npu::dim::attention::kPast, sequence.size());
  }
}

Step::Places Step::place(const Shape& shape, std::uint64_t tokens) {
  std::uint64_t end = 0;
  const auto take = [&end](std::uint64_t elements) {
    const std::uint64_t begin = end;
    constexpr std::uint64_t kAlignment = ml::Memory::kAlignment;
    end += (elements * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
    return begin;
  };
  Places places{};
  places.tokens = take(tokens);
  places.positions = take(tokens);
  places.stream = take(tokens * shape.embedding);
  places.normed = take(tokens * shape.embedding);
  places.queries = take(tokens * shape.query_elements());
  places.attended = take(tokens * shape.query_elements());
  places.keys = take(tokens * shape.key_elements());
  places.values = take(tokens * shape.key_elements());
  places.gate = take(tokens * shape.feed_forward);
  places.up = take(tokens * shape.feed_forward);
  places.logits = take(shape.vocabulary);
  places.best = take(1);
  places.bytes = end;
  return places;
}

std::expected<std::unique_ptr<Step>, kernel::NamedError> Step::make(npu::Npu& npu, const Model& model,
                                                                    std::uint32_t weights, std::uint32_t tokens) {
  kernel::require(tokens > 0 && tokens <= kMaxTokens, "a step of no tokens, or of too many");
  std::unique_ptr<Step> step(new (std::nothrow) Step(npu, model, weights, tokens));
  auto job = npu::Job::make(model.shape().layers * kCommandsPerLayer + kOtherCommands);
  if (step == nullptr || !job) {
    return kernel::fail("llm-no-memory", "no memory for the commands of {} layers", model.shape().layers);
  }
  step->job_ = std::move(*job);
  step->cached_.reset(new (std::nothrow) Cached[std::size_t{model.shape().layers} * kCachedPerLayer]);
  step->attentions_.reset(new (std::nothrow) std::uint32_t[model.shape().layers]);
  if (step->cached_ == nullptr || step->attentions_ == nullptr) {
    return kernel::fail("llm-no-memory", "no memory for the places of {} layers", model.shape().layers);
  }
  step->places_ = place(model.shape(), tokens);
  auto memory = ml::Memory::make(step->places_.bytes);
  if (!memory) {
    return std::unexpected(memory.error());
  }
  step->memory_ = std::move(*memory);
  if (const kernel::Outcome enlisted = step->memory_->enlist(npu, ml::Memory::kReadWrite); !enlisted) {
    return std::unexpected(enlisted.error());
  }
  return step;
}

kernel::Outcome Step::check(const Sequence& sequence, std::span<const std::uint32_t> tokens) const {
  kernel::require(!tokens.empty() && tokens.size() <= max_tokens_, "a step of no tokens, or of too many");
  for (const std::uint32_t token : tokens) {
    if (token >= model_.shape().vocabulary) {
      return kernel::fail("llm-bad-token", "token {}, expected one below {}", token, model_.shape().vocabulary);
    }
  }
  const std::uint32_t room = sequence.capacity() - sequence.size();
  if (tokens.size() > room) {
    return kernel::fail("llm-context-full", "{} tokens, but there is room for {} of {}", tokens.size(), room,
                        sequence.capacity());
  }
  return {};
}

/// Most steps are of one token, and differ from the one before in a few fields of each layer.
void Step::make_stream(const Sequence& sequence, std::uint32_t tokens) {
  Build build{.step = *this, .sequence = sequence, .tokens = tokens};
  if (made_.tokens == tokens && made_.type == sequence.type_) {
    build.move_all();
    return;
  }
  job_->clear();
  build.add_all();
  made_ = {.tokens = tokens, .type = sequence.type_};
}

kernel::Outcome Step::run(Sequence& sequence, std::span<const std::uint32_t> tokens) {
  if (kernel::Outcome fits = check(sequence, tokens); !fits) {
    return fits;
  }
  for (std::uint32_t i = 0; i < tokens.size(); ++i) {
    const std::uint32_t position = sequence.size() + i;
    std::memcpy(memory_->bytes().data() + places_.tokens + i * sizeof(position), &tokens[i], sizeof(position));
    std::memcpy(memory_->bytes().data() + places_.positions + i * sizeof(position), &position, sizeof(position));
  }
  make_stream(sequence, static_cast<std::uint32_t>(tokens.size()));
  if (kernel::Outcome ran = npu_.run(*job_); !ran) {
    return ran;
  }
  const npu::JobEnd& end = job_->end();
  if (!end.ok()) {
    return kernel::fail("llm-step-failed", "{}, {}, at command {} of {}", npu::to_string(end.status),
                        npu::to_string(end.reason), end.command, job_->commands().size());
  }
  sequence.size_ += static_cast<std::uint32_t>(tokens.size());
  return {};
}

std::span<const std::byte> Step::logits() const {
  return memory_->bytes().subspan(places_.logits, std::size_t{model_.shape().vocabulary} * sizeof(float));
}

std::uint32_t Step::best() const {
  std::uint32_t token = 0;
  std::memcpy(&token, memory_->bytes().data() + places_.best, sizeof(token));
  return token;
}

}  // namespace guest::llm
