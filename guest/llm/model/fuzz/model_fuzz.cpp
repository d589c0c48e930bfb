// Any bytes: a model that is read has its weights inside of them, and the NPU takes each command of a step of it.
#include <cstdint>
#include <cstdlib>

#include "guest/kernel/threads/semaphore.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/llm/model/step.hpp"
#include "guest/npu/cpu_accelerator.hpp"

namespace {

using namespace guest;
using namespace guest::llm;

void expect(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// A step with commands that are checked, but not run: shapes may be large.
const ::npu::KernelSet& no_kernels() {
  static const ::npu::KernelSet set = [] {
    ::npu::KernelSet none{.name = "none", .kernels = {}};
    none.kernels.fill([](const ::npu::Checked&, ::npu::Units) { return std::optional<abi::npu::Reason>(); });
    return none;
  }();
  return set;
}

void step(std::span<const std::byte> bytes, const Model& model) {
  static guest::npu::CpuAccelerator npu(no_kernels());
  auto file = ml::Memory::make(bytes.size());
  expect(file && (*file)->enlist(npu, ml::Memory::kConstant));
  auto made = Step::make(npu, model, (*file)->handle(), 2);
  auto sequence = Sequence::make(npu, model.shape(), {.context = 1});
  if (!made || !sequence) {
    return;  // too large
  }
  const std::uint32_t token = 0;
  const kernel::Outcome ran = (*made)->run(**sequence, {&token, 1});
  expect(ran || (*made)->job().end().status == abi::npu::Status::Budget);
}

/// One thread for all inputs: each new one takes its time.
class Worker {
 public:
  Worker() {
    threads::start("fuzz", [this] {
      while (wanted_.wait() == threads::WaitResult::Signalled) {
        step(bytes_, *model_);
      }
    });
  }
  void run(std::span<const std::byte> bytes, const Model& model) {
    bytes_ = bytes;
    model_ = &model;
    wanted_.signal();
    threads::run_until_idle();
  }

 private:
  threads::Semaphore wanted_;
  std::span<const std::byte> bytes_;
  const Model* model_ = nullptr;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto file = gguf::File::open(bytes);
  const auto model = file ? Model::read(*file) : std::unexpected(file.error());
  if (!model) {
    expect(!model.error().name.empty() && !model.error().detail.view().empty());
    return 0;
  }
  static Worker worker;
  worker.run(bytes, *model);
  return 0;
}
