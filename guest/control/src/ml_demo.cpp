// mldemo: a network over many images.
#include <array>
#include <memory>
#include <new>

#include "background.hpp"
#include "guest/npu/npu.hpp"
#include "ml_commands.hpp"
#include "npu_common.hpp"
#include "sorted_samples.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

constexpr std::size_t kMaxClasses = 16;

class MlDemo final : public Background {
 public:
  MlDemo(std::string_view model, std::uint32_t count) : Background(OnCancel::StopThread), name_(model), count_(count) {}

 private:
  struct Class {
    std::uint32_t images = 0;
    std::uint32_t right = 0;
  };

  Done work() override {
    samples_.reset(new (std::nothrow) std::uint64_t[count_]);
    if (samples_ == nullptr) {
      return refuse(error::kBusy, "", "no memory for {} images", count_);
    }
    auto model = DemoModel::load(name_, npu::npu());
    if (!model) {
      return refuse_npu(model.error());
    }
    model_ = *std::move(model);
    kernel::require(model_->classes() <= kMaxClasses, "a model of the kernel has too many classes");
    for (std::uint32_t i = 0; i < count_ && !cancelled(); ++i) {
      model_->show(i);
      if (const kernel::Outcome ran = model_->inference().run(); !ran) {
        return refuse_npu(ran.error());
      }
      const npu::JobEnd& end = model_->inference().job().end();
      samples_[i] = end.ended_ns - end.submitted_ns;
      Class& of = classes_[model_->label()];
      ++of.images;
      of.right += model_->found() == model_->label() ? 1 : 0;
    }
    if (!cancelled()) {
      latency_ = figures_of({samples_.get(), count_});
    }
    return {};
  }
  /// Its regions are the NPU's.
  void clean_up() override { model_.reset(); }

  void answer(ResultMap& result) const override {
    const ml::Inference& inference = model_->inference();
    result.add("model", name_);
    result.add("accelerator", npu::npu().info().name);
    result.add("input", ml::describe(model_->input()).view());
    result.add("layers", inference.layers());
    result.add("constant_bytes", inference.constant_bytes());
    result.add("tensor_bytes", inference.tensor_bytes());
    result.add("cycles", inference.cycles());
    std::uint64_t right = 0;
    CborWriter& writer = result.key_for("classes");
    writer.array(model_->classes());
    for (std::uint32_t i = 0; i < model_->classes(); ++i) {
      ResultMap entry(writer);
      entry.add("class", model_->class_name(i).view());
      entry.add("images", classes_[i].images);
      entry.add("right", classes_[i].right);
      entry.finish();
      right += classes_[i].right;
    }
    result.add("images", count_);
    result.add("right", right);
    result.add("accuracy_permille", right * 1000 / count_);
    add_figures(result, "latency", latency_);
  }

  const std::string_view name_;
  const std::uint32_t count_;
  std::unique_ptr<DemoModel> model_;
  std::array<Class, kMaxClasses> classes_{};
  std::unique_ptr<std::uint64_t[]> samples_;
  SampleFigures latency_;
};

}  // namespace

std::string_view model_name(std::string_view wanted) { return wanted == "shapes" ? "shapes" : "patterns"; }

HandlerResult handle_mldemo(Services&, const Arguments& arguments, Caller& caller, ResultMap&) {
  return Background::start(
      std::unique_ptr<Background>(new (std::nothrow) MlDemo(
          model_name(arguments.text("model", "patterns")), static_cast<std::uint32_t>(arguments.number("count", 200)))),
      "mldemo", caller);
}

}  // namespace guest::control
