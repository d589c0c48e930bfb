// The LLM service as a user task reaches it: through a handle that its scenario gave it (docs/user-tasks.md, Models).
//
//   svc --> llm_call() copies what the task points to, once --> TaskLlm checks rights and limits --> llm::Service
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

#include "guest/process/errno.hpp"

namespace guest::process {

class TaskServices;

/// struct sis_llm_request of guest/user/include/sis/llm.h.
struct UserLlmRequest {
  std::uint64_t prompt;             ///< address of its text
  std::uint64_t deadline_ns;        ///< after the submission; 0: none
  std::uint64_t seed;               ///< of the sampler
  std::uint64_t fits_at_ns;         ///< written: when what is over the budget would fit; 0: nobody knows, or never
  std::uint32_t prompt_bytes;       ///< length of the text
  std::uint32_t max_tokens;         ///< at most the handle's; 0: those
  std::uint32_t temperature_milli;  ///< thousandths; 0: always the likeliest token
  std::uint32_t reserved;           ///< 0
};
static_assert(sizeof(UserLlmRequest) == 48 && std::is_trivially_copyable_v<UserLlmRequest>);

/// struct sis_llm_answer of guest/user/include/sis/llm.h.
struct UserLlmAnswer {
  // Read:
  std::uint64_t text;       ///< address of room for the answer's text
  std::uint64_t wait_ns;    ///< wait so long for more of it; 0: not at all
  std::uint32_t text_room;  ///< bytes; 0, or room for a chunk
  std::uint32_t reserved;   ///< 0
  // Read and written:
  std::uint64_t from;  ///< number of the next chunk; those before it are forgotten
  // Written:
  std::uint32_t text_bytes;
  std::uint32_t state;   ///< 0 queued, 1 running, 2 finished
  std::uint32_t reason;  ///< of one that has finished: llm::StopReason
  std::uint32_t tokens;  ///< that came out
  std::uint32_t last;    ///< 1: there is no more; the request is forgotten
  std::uint32_t reserved_too;
  std::uint64_t submitted_ns;  ///< times since reset; 0: not yet
  std::uint64_t began_ns;
  std::uint64_t first_token_ns;
  std::uint64_t ended_ns;
};
static_assert(sizeof(UserLlmAnswer) == 88 && std::is_trivially_copyable_v<UserLlmAnswer>);

/// What one handle gives. All calls in the task's own thread.
class TaskLlm {
 public:
  /// The smallest room for text, if there is any: a chunk is not divided.
  static constexpr std::uint32_t kMinTextRoom = 48;

  virtual ~TaskLlm() = default;
  /// No prompt may be longer.
  [[nodiscard]] virtual std::uint32_t max_prompt_bytes() const = 0;
  /// The request's id, at least 1. Writes `request.fits_at_ns`. Errors: NoRight, NoModel, OverQuota, Busy, TooLarge,
  /// NoMemory, Invalid.
  virtual std::expected<std::uint64_t, Errno> submit(std::string_view prompt, UserLlmRequest& request) = 0;
  /// Waits, then fills in what is written of `answer`, and as much of `text`, a chunk at a time. What `from` was stays
  /// readable until the next call. Errors: NoRight, NotFound, Invalid: there is no such chunk.
  virtual Errno poll(std::uint64_t id, UserLlmAnswer& answer, std::span<char> text) = 0;
  /// Errors: NoRight, NotFound.
  virtual Errno cancel(std::uint64_t id) = 0;
  /// The task has all of this request.
  virtual void release(std::uint64_t id) = 0;
  /// The task ends: cancels and forgets all its requests.
  virtual void close() = 0;

 protected:
  TaskLlm() = default;
  TaskLlm(const TaskLlm&) = delete;
  TaskLlm& operator=(const TaskLlm&) = delete;
};

/// What a scenario gives with a handle.
struct LlmGrant {
  std::string_view model;        ///< id; outlives the task
  std::uint32_t max_tokens = 0;  ///< of a request
  std::uint8_t rights = 0;       ///< abi::control::Rights: SUBMIT to submit and cancel, OBSERVE to poll
};

class TaskLlmSource {
 public:
  /// For a task that is being loaded. Null: no memory.
  virtual std::unique_ptr<TaskLlm> open(const LlmGrant& grant) = 0;

 protected:
  ~TaskLlmSource() = default;
};

/// What goes to x0, as of system_call().
std::uint64_t llm_submit(std::uint64_t handle, std::uint64_t request, TaskServices& task);
std::uint64_t llm_poll(std::uint64_t handle, std::uint64_t id, std::uint64_t answer, TaskServices& task);
std::uint64_t llm_cancel(std::uint64_t handle, std::uint64_t id, TaskServices& task);

}  // namespace guest::process
