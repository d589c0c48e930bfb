// infdemo: one inference, from an image to its class.
#include <memory>
#include <new>

#include "background.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/npu/npu.hpp"
#include "ml_commands.hpp"
#include "npu_common.hpp"

namespace guest::control {
namespace {

constexpr std::size_t kMaxSide = 64;

/// Two rows of the image a line, as characters are twice as high as wide.
void draw(std::span<const std::byte> image, std::size_t side, CborWriter& writer) {
  constexpr std::string_view kShades = " .:-=+*#%@";
  kernel::require(side <= kMaxSide, "a model of the kernel wants a larger image");
  writer.array(side / 2);
  for (std::size_t y = 0; y + 1 < side; y += 2) {
    kernel::FixedText<kMaxSide> line;
    for (std::size_t x = 0; x < side; ++x) {
      const auto at = [&](std::size_t row) { return std::to_integer<std::size_t>(image[row * side + x]); };
      line.write(kShades.substr((at(y) + at(y + 1)) * kShades.size() / 512, 1));
    }
    writer.text(line.view());
  }
}

class InfDemo final : public Background {
 public:
  InfDemo(std::string_view model, std::uint64_t number)
      : Background(OnCancel::StopThread), name_(model), number_(number) {}

 private:
  Done work() override {
    auto model = DemoModel::load(name_, npu::npu());
    if (!model) {
      return refuse_npu(model.error());
    }
    model_ = *std::move(model);
    model_->show(number_);
    if (const kernel::Outcome ran = model_->inference().run(); !ran) {
      return refuse_npu(ran.error());
    }
    return {};
  }
  /// Its regions are the NPU's.
  void clean_up() override { model_.reset(); }

  void answer(ResultMap& result) const override {
    ml::Inference& inference = model_->inference();
    const npu::JobEnd& end = inference.job().end();
    result.add("model", name_);
    result.add("accelerator", npu::npu().info().name);
    result.add("number", number_);
    draw(model_->image(), model_->side(), result.key_for("picture"));
    result.add("input", ml::describe(model_->input()).view());
    add_layers(result);
    result.add("job", end.id);
    result.add("cycles", end.cycles);
    result.add("run_ns", end.run_ns);
    result.add("latency_ns", end.ended_ns - end.submitted_ns);
    add_scores(result);
    result.add("class", model_->class_name(model_->found()).view());
    result.add("expected", model_->class_name(model_->label()).view());
    result.add_bool("right", model_->found() == model_->label());
  }

  void add_layers(ResultMap& result) const {
    const ml::Inference& inference = model_->inference();
    CborWriter& writer = result.key_for("layers");
    writer.array(inference.layers());
    for (std::size_t i = 0; i < inference.layers(); ++i) {
      const ml::Network::Layer& layer = model_->network().layers()[i];
      const auto output = static_cast<std::size_t>(layer.tensors[0]);
      ResultMap entry(writer);
      entry.add("layer", inference.layer(i).name);
      entry.add("output", ml::describe(model_->network().tensors()[output]).view());
      entry.add("cycles", inference.layer(i).cycles);
      entry.finish();
    }
  }

  void add_scores(ResultMap& result) const {
    CborWriter& writer = result.key_for("scores");
    writer.array(model_->classes());
    for (std::uint32_t i = 0; i < model_->classes(); ++i) {
      ResultMap entry(writer);
      entry.add("class", model_->class_name(i).view());
      if (const auto score = to_thousandths(model_->score_bits(i))) {
        CborWriter& value = entry.key_for("thousandths");
        *score < 0 ? value.negative(static_cast<std::uint64_t>(-1 - *score))
                   : value.number(static_cast<std::uint64_t>(*score));
      }
      entry.finish();
    }
  }

  const std::string_view name_;
  const std::uint64_t number_;
  std::unique_ptr<DemoModel> model_;
};

}  // namespace

HandlerResult handle_infdemo(Services&, const Arguments& arguments, Caller& caller, ResultMap&) {
  return Background::start(std::unique_ptr<Background>(new (std::nothrow) InfDemo(
                               model_name(arguments.text("model", "shapes")), arguments.number("number"))),
                           "infdemo", caller);
}

void render_infdemo(kernel::TextOutput& output, const CborValue& result) {
  const auto text = [&](std::string_view key) { return find_cbor(result, key)->text(); };
  const auto number = [&](std::string_view key) { return find_cbor(result, key)->number; };
  kernel::format_to(output, "Image {}, a {}, for '{}' on the {}:\n", number("number"), text("expected"), text("model"),
                    text("accelerator"));
  CborItems picture(*find_cbor(result, "picture"));
  while (const auto line = picture.next()) {
    kernel::format_to(output, "  {}\n", line->text());
  }
  kernel::format_to(output, "{:<18} {:<20} {:>10}\n", "", text("input"), "cycles");
  CborItems layers(*find_cbor(result, "layers"));
  while (const auto layer = layers.next()) {
    kernel::format_to(output, "{:<18} {:<20} {:>10}\n", find_cbor(*layer, "layer")->text(),
                      find_cbor(*layer, "output")->text(), find_cbor(*layer, "cycles")->number);
  }
  kernel::format_to(output, "Job {}: {} cycles, {} ns of the accelerator, {} ns from submission to end\n",
                    number("job"), number("cycles"), number("run_ns"), number("latency_ns"));
  output.write("scores in thousandths:");
  CborItems scores(*find_cbor(result, "scores"));
  while (const auto score = scores.next()) {
    kernel::format_to(output, " {}", find_cbor(*score, "class")->text());
    if (const auto value = find_cbor(*score, "thousandths")) {
      const bool negative = value->type == CborType::Negative;
      kernel::format_to(output, " {}{}", negative ? "-" : "", value->number + (negative ? 1 : 0));
    }
  }
  kernel::format_to(output, "\nclass: {}, {}\n", text("class"),
                    find_cbor(result, "right")->number != 0 ? "right" : "wrong");
}

}  // namespace guest::control
