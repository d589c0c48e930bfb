// Requests to the LLM service: what is asked for, what comes out, what is said of it (docs/llm.md).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/llm/sampler/sampler.hpp"
#include "guest/llm/sampler/stop_words.hpp"
#include "guest/llm/tokenizer/tokenizer.hpp"

namespace guest::llm {

using RequestId = std::uint64_t;  ///< never used again; 0 is none
using SessionId = std::uint64_t;  ///< never used again; 0 is none
using OwnerId = std::uint64_t;    ///< a connection, a task, the shell: whoever closes it says so to the service

inline constexpr std::size_t kMaxModelId = 32;

/// Who asks.
struct Caller {
  OwnerId owner = 0;
  std::uint32_t client_class = 0;  ///< index into the service's classes
  // For the audit log:
  std::uint32_t token = 0;  ///< id of the token that it has; 0: none
  std::uint8_t rights = 0;  ///< abi::control::Rights
};

enum class KeepSession : std::uint8_t {
  No,
  New,  ///< the request's tokens stay in a new session
};

struct RequestOptions {
  static constexpr std::uint8_t kMaxPriority = 7;

  std::string_view model = {};  ///< the id that it was loaded by
  std::uint32_t max_tokens = 64;
  std::uint8_t priority = 3;  ///< the larger, the sooner
  SamplerOptions sampler = {};
  /// They end the answer and are not part of it.
  kernel::BoundedArray<std::string_view, StopWords::kMaxWords> stop_words = {};
  std::uint64_t deadline_ns = 0;  ///< after the submission; 0: none
  std::uint64_t max_cycles = 0;   ///< of the NPU's model; 0: any number
  SessionId session = 0;          ///< goes on behind what is in it; 0: at the beginning
  KeepSession keep = KeepSession::No;
  /// The answer matches it, or is one of `choices` (docs/models.md, Constraints); one of them at most. Empty: any text.
  std::string_view pattern = {};
  std::span<const std::string_view> choices = {};
  /// Who submits must not be kept for long: the service's worker looks at a prompt of more than kReadAtOnce bytes, a
  /// pattern or choices, before the request's first step. One that is impossible ends as StopReason::Refused.
  bool read_later = false;
};

/// Bytes of a prompt that are always made into tokens where it is submitted.
inline constexpr std::size_t kReadAtOnce = 512;

enum class RequestState : std::uint8_t { Queued, Running, Finished };
/// The trace has the numbers (docs/observation.md).
enum class StopReason : std::uint8_t {
  None,  ///< not finished
  End,   ///< the model said so
  Length,
  StopWord,
  Budget,
  Deadline,
  Cancelled,
  Failed,
  Refused,  ///< by the worker, which has read its prompt later (RequestOptions::read_later)
};
/// "queued", "running", "finished".
std::string_view to_string(RequestState state);
/// "none", "end", "length", "stop-word", "budget", "deadline", "cancelled", "failed", "refused".
std::string_view to_string(StopReason reason);
/// RequestStatus::error says which.
constexpr bool has_error(StopReason reason) { return reason == StopReason::Failed || reason == StopReason::Refused; }

/// A piece of an answer. A token has at least one, which may be without text: its text may wait until it is clear that
/// no stop word begins with it. Characters may be spread over pieces.
struct Chunk {
  static constexpr std::size_t kTextBytes = 48;
  static constexpr Token kNoToken = ~Token{0};

  std::uint64_t number = 0;  ///< of the request's chunks, from 0 on
  Token token = kNoToken;    ///< that begins here; kNoToken: more text of those before
  std::uint8_t size = 0;
  std::array<char, kTextBytes> bytes{};
  [[nodiscard]] std::string_view text() const { return {bytes.data(), size}; }
};

/// All times are of the kernel's clock; 0: not yet.
struct RequestStatus {
  RequestId id = 0;
  Caller caller;
  kernel::FixedText<kMaxModelId> model;
  RequestState state = RequestState::Queued;
  StopReason stop = StopReason::None;
  /// There will be no more chunks. Says nothing of whether somebody has read them.
  bool finished = false;
  /// All chunks that there are have been read. Says nothing of whether more will come.
  bool drained = false;
  std::uint8_t priority = 0;
  SessionId session = 0;
  std::uint32_t session_tokens = 0;  ///< that were in the session before
  std::uint32_t prompt_bytes = 0;
  std::uint32_t prompt_tokens = 0;  ///< 0: they are not known yet
  std::uint32_t max_tokens = 0;
  std::uint32_t tokens = 0;  ///< that came out
  std::uint64_t chunks = 0;  ///< that came out; the number of the next one
  std::uint64_t read = 0;    ///< of them: the number of the first that is kept
  std::uint64_t cycles = 0;  ///< of the NPU's model
  std::uint64_t submitted_ns = 0;
  std::uint64_t started_ns = 0;  ///< its first step
  std::uint64_t first_token_ns = 0;
  std::uint64_t last_token_ns = 0;
  std::uint64_t finished_ns = 0;
  std::uint64_t worst_gap_ns = 0;  ///< between two tokens; that a reader was slow counts
  std::uint64_t due_ns = 0;        ///< deadline; 0: none
  kernel::NamedError error;        ///< of StopReason::Failed and Refused

  /// From the submission on; 0: there is no token.
  [[nodiscard]] std::uint64_t time_to_first_token_ns() const {
    return first_token_ns == 0 ? 0 : first_token_ns - submitted_ns;
  }
  /// Of the tokens after the first one, in thousandths; 0: there are fewer than two.
  [[nodiscard]] std::uint64_t milli_tokens_per_second() const {
    const std::uint64_t ns = last_token_ns - first_token_ns;
    return tokens < 2 || ns == 0 ? 0 : (tokens - 1) * std::uint64_t{1'000'000'000'000} / ns;
  }
};

/// Why something was not taken.
struct Refusal {
  kernel::NamedError error;
  std::uint64_t fits_at_ns = 0;  ///< it would then, if nobody else comes before; 0: nobody knows, or never
};

}  // namespace guest::llm
