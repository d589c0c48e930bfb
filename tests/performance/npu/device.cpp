#include "device.hpp"

#include <poll.h>

#include <bit>
#include <stdexcept>
#include <utility>

#include "abi/npu_commands.hpp"

namespace npu_bench {

Device::Device(const npu::KernelSet& kernels, unsigned threads) : kernels_(kernels) {
  vmm::npu::Options options;
  options.threads = threads;
  auto engine =
      vmm::npu::Engine::create({.commands = {.check = npu::check_job, .partition = npu::partition, .kernels = &kernels},
                                .model = {},
                                .options = options,
                                .clock = &clock_,
                                .counters = &counters_});
  if (!engine) throw std::runtime_error(engine.error().message);
  engine_ = std::move(*engine);
}

std::shared_ptr<const vmm::npu::PackedWeights> Device::weights_of(const npu::Checked& command) {
  const npu::Operand& weight = command.operands[abi::npu::operand::kWeight];
  // There are no regions here: an address does as well.
  const vmm::npu::PackedStore::Key key{.region = 0,
                                       .offset = std::bit_cast<std::uintptr_t>(weight.data),
                                       .rows = weight.rows,
                                       .row_bytes = weight.row_bytes,
                                       .type = weight.type};
  std::uint64_t budget = packed_.limits().per_turn;
  return packed_.find_or_make(key, command, kernels_.packing, budget);
}

std::uint64_t Device::run(npu::Checked command, std::uint64_t times) {
  auto job = std::make_unique<vmm::npu::Job>();
  if (auto weights = weights_of(command)) {
    command.packed_weights = weights->data();
    job->packed.push_back(std::move(weights));
  }
  job->commands.assign(times, command);
  engine_->submit(std::move(job));
  pollfd news{.fd = engine_->news().fd(), .events = POLLIN, .revents = 0};
  for (;;) {
    ::poll(&news, 1, -1);
    for (const auto& done : engine_->take_finished()) {
      if (done->outcome.status != abi::npu::Status::Ok) throw std::runtime_error("a command failed");
      return done->finished_ns - done->started_ns;
    }
  }
}

}  // namespace npu_bench
