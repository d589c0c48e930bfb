// A model in memory that the CPU runs, in a thread of a fake CPU.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/llm/model/step.hpp"
#include "guest/npu/cpu_accelerator.hpp"

namespace guest::llm::testing {

/// In a thread.
class Runner {
 public:
  explicit Runner(const std::string& file, std::uint32_t tokens = 16,
                  const ::npu::KernelSet& kernels = ::npu::scalar_kernels())
      : npu(kernels) {
    weights_ = *ml::Memory::make(file.size());
    std::memcpy(weights_->bytes().data(), file.data(), file.size());
    EXPECT_TRUE(weights_->enlist(npu, ml::Memory::kConstant));
    const auto opened = gguf::File::open(weights_->bytes());
    EXPECT_TRUE(opened);
    auto read = Model::read(*opened);
    EXPECT_TRUE(read) << (read ? "" : read.error().detail.view());
    model_ = std::make_unique<Model>(std::move(*read));
    step_ = *Step::make(npu, *model_, weights_->handle(), tokens);
  }

  [[nodiscard]] std::unique_ptr<Sequence> sequence(SequenceOptions options = {}) {
    auto made = Sequence::make(npu, model_->shape(), options);
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  /// The logits after these tokens.
  std::vector<float> run(Sequence& sequence, const std::vector<std::uint32_t>& tokens) {
    const kernel::Outcome ran = step_->run(sequence, tokens);
    EXPECT_TRUE(ran) << (ran ? "" : ran.error().detail.view());
    std::vector<float> logits(step_->logits().size() / sizeof(float));
    std::memcpy(logits.data(), step_->logits().data(), step_->logits().size());
    return logits;
  }
  Step& step() { return *step_; }
  const Model& model() { return *model_; }

  npu::CpuAccelerator npu;

 private:
  std::unique_ptr<ml::Memory> weights_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Step> step_;
};

/// The body in a thread of the fake CPU 0, to its end.
inline void in_thread(std::function<void()> body) {
  threads::start("test", std::move(body));
  threads::run_until_idle();
}

}  // namespace guest::llm::testing
