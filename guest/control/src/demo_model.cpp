#include "demo_model.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <optional>

#include "guest/kernel/panic.hpp"

namespace guest::control {
namespace {

constexpr std::uint64_t kSeed = 20'000;  // training has others (tools/models)
constexpr std::string_view kPatternNames[] = {"gradient", "checker", "bars", "circle"};
constexpr std::string_view kShapeNames[] = {"disc", "ring", "square", "triangle", "cross", "bar"};

std::uint32_t side_of(const ml::Shape& shape) {
  const std::uint64_t elements = shape.elements();
  std::uint32_t side = 1;
  while (std::uint64_t{side} * side < elements) {
    ++side;
  }
  kernel::require(std::uint64_t{side} * side == elements, "a model of the kernel wants no square image");
  return side;
}

/// From darkest to brightest becomes 0 to 255, to the nearest: what the model was trained with.
void normalise(std::span<std::byte> image) {
  const auto [low, high] = std::minmax_element(image.begin(), image.end());
  const unsigned from = std::to_integer<unsigned>(*low);
  const unsigned range = std::max(std::to_integer<unsigned>(*high) - from, 1U);
  for (std::byte& each : image) {
    each = static_cast<std::byte>(((std::to_integer<unsigned>(each) - from) * 255 + range / 2) / range);
  }
}

std::uint32_t load_u32(std::span<const std::byte> bytes, std::size_t index) {
  std::uint32_t value = 0;
  std::memcpy(&value, &bytes[index * sizeof value], sizeof value);
  return value;
}

}  // namespace

std::expected<std::unique_ptr<DemoModel>, kernel::NamedError> DemoModel::load(std::string_view name, npu::Npu& npu) {
  auto classifier = ml::read_classifier(ml::builtin_model(name), {});
  if (!classifier) {
    return std::unexpected(classifier.error());
  }
  auto inference = ml::Inference::make(npu, *classifier->network);
  if (!inference) {
    return std::unexpected(inference.error());
  }
  std::unique_ptr<DemoModel> model(new (std::nothrow) DemoModel);
  if (model == nullptr) {
    return kernel::fail("ml-no-memory", "no memory for the model '{}'", name);
  }
  model->classifier_ = *std::move(classifier);
  model->inference_ = *std::move(inference);
  model->side_ = side_of(model->input().shape);
  model->image_.reset(new (std::nothrow) std::byte[std::size_t{model->side_} * model->side_]);
  if (model->image_ == nullptr) {
    return kernel::fail("ml-no-memory", "no memory for the model '{}'", name);
  }
  const bool shapes = name == "shapes";
  model->pattern_ = shapes ? graph::Pattern::Shapes : graph::Pattern::Cycle;
  model->max_noise_ = shapes ? 20 : 32;  // as in training
  model->names_ = shapes ? std::span<const std::string_view>(kShapeNames) : kPatternNames;
  return model;
}

void DemoModel::show(std::uint64_t number) {
  constexpr std::uint64_t kStep = 7;  // so that neighbours have not the same noise
  const std::span<std::byte> image(image_.get(), std::size_t{side_} * side_);
  graph::draw({.pattern = pattern_,
               .width = side_,
               .height = side_,
               .seed = kSeed,
               .noise = static_cast<std::uint32_t>(number * kStep % (max_noise_ + 1))},
              number, image);
  label_ = graph::label_of(pattern_, number);
  const std::span<std::byte> input = inference_->bytes(classifier_.input);
  std::memcpy(input.data(), image.data(), image.size());
  if (pattern_ == graph::Pattern::Cycle) {
    normalise(input);
  }
}

std::uint32_t DemoModel::found() const { return load_u32(inference_->bytes(classifier_.label), 0); }

std::uint32_t DemoModel::score_bits(std::uint32_t index) const {
  return load_u32(inference_->bytes(classifier_.scores), index);
}

kernel::FixedText<16> DemoModel::class_name(std::uint32_t index) const {
  kernel::FixedText<16> name;
  if (index < names_.size()) {
    name.write(names_[index]);
  } else {
    kernel::format_to(name, "{}", index);
  }
  return name;
}

std::optional<std::int64_t> to_thousandths(std::uint32_t bits) {
  constexpr unsigned kMantissaBits = 23;
  constexpr unsigned kBias = 127;
  const unsigned exponent = bits >> kMantissaBits & 0xff;
  if (exponent > kBias + 31) {
    return std::nullopt;  // 2^32 and beyond
  }
  const std::uint64_t mantissa = exponent == 0 ? 0 : (bits & 0x7f'ffff) | 0x80'0000;  // below 2^-126 is 0
  const int shift = static_cast<int>(exponent) - static_cast<int>(kBias + kMantissaBits);
  const std::uint64_t thousandths = mantissa * 1000;  // below 2^34, and below 2^43 after the shift
  const std::uint64_t magnitude = shift >= 0 ? thousandths << shift : shift <= -64 ? 0 : thousandths >> -shift;
  return (bits >> 31) != 0 ? -static_cast<std::int64_t>(magnitude) : static_cast<std::int64_t>(magnitude);
}

}  // namespace guest::control
