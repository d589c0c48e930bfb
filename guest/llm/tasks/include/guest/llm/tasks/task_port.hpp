// What a handle of a user task gives: one model of the LLM service, so many tokens a request, some rights.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "guest/llm/service/request.hpp"
#include "guest/llm/service/service.hpp"
#include "guest/process/task_llm.hpp"

namespace guest::llm {

class TaskPort final : public process::TaskLlm {
 public:
  /// `service` may be null: there is none, and every call is NoDevice. `grant.model` outlives this.
  TaskPort(Service* service, const process::LlmGrant& grant, const Caller& caller)
      : service_(service), grant_(grant), caller_(caller) {}

  [[nodiscard]] std::uint32_t max_prompt_bytes() const override;
  std::expected<std::uint64_t, process::Errno> submit(std::string_view prompt,
                                                      process::UserLlmRequest& request) override;
  process::Errno poll(std::uint64_t id, process::UserLlmAnswer& answer, std::span<char> text) override;
  process::Errno cancel(std::uint64_t id) override;
  void release(std::uint64_t id) override;
  void close() override;

 private:
  /// None, or why not.
  [[nodiscard]] process::Errno check(std::uint8_t right) const;

  Service* service_;
  process::LlmGrant grant_;
  Caller caller_;
  bool used_ = false;  ///< something was submitted, or tried to be
};

/// Opens ports, each of an owner of its own.
class TaskPorts final : public process::TaskLlmSource {
 public:
  /// `client_class`: that of tasks.
  TaskPorts(Service* service, std::uint32_t client_class) : service_(service), client_class_(client_class) {}
  std::unique_ptr<process::TaskLlm> open(const process::LlmGrant& grant) override;

 private:
  Service* service_;
  std::uint32_t client_class_;
  std::atomic<std::uint32_t> opened_{0};
};

}  // namespace guest::llm
