// The hardware's part in snapshots: standing still, saving, going on.
#include <algorithm>

#include "hardware.hpp"
#include "vmm/machine/snapshot/state.hpp"

namespace vmm::machine_kvm {

void Hardware::request_pause() {
  for (const auto& thread : threads_) thread->request_stop();
}

void Hardware::wait_paused() {
  for (const auto& thread : threads_) thread->wait_idle();
}

Result<> Hardware::save(snapshot::MachineState& state) {
  auto counter = vcpus_.front().get(kvm::RegisterId::VirtualCounter);
  if (!counter) return std::unexpected(std::move(counter.error()));
  counter_ = *counter;
  state.virtual_counter = *counter;
  auto& configuration = state.configuration;
  configuration.gic_version = config_.gic == board::GicVersion::V3 ? 3 : 2;
  configuration.pmu = features_.pmu;
  configuration.pointer_authentication = features_.pointer_authentication;
  configuration.stolen_time = features_.stolen_time;
  configuration.counter_hz = features_.counter_hz;
  for (const Slot& slot : slots_) state.transports.push_back(slot.transport->save());
  for (const kvm::Vcpu& vcpu : vcpus_) {
    auto cpu = vcpu.save();
    if (!cpu) return std::unexpected(std::move(cpu.error()));
    state.cpus.push_back(std::move(*cpu));
  }
  auto gic = gic_->save(affinities_);
  if (!gic) return std::unexpected(std::move(gic.error()));
  state.gic = std::move(*gic);
  if (stolen_time_) state.stolen_time.assign(stolen_time_->data(), stolen_time_->data() + stolen_time_->size());
  state.console = console_->save();
  state.clock = rtc_->save();
  return {};
}

Result<> Hardware::restore(const snapshot::MachineState& state) {
  counter_ = state.virtual_counter;
  if (stolen_time_) {
    if (state.stolen_time.size() != stolen_time_->size()) {
      return fail("the saved page of stolen time has " + std::to_string(state.stolen_time.size()) +
                      " bytes, expected " + std::to_string(stolen_time_->size()),
                  abi::ExitCode::HostLacks);
    }
    std::ranges::copy(state.stolen_time, stolen_time_->data());
  }
  for (std::size_t i = 0; i < vcpus_.size(); ++i) {
    if (auto done = vcpus_[i].restore(state.cpus[i]); !done) return done;
  }
  if (auto done = gic_->restore(state.gic); !done) return done;
  // Devices after the controller: they set the levels of their wires.
  auto done = console_->restore(state.console);
  if (done) done = rtc_->restore(state.clock);
  for (std::size_t i = 0; done && i < slots_.size(); ++i) done = slots_[i].transport->restore(state.transports[i]);
  if (done) rtc_alarm_->arm();
  return done;
}

Result<> Hardware::resume_devices() {
  // The guest's time stood still with it.
  auto done = vcpus_.front().set(kvm::RegisterId::VirtualCounter, counter_);
  for (const Slot& slot : slots_) slot.transport->resume();
  return done;
}

}  // namespace vmm::machine_kvm
