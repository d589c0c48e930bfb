// npu reset, npu power.
#include <atomic>
#include <new>

#include "background.hpp"
#include "guest/npu/names.hpp"
#include "guest/npu/npu.hpp"
#include "guest/tasks/task_set.hpp"
#include "npu_commands.hpp"
#include "npu_common.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

using abi::npu::Power;

/// Written by the threads of the two commands. Relaxed: it orders nothing.
constinit std::atomic<Power> the_power{Power::On};

class Reset final : public Background {
 public:
  Reset() : Background(OnCancel::StopThread) {}

 private:
  Done work() override {
    if (const kernel::Outcome outcome = npu::npu().reset(); !outcome) {
      return refuse_npu(outcome.error());
    }
    the_power.store(Power::On, std::memory_order_relaxed);  // a reset turns it on
    return {};
  }
  void answer(ResultMap& result) const override { result.add("power", npu::to_string(npu_power())); }
};

class SetPower final : public Background {
 public:
  explicit SetPower(Power wanted) : Background(OnCancel::StopThread), wanted_(wanted) {}

 private:
  Done work() override {
    if (const kernel::Outcome outcome = npu::npu().set_power(wanted_); !outcome) {
      return refuse_npu(outcome.error());
    }
    the_power.store(wanted_, std::memory_order_relaxed);
    return {};
  }
  void answer(ResultMap& result) const override { result.add("power", npu::to_string(npu_power())); }

  Power wanted_;
};

Power power_of(std::string_view name) {
  for (const Power each : {Power::On, Power::Gated}) {
    if (npu::to_string(each) == name) {
      return each;
    }
  }
  return Power::Off;  // the choices are these three
}

}  // namespace

std::unexpected<Refusal> refuse_npu(const kernel::NamedError& error) {
  return refuse(error::kFailed, "", "{}: {}", error.name, error.detail.view());
}

std::unexpected<Refusal> refuse_job(std::string_view what, const npu::JobEnd& end) {
  return refuse(error::kFailed, "", "{}: job {} ended with status {}, {}, at byte {} of its stream", what, end.id,
                npu::to_string(end.status), npu::to_string(end.reason), end.stream_offset);
}

abi::npu::Power npu_power() { return the_power.load(std::memory_order_relaxed); }

std::optional<std::string_view> server_name(std::uint32_t id) {
  const tasks::TaskSet& set = tasks::task_set();
  for (const tasks::Server* server = set.first_server(); server != nullptr; server = tasks::TaskSet::after(*server)) {
    if (server->id() == id) {
      return server->name();
    }
  }
  return std::nullopt;
}

HandlerResult handle_npu_reset(Services&, const Arguments&, Caller& caller, ResultMap&) {
  return Background::start(std::unique_ptr<Background>(new (std::nothrow) Reset), "npu reset", caller);
}

HandlerResult handle_npu_power(Services&, const Arguments& arguments, Caller& caller, ResultMap&) {
  return Background::start(std::unique_ptr<Background>(new (std::nothrow) SetPower(power_of(arguments.text("state")))),
                           "npu power", caller);
}

}  // namespace guest::control
