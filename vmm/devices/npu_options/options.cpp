#include "vmm/devices/npu_options/options.hpp"

#include <optional>

#include "vmm/base/numbers.hpp"

namespace vmm::npu {
namespace {

constexpr std::string_view kThreads = "threads";
constexpr std::string_view kTiming = "timing";
constexpr std::string_view kDropInterrupt = "drop-interrupt";
constexpr std::string_view kDelayJob = "delay-job";
constexpr std::string_view kFailCommand = "fail-command";

std::string text_of(const Fault& fault) {
  const std::string number = '=' + std::to_string(fault.number);
  switch (fault.kind) {
    case Fault::Kind::DropInterrupt:
      return std::string(kDropInterrupt) + number;
    case Fault::Kind::DelayJob:
      return std::string(kDelayJob) + number + ':' +
             std::to_string(fault.delay.value_or(std::chrono::nanoseconds(0)).count()) + "ns";
    case Fault::Kind::FailCommand:
      break;
  }
  return std::string(kFailCommand) + number + ':' + std::to_string(fault.command.value_or(0));
}

/// What lies before and behind the first `separator`; nothing behind if there is none.
std::pair<std::string_view, std::string_view> split(std::string_view text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

std::optional<unsigned> ordinal(std::string_view text) {
  const auto number = parse_whole<unsigned>(text);
  return number && *number != 0 ? number : std::nullopt;
}

std::optional<Fault> parse_fault(std::string_view key, std::string_view value) {
  const auto [which, what] = split(value, ':');
  const auto number = ordinal(which);
  if (!number) return std::nullopt;
  if (key == kDropInterrupt) {
    if (which.size() != value.size()) return std::nullopt;
    return Fault{.kind = Fault::Kind::DropInterrupt, .number = *number};
  }
  if (key == kDelayJob) {
    const auto delay = parse_with_unit(what, kFineDurationUnits);
    constexpr std::uint64_t kMostNs = std::chrono::nanoseconds(kMaxDelay).count();
    if (!delay || *delay == 0 || *delay > kMostNs) return std::nullopt;
    return Fault{.kind = Fault::Kind::DelayJob, .number = *number, .delay = std::chrono::nanoseconds(*delay)};
  }
  const auto command = parse_whole<unsigned>(what);
  if (key != kFailCommand || !command) return std::nullopt;
  return Fault{.kind = Fault::Kind::FailCommand, .number = *number, .command = command};
}

bool take(std::string_view key, std::string_view value, Options& options) {
  if (key == kThreads) {
    const auto threads = parse_whole<unsigned>(value);
    if (!threads || *threads == 0 || *threads > kMaxThreads) return false;
    options.threads = *threads;
    return true;
  }
  if (key == kTiming) {
    options.timing = value == "modelled" ? Timing::Modelled : Timing::Host;
    return value == "modelled" || value == "host";
  }
  const auto fault = parse_fault(key, value);
  if (!fault || options.faults.size() == kMaxFaults) return false;
  options.faults.push_back(*fault);
  return true;
}

}  // namespace

std::string to_text(const Options& options) {
  std::string text = std::string(kThreads) + '=' + std::to_string(options.threads);
  text += ',' + std::string(kTiming) + '=' + (options.timing == Timing::Modelled ? "modelled" : "host");
  for (const Fault& fault : options.faults) text += ',' + text_of(fault);
  return text;
}

Result<Options> parse_options(std::string_view text) {
  Options options;
  while (!text.empty()) {
    const auto [part, rest] = split(text, ',');
    const auto [key, value] = split(part, '=');
    if (!take(key, value, options)) {
      return fail("the NPU's options: given '" + std::string(part) +
                      "', allowed: threads=1 to 16, timing=host or modelled, and at most 64 of drop-interrupt=N, "
                      "delay-job=N:TIME (at most 60s, with the unit ns, us, ms or s), fail-command=N:COMMAND",
                  abi::ExitCode::Usage);
    }
    text = rest;
  }
  return options;
}

}  // namespace vmm::npu
