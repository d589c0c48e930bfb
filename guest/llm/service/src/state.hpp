// What the service knows of models, requests and sessions. Under its lock; what the worker alone touches while it has
// a turn is marked.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "chunk_ring.hpp"
#include "guest/gguf/file.hpp"
#include "guest/llm/constraint/constraint.hpp"
#include "guest/llm/constraint/token_texts.hpp"
#include "guest/llm/model/model.hpp"
#include "guest/llm/model/sequence.hpp"
#include "guest/llm/model/step.hpp"
#include "guest/llm/sampler/sampler.hpp"
#include "guest/llm/sampler/stop_words.hpp"
#include "guest/llm/service/request.hpp"
#include "guest/llm/tokenizer/tokenizer.hpp"
#include "prompt_text.hpp"

namespace guest::llm {

/// Bytes of text that one token can set free: its own, and what had to wait for it.
inline constexpr std::size_t kMaxTokenText = Vocabulary::kMaxTokenBytes + StopWords::kMaxWordBytes;
/// Chunks that must be free before a turn: those of a token, and two for what waits when the request ends after it.
inline constexpr std::uint32_t kTurnRoom = kMaxTokenText / Chunk::kTextBytes + 5;
static_assert(kTurnRoom <= 32, "the shortest ring has no room for a turn");

struct LoadedModel {
  enum class State : std::uint8_t { Free, Changing, Ready };

  State state = State::Free;
  kernel::FixedText<kMaxModelId> id;
  std::uint32_t users = 0;  ///< requests that are not finished, and submissions on their way
  // Whoever changes it, then constant; the step and the candidates are the worker's.
  std::span<std::byte> file;
  std::uint32_t region = abi::npu::kNoRegion;
  std::optional<gguf::File> gguf;
  std::optional<Tokenizer> tokenizer;
  std::optional<TokenTexts> texts;
  std::optional<Model> model;
  std::unique_ptr<Step> step;
  std::unique_ptr<numeric::Candidate[]> candidates;
};

/// Tokens that stay after a request.
struct SessionSlot {
  enum class State : std::uint8_t {
    Free,
    Open,
    Closing,  ///< nobody finds it any more; the worker frees its memory
  };

  State state = State::Free;
  bool close_when_idle = false;
  SessionId id = 0;
  OwnerId owner = 0;
  const LoadedModel* model = nullptr;
  RequestId request = 0;  ///< that uses it; 0: none
  std::uint64_t bytes = 0;
  std::uint64_t last_used = 0;         ///< turn
  std::unique_ptr<Sequence> sequence;  ///< of the worker while a request uses it
  std::optional<Token> tail;           ///< said, but not in the sequence yet

  [[nodiscard]] std::uint32_t tokens() const {
    return (sequence == nullptr ? 0 : sequence->size()) + (tail.has_value() ? 1 : 0);
  }
};

struct RequestSlot {
  RequestStatus status;  ///< id 0: free
  std::array<std::uint8_t, 32> prompt_sha256{};
  LoadedModel* model = nullptr;  ///< until it has finished
  SessionSlot* session = nullptr;
  ChunkRing chunks;
  bool cancelled = false;
  bool released = false;  ///< nobody finds it any more
  bool in_turn = false;
  bool end_is_known = false;  ///< its owner has been told
  std::uint64_t last_turn = 0;
  std::uint64_t budget_end = 0;  ///< period with which its reservations end
  std::uint64_t max_cycles = 0;

  /// What the worker has to read before the first step, instead of `prompt` and `constraint`.
  std::unique_ptr<KeptPromptText> unread;

  // Of the worker from its first turn on.
  std::unique_ptr<Token[]> prompt;
  std::uint32_t prompt_size = 0;  ///< a session's tail included
  std::uint32_t fed = 0;          ///< of them
  std::uint32_t sequence_before = 0;
  std::optional<Token> last;  ///< said, and not fed
  bool said_something = false;
  std::optional<Token> chosen;  ///< by the turn that runs, as the next two are of it
  std::uint64_t turn_cycles = 0;
  std::uint32_t turn_prompt = 0;
  std::optional<Sampler> sampler;
  StopWords stop_words;
  std::unique_ptr<Constraint> constraint;  ///< null: any text
  std::unique_ptr<Sequence> own_sequence;

  [[nodiscard]] bool is_free() const { return status.id == 0 && own_sequence == nullptr; }
  [[nodiscard]] bool is_unfinished() const { return status.id != 0 && status.state != RequestState::Finished; }
  [[nodiscard]] bool has_sequence() const { return (session == nullptr ? own_sequence : session->sequence) != nullptr; }
  [[nodiscard]] std::unique_ptr<Sequence>& sequence() { return session == nullptr ? own_sequence : session->sequence; }
};

/// Of the kernel's clock.
std::uint64_t service_now_ns();

}  // namespace guest::llm
