#include "guest/kernel/panic.hpp"
#include "handlers.hpp"

namespace guest::control {

namespace error = abi::control::error;

HandlerResult handle_log(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  if (arguments.has("level")) {
    kernel::Verbosity verbosity{};
    // The choices of the argument are the names of the levels.
    kernel::require(kernel::parse_verbosity(arguments.text("level"), verbosity), "a log level without a name");
    services.log.set_verbosity(verbosity);
  }
  result.add("level", kernel::to_string(services.log.verbosity()));
  return Handled::Now;
}

HandlerResult handle_panic(Services& services, const Arguments& arguments, Caller&, ResultMap&) {
  const std::string_view wanted = arguments.text("kind");
  std::string_view kinds = services.faults.kinds();
  while (!kinds.empty()) {
    const std::size_t bar = kinds.find('|');
    if (kinds.substr(0, bar) == wanted) {
      services.faults.provoke(wanted);
      return refuse(error::kFailed, "kind", "the fault '{}' did not stop the machine", wanted);
    }
    kinds = bar == std::string_view::npos ? std::string_view() : kinds.substr(bar + 1);
  }
  return refuse(error::kBadArgument, "kind", "kind: found '{}', allowed: {}", kernel::escaped(wanted),
                services.faults.kinds());
}

namespace {

HandlerResult request_power(Services& services, PowerRequest request) {
  if (services.power_request.kind != PowerRequest::Kind::None) {
    return refuse(error::kBusy, "", "the machine is going down already");
  }
  services.power_request = request;
  return Handled::Now;
}

}  // namespace

HandlerResult handle_shutdown(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto code = static_cast<std::uint8_t>(arguments.number("code", 0));
  result.add("code", code);
  return request_power(services, {.kind = PowerRequest::Kind::Off, .code = code});
}

HandlerResult handle_reboot(Services& services, const Arguments&, Caller&, ResultMap&) {
  return request_power(services, {.kind = PowerRequest::Kind::Reset, .code = 0});
}

}  // namespace guest::control
