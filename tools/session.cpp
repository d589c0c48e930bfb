#include "tools/session.hpp"

#include <chrono>
#include <ostream>
#include <string_view>

#include "tools/credentials.hpp"

namespace sisctl {

using nlohmann::json;

std::string json_line(const json& value) { return value.dump(-1, ' ', true) + "\n"; }

json error_object(const Failure& failure) {
  json error = {{"kind", failure.kind}, {"message", failure.message}};
  if (!failure.code.empty()) error["code"] = failure.code;
  if (!failure.field.empty()) error["field"] = failure.field;
  return error;
}

ExitCode report(const Context& context, const Failure& failure) {
  context.err << "sisctl: " << failure.message << "\n";
  if (context.options.json) context.out << json_line({{"error", error_object(failure)}});
  return failure.exit_code;
}

Outcome<Session> Session::open(const Options& options) {
  auto target = find_target(options);
  if (!target) return std::unexpected(target.error());
  auto client = connect(*target, options.timeout);
  if (!client) return std::unexpected(client.error());
  return Session(std::move(*target), std::move(*client), options.timeout);
}

Outcome<json> Session::call(const std::string& op, const json& args) {
  const auto id = send(op, args);
  return id ? receive(*id) : std::unexpected(id.error());
}

Outcome<std::uint32_t> Session::send(const std::string& op, const json& args) {
  const auto id = client_.send(op, args, std::chrono::steady_clock::now() + timeout_);
  if (!id) return std::unexpected(failure_of(id.error(), target_, timeout_));
  if (op == "ctlkey") may_bring_key_.insert(*id);
  return *id;
}

Outcome<std::uint32_t> Session::subscribe(const std::string& op, const json& args) {
  auto id = client_.subscribe(op, args, std::chrono::steady_clock::now() + timeout_);
  if (!id) return std::unexpected(failure_of(id.error(), target_, timeout_));
  return *id;
}

Outcome<json> Session::receive(std::uint32_t id) {
  auto result = client_.receive(id, std::chrono::steady_clock::now() + timeout_);
  const bool may_bring_key = may_bring_key_.erase(id) != 0;
  if (!result) return std::unexpected(failure_of(result.error(), target_, timeout_));
  if (may_bring_key) {
    if (auto kept = keep_new_key(target_, *result); !kept) return std::unexpected(kept.error());
  }
  return std::move(*result);
}

Outcome<std::optional<vmm::control::Client::Next>> Session::next(std::uint32_t id, std::chrono::milliseconds timeout) {
  auto next = client_.next(id, std::chrono::steady_clock::now() + timeout);
  if (next) return std::optional(std::move(*next));
  if (next.error().kind == vmm::control::ClientError::Kind::Timeout) return std::nullopt;
  return std::unexpected(failure_of(next.error(), target_, timeout));
}

Outcome<void> Session::cancel(std::uint32_t id) {
  if (const auto cancelled = client_.cancel(id, std::chrono::steady_clock::now() + timeout_); !cancelled) {
    return std::unexpected(failure_of(cancelled.error(), target_, timeout_));
  }
  return {};
}

Outcome<void> Session::keep_printed_key(const std::string& output) const {
  static constexpr std::string_view kBefore = "key: ";
  static constexpr std::size_t kDigits = 2 * abi::control::kKeyBytes;
  const std::size_t at = output.starts_with(kBefore) ? 0 : output.find("\n" + std::string(kBefore));
  if (at == std::string::npos) return {};
  json found = {{"key", output.substr(output.find(kBefore, at) + kBefore.size(), kDigits)}};
  return keep_new_key(target_, found);
}

Failure Session::wrong_reply(const std::string& what) const {
  return failure_of({.kind = vmm::control::ClientError::Kind::Protocol, .message = what}, target_, timeout_);
}

}  // namespace sisctl
