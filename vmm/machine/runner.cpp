#include "vmm/machine/runner.hpp"

#include <algorithm>
#include <utility>

#include "ask_pages.hpp"
#include "vmm/observe/time_histogram.hpp"
#include "vmm/scenario/condition.hpp"

namespace vmm::machine {
namespace {

using Clock = std::chrono::steady_clock;

/// For all metrics of a guest that has just answered.
constexpr std::chrono::seconds kMetricsTime{10};
/// Longest prefix that `histograms` takes (docs/control-protocol.md).
constexpr std::size_t kMaxPrefix = 96;

using nlohmann::json;
using observe::StepResult;
using observe::StepStatus;

/// What a step's conditions look at: {status: ok, result} or {status: error, code, message[, field]}. Nothing when the
/// request had no reply at all.
std::optional<json> as_reply(const control::ClientResult<json>& result) {
  if (result) return json{{"status", "ok"}, {"result", *result}};
  const auto& error = result.error();
  if (error.kind != control::ClientError::Kind::Refused) return std::nullopt;
  json reply{{"status", "error"}, {"code", error.code}, {"message", error.message}};
  if (!error.field.empty()) reply["field"] = error.field;
  return reply;
}

/// Why the reply is not what the scenario wants; empty if it is.
std::string problem_with(const scenario::Request& request, const control::ClientResult<json>& result,
                         const std::optional<json>& reply) {
  if (!reply) return "no reply: " + result.error().message;
  if (result && request.expect_error) {
    return "wanted a refusal" + (request.error_code ? " with code " + *request.error_code : std::string()) +
           ", the guest did it";
  }
  if (!result && !request.expect_error) {
    const auto& error = result.error();
    return "the guest refused: " + error.code + ": " + error.message +
           (error.field.empty() ? "" : " (field " + error.field + ")");
  }
  if (!result && request.error_code && result.error().code != *request.error_code) {
    return "wanted a refusal with code " + *request.error_code + ", actual " + result.error().code + ": " +
           result.error().message;
  }
  for (const auto& expectation : request.expect) {
    const auto verdict = scenario::evaluate(expectation, *reply);
    if (!verdict.passed) return expectation.path + ": wanted " + verdict.wanted + ", actual " + verdict.actual;
  }
  return {};
}

/// The guest's metrics have 64 bits without a sign; what does not fit is as good as the largest.
std::int64_t clamped(const json& value) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(value.get<std::uint64_t>(), INT64_MAX));
}

/// The address of a scenario's line, for a message.
std::string where(const scenario::Request& request) {
  return request.line == 0 ? "" : " (line " + std::to_string(request.line) + " of the scenario)";
}

}  // namespace

StepResult run_request(const scenario::Request& request, const ControlAddress& address,
                       std::chrono::milliseconds connect_timeout, std::optional<control::Client> ready) {
  StepResult step;
  step.name = request.name;
  step.op = request.op;
  step.status = StepStatus::Failed;
  if (!ready) {
    auto connected = control::Client::connect(address.socket.string(), address.token, Clock::now() + connect_timeout);
    if (!connected) {
      step.message = "cannot connect: " + connected.error().message + where(request);
      return step;
    }
    ready.emplace(std::move(*connected));
  }
  for (unsigned i = 0; i < request.repeat; ++i) {
    ++step.sent;
    const auto start = Clock::now();
    const auto id = ready->send(request.op, request.args, start + request.timeout);
    if (id) step.last_request = *id;
    if (i == 0) {
      step.began = start;
      step.first_request = step.last_request;
    }
    const auto result = id ? ready->receive(*id, start + request.timeout) : std::unexpected(id.error());
    step.duration += Clock::now() - start;
    const auto reply = as_reply(result);
    if (reply) {
      ++step.replies;
      step.reply = *reply;
    }
    const std::string problem = problem_with(request, result, reply);
    if (!problem.empty()) {
      const bool many = request.repeat > 1;
      step.message = (many ? "request " + std::to_string(i + 1) + " of " + std::to_string(request.repeat) + ": " : "") +
                     problem + where(request);
      return step;
    }
  }
  step.status = StepStatus::Passed;
  return step;
}

Runner::Runner(const scenario::Scenario& scenario, ControlAddress address, std::chrono::milliseconds connect_timeout,
               RunnerEvents events, sandbox::Sandbox sandbox)
    : scenario_(scenario),
      address_(std::move(address)),
      connect_timeout_(connect_timeout),
      events_(std::move(events)),
      thread_([this, sandbox] {
        sandbox.enter(sandbox::ThreadKind::Control);
        run();
      }) {}

Runner::~Runner() {
  cancel();
  thread_.join();
}

void Runner::run() {
  auto connected = control::Client::connect(address_.socket.string(), address_.token, Clock::now() + connect_timeout_);
  if (!connected) {
    events_.on_no_connection(connected.error());
    return;
  }
  events_.on_ready();
  std::optional<control::Client> ready(std::move(*connected));
  bool passed = true;
  for (const auto& step : scenario_.steps) {
    passed = !cancelled_ && run_step(step, ready);
    if (!passed) break;
  }
  if (passed && !cancelled_ && !scenario_.steps.empty() && !scenario_.expect.metrics.empty()) ask_metrics();
  events_.on_finished();
}

void Runner::ask_metrics() {
  const auto deadline = Clock::now() + kMetricsTime;
  auto client = control::Client::connect(address_.socket.string(), address_.token, deadline);
  // The last step may have shut it down.
  if (!client) return;
  FinalMetrics found;
  const auto take = [&](const json& part) {
    for (const auto& wanted : scenario_.expect.metrics) {
      const json* const value = scenario::find_field(part, "metrics." + wanted.metric);
      if (value != nullptr && value->is_number_unsigned()) found.values[wanted.metric] = clamped(*value);
    }
    return !cancelled_;
  };
  const auto ask = [&](const char* op, const json& args) { return client->call(op, args, deadline); };
  if (!ask_pages(ask, "metrics", json::object(), take)) return;
  for (const auto& wanted : scenario_.expect.metrics) {
    if (!found.values.contains(wanted.metric)) ask_samples(*client, wanted.metric, deadline, found);
  }
  events_.on_metrics(std::move(found));
}

/// Whoever expects something of a percentile that is not there wants to know what is missing.
void Runner::ask_samples(control::Client& client, const std::string& metric, control::Deadline deadline,
                         FinalMetrics& found) {
  const auto percentile = observe::percentile_metric(metric);
  if (!percentile || percentile->histogram.size() > kMaxPrefix) return;
  const std::string name(percentile->histogram);
  const auto ask = [&](const char* op, const json& args) { return client.call(op, args, deadline); };
  ask_pages(ask, "histograms", {{"prefix", name}}, [&](const json& part) {
    const json* const reply = scenario::find_field(part, "histograms." + name);
    if (reply != nullptr) {
      if (const auto histogram = observe::TimeHistogram::from(*reply)) found.samples[metric] = histogram->count();
    }
    return !cancelled_;
  });
}

bool Runner::run_step(const scenario::Step& step, std::optional<control::Client>& ready) {
  std::string names;
  for (const auto& request : step.requests) names += (names.empty() ? "" : ", ") + request.name;
  events_.on_progress("step " + names);
  std::vector<StepResult> results(step.requests.size());
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < step.requests.size(); ++i) {
    others.emplace_back([&, i] { results[i] = run_request(step.requests[i], address_, connect_timeout_); });
  }
  if (!step.requests.empty()) {
    results[0] = run_request(step.requests[0], address_, connect_timeout_, std::exchange(ready, std::nullopt));
  }
  for (auto& thread : others) thread.join();
  bool passed = true;
  for (auto& result : results) {
    passed = passed && result.status == StepStatus::Passed;
    events_.on_step(std::move(result));
  }
  return passed;
}

}  // namespace vmm::machine
