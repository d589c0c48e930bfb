#include "guest/llm/tasks/task_port.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <new>

#include "abi/control.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/llm/service/owner.hpp"

namespace guest::llm {
namespace {

using abi::control::Rights;
using process::Errno;

constexpr std::uint8_t kSubmit = static_cast<std::uint8_t>(Rights::Submit);
constexpr std::uint8_t kObserve = static_cast<std::uint8_t>(Rights::Observe);

/// An error of the service as a number. What is not here is a wrong option.
Errno errno_of(std::string_view name) {
  struct Known {
    std::string_view name;
    Errno number;
  };
  static constexpr Known kKnown[] = {
      {"llm-no-request", Errno::NotFound},       {"llm-no-model", Errno::NoDevice},
      {"llm-over-budget", Errno::OverQuota},     {"llm-never-fits", Errno::OverQuota},
      {"llm-queue-full", Errno::TryAgain},       {"llm-too-many-requests", Errno::TryAgain},
      {"llm-prompt-too-large", Errno::TooLarge}, {"llm-prompt-too-long", Errno::TooLarge},
      {"llm-no-memory", Errno::NoMemory},
  };
  const auto* const found = std::ranges::find(kKnown, name, &Known::name);
  return found == std::end(kKnown) ? Errno::Invalid : found->number;
}

/// As much of `chunks` as fits `text`, whole chunks. Returns how many, and adds to `bytes`.
std::size_t copy_chunks(std::span<const Chunk> chunks, std::span<char> text, std::uint32_t& bytes) {
  std::size_t taken = 0;
  for (const Chunk& chunk : chunks) {
    if (chunk.size > text.size() - bytes) {
      break;
    }
    std::ranges::copy(chunk.text(), text.begin() + bytes);
    bytes += chunk.size;
    ++taken;
  }
  return taken;
}

}  // namespace

Errno TaskPort::check(std::uint8_t right) const {
  if (service_ == nullptr) {
    return Errno::NoDevice;
  }
  return (grant_.rights & right) != 0 ? Errno::None : Errno::NoRight;
}

std::uint32_t TaskPort::max_prompt_bytes() const { return service_ == nullptr ? 0 : service_->options().prompt_bytes; }

std::expected<std::uint64_t, Errno> TaskPort::submit(std::string_view prompt, process::UserLlmRequest& request) {
  if (const Errno problem = check(kSubmit); problem != Errno::None) {
    return std::unexpected(problem);
  }
  if (request.max_tokens > grant_.max_tokens) {
    return std::unexpected(Errno::OverQuota);
  }
  RequestOptions options{.model = grant_.model,
                         .max_tokens = request.max_tokens == 0 ? grant_.max_tokens : request.max_tokens,
                         .deadline_ns = request.deadline_ns};
  options.sampler.rules.temperature_milli = request.temperature_milli;
  options.sampler.seed = request.seed;
  used_ = true;
  const auto id = service_->submit(caller_, prompt, options);
  if (!id) {
    request.fits_at_ns = id.error().fits_at_ns;
    return std::unexpected(errno_of(id.error().error.name));
  }
  return *id;
}

Errno TaskPort::poll(std::uint64_t id, process::UserLlmAnswer& answer, std::span<char> text) {
  if (const Errno problem = check(kObserve); problem != Errno::None) {
    return problem;
  }
  if (answer.wait_ns != 0) {
    const std::uint64_t now = threads::dispatcher().timers().clock().now_ns();
    const std::uint64_t until = answer.wait_ns > threads::kForever - now ? threads::kForever : now + answer.wait_ns;
    if (const auto waited = service_->wait(caller_.owner, id, answer.from, until); !waited) {
      return errno_of(waited.error().name);
    }
  }
  const auto status = service_->poll(caller_.owner, id);
  if (!status) {
    return errno_of(status.error().name);
  }
  // Twice the chunks of 48 bytes that fit: a token may have no text.
  std::array<Chunk, 16> chunks;
  answer.text_bytes = 0;
  const auto count = service_->read(caller_.owner, id, answer.from, chunks);
  if (!count) {
    return errno_of(count.error().name);
  }
  answer.from += copy_chunks(std::span(chunks).first(*count), text, answer.text_bytes);
  answer.state = static_cast<std::uint32_t>(status->state);
  answer.reason = static_cast<std::uint32_t>(status->stop);
  answer.tokens = status->tokens;
  answer.last = status->finished && answer.from == status->chunks ? 1 : 0;
  answer.reserved_too = 0;
  answer.submitted_ns = status->submitted_ns;
  answer.began_ns = status->started_ns;
  answer.first_token_ns = status->first_token_ns;
  answer.ended_ns = status->finished_ns;
  return Errno::None;
}

Errno TaskPort::cancel(std::uint64_t id) {
  if (const Errno problem = check(kSubmit); problem != Errno::None) {
    return problem;
  }
  const auto cancelled = service_->cancel(caller_, id);
  return cancelled ? Errno::None : errno_of(cancelled.error().name);
}

void TaskPort::release(std::uint64_t id) { (void)service_->release(caller_, id); }

void TaskPort::close() {
  if (service_ != nullptr && used_) {
    service_->close(caller_);
  }
}

std::unique_ptr<process::TaskLlm> TaskPorts::open(const process::LlmGrant& grant) {
  const std::uint32_t number = opened_.fetch_add(1, std::memory_order_relaxed) + 1;  // only a name
  return std::unique_ptr<process::TaskLlm>(new (std::nothrow) TaskPort(
      service_, grant,
      {.owner = owner_id(OwnerKind::Task, number), .client_class = client_class_, .token = 0, .rights = grant.rights}));
}

}  // namespace guest::llm
