// A shell line of a control request.
#pragma once

#include <expected>
#include <memory>
#include <string_view>

#include "guest/shell/shell.hpp"

namespace guest::shell {

/// Text kept on the heap, up to a limit.
class CapturedText final : public kernel::TextOutput {
 public:
  /// What does not fit is dropped, and failure() says so.
  void write(std::string_view text) override;
  [[nodiscard]] std::string_view view() const;
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  control::Buffer text_;
  bool failed_ = false;
};

/// Owns itself while the line is suspended.
class RequestRun final : public control::Operation, private LineRun::Owner {
 public:
  struct Context {
    control::Services& services;
    ResultMemory& memory;
    const security::Principal& who;
  };
  static std::expected<control::Handled, control::Refusal> run(const Context& context, std::string_view line,
                                                               control::Caller& caller, control::ResultMap& result);
  ~RequestRun() = default;

 private:
  RequestRun(const Context& context, control::Caller& caller)
      : memory_(context.memory), caller_(caller), run_(context.services, context.memory, *this) {}
  void cancel() override { delete this; }
  void on_finished(LineRun& run) override;
  [[nodiscard]] control::Refusal refusal() const;

  ResultMemory& memory_;
  control::Caller& caller_;
  CapturedText output_;
  LineRun run_;
};

}  // namespace guest::shell
