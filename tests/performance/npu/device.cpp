#include "device.hpp"

#include <poll.h>

#include <stdexcept>

namespace npu_bench {

Device::Device(const npu::KernelSet& kernels, unsigned threads) {
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

std::uint64_t Device::run(const npu::Checked& command, std::uint64_t times) {
  auto job = std::make_unique<vmm::npu::Job>();
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
