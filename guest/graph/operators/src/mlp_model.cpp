#include "mlp_model.hpp"

#include <optional>
#include <string_view>

#include "bytes.hpp"

namespace guest::graph {
namespace {

constexpr std::string_view kBadModel = "graph-bad-model";
constexpr char kMagic[8] = {'S', 'I', 'S', 'M', 'L', 'P', '1', '\n'};
constexpr std::size_t kFloatBytes = sizeof(std::uint32_t);

/// What comes next in a file.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) : file_(file) {}
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] bool at_end() const { return at_ == file_.size(); }
  /// Nothing: the file ends before.
  [[nodiscard]] std::optional<std::span<const std::byte>> take(std::uint64_t bytes) {
    if (bytes > file_.size() - at_) {
      return std::nullopt;
    }
    const auto taken = file_.subspan(at_, bytes);
    at_ += bytes;
    return taken;
  }
  /// 0: the file ends before.
  [[nodiscard]] std::uint32_t number() {
    const auto bytes = take(sizeof(std::uint32_t));
    return bytes ? load<std::uint32_t>(*bytes, 0) : 0;
  }
  /// f32s, all finite. Nothing: the file ends before, or one is not.
  [[nodiscard]] std::optional<std::span<const std::byte>> floats(std::uint32_t count) {
    const auto bytes = take(std::uint64_t{count} * kFloatBytes);
    for (std::uint32_t i = 0; bytes && i < count; ++i) {
      if (!is_finite_f32(load<std::uint32_t>(*bytes, i * kFloatBytes))) {
        return std::nullopt;
      }
    }
    return bytes;
  }

 private:
  std::span<const std::byte> file_;
  std::size_t at_ = 0;
};

/// `wanted`: what the layer before gives; 0: this is the first one.
std::expected<numeric::Layer, kernel::NamedError> read_layer(Reader& reader, std::uint32_t wanted) {
  const std::size_t begin = reader.at();
  const std::uint32_t inputs = reader.number();
  const std::uint32_t outputs = reader.number();
  if (inputs == 0 || inputs > MlpModel::kMaxInputs || (wanted != 0 && inputs != wanted) || outputs == 0 ||
      outputs > MlpModel::kMaxOutputs) {
    return kernel::fail(kBadModel, "a layer of {} inputs and {} outputs at byte {}: expected {} to {} and 1 to {}",
                        inputs, outputs, begin, wanted == 0 ? 1 : wanted, wanted == 0 ? MlpModel::kMaxInputs : wanted,
                        MlpModel::kMaxOutputs);
  }
  const auto scale = reader.floats(1);
  const auto weights = scale ? reader.take(std::uint64_t{inputs} * outputs) : std::nullopt;
  const auto biases = weights ? reader.floats(outputs) : std::nullopt;
  if (!biases) {
    return kernel::fail(kBadModel, "the layer at byte {} does not end in the file, or has a number that is not finite",
                        begin);
  }
  return numeric::Layer{.inputs = inputs, .outputs = outputs, .scale = *scale, .weights = *weights, .biases = *biases};
}

}  // namespace

std::expected<MlpModel, kernel::NamedError> read_mlp(std::span<const std::byte> file) {
  Reader reader(file);
  const auto magic = reader.take(sizeof(kMagic));
  if (!magic || std::memcmp(magic->data(), kMagic, sizeof(kMagic)) != 0) {
    return kernel::fail(kBadModel, "expected SISMLP1 and a line end at byte 0");
  }
  const std::uint32_t layers = reader.number();
  if (layers == 0 || layers > MlpModel::kMaxLayers) {
    return kernel::fail(kBadModel, "{} layers: expected 1 to {}", layers, MlpModel::kMaxLayers);
  }
  MlpModel model;
  for (std::uint32_t i = 0; i < layers; ++i) {
    const auto layer = read_layer(reader, i == 0 ? 0 : model.classes());
    if (!layer) {
      return std::unexpected(layer.error());
    }
    kernel::require(model.layers.push_back(*layer), "a model has more layers than it may have");
  }
  if (!reader.at_end()) {
    return kernel::fail(kBadModel, "the last layer ends at byte {}, the file at {}", reader.at(), file.size());
  }
  return model;
}

}  // namespace guest::graph
