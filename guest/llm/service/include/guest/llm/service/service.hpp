// The kernel's LLM service: models, requests to them, and one thread that runs a token at a time of whichever request's
// turn it is (docs/llm.md).
//
//   submit() --> Queued --(a place in flight)--> Running --(turns, one token each)--> Finished --> release()
//                  |                                |  tokens as chunks, until so many are unread     or evicted,
//                  +---- cancel(), close(), deadline, budget: at the next turn --------^              once drained
//
// Turns go to the running request with the highest priority, of equal ones to the one whose last turn was first. A
// request whose reader is slow has no turn until some chunks are read; the others have theirs.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/named_error.hpp"
#include "guest/kernel/threads/condition.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/kernel/work.hpp"
#include "guest/llm/service/audit.hpp"
#include "guest/llm/service/options.hpp"
#include "guest/llm/service/request.hpp"
#include "guest/llm/service/statistics.hpp"
#include "guest/llm/service/token_budget.hpp"
#include "guest/npu/npu.hpp"

namespace guest::llm {

struct LoadedModel;
struct ReadPrompt;
struct RequestSlot;
struct SessionSlot;

struct ModelStatus {
  kernel::FixedText<kMaxModelId> id;
  std::uint32_t number = 0;  ///< its place: stays as long as it is loaded
  std::uint64_t file_bytes = 0;
  std::uint64_t step_bytes = 0;  ///< memory of its steps
  std::uint32_t context = 0;
  std::uint32_t vocabulary = 0;
  std::uint32_t requests = 0;  ///< not finished
  std::uint32_t sessions = 0;
};

struct BudgetStatus {
  std::uint64_t limit = 0;  ///< tokens in a period; 0: any number
  std::uint64_t used = 0;
  std::uint64_t reserved = 0;
};

/// Of the NPU's model.
struct CycleStatus {
  std::uint64_t limit = 0;  ///< in a period; 0: any number
  std::uint64_t used = 0;   ///< more than the limit: of the periods that follow
};

/// Limits that are to be others; what is absent stays.
struct NewBudget {
  std::optional<std::uint32_t> client_class = {};  ///< of it, below options().classes.size(); else of the service
  std::optional<std::uint64_t> tokens_per_period = {};
  std::optional<std::uint64_t> cycles_per_period = {};  ///< of the service only
};

/// All calls in threads, at any time, except where it is said. A call holds the service's lock for as long as it needs
/// to copy what it is given or gives; only load() and unload() wait for the NPU.
class Service {
 public:
  /// `npu` and `audit` outlive it; `changed`, which may be null, is raised when chunks or an end have come. Errors:
  /// those of check(), llm-no-memory.
  static std::expected<std::unique_ptr<Service>, kernel::NamedError> make(npu::Npu& npu, const ServiceOptions& options,
                                                                          Audit& audit,
                                                                          kernel::WorkItem* changed = nullptr);
  /// The worker has been stopped, and nobody calls any more.
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // ---- The worker

  /// Starts the thread, on the budget of `options.server` if there is one. Once. NoMemory, OutOfRange: spawn()'s.
  kernel::Status start(const threads::ThreadOptions& options);
  /// Ends the thread, within a step, and waits for that. Requests stay as they are.
  void stop();

  // ---- Models

  /// Reads `file`, a GGUF file in the kernel's memory, which stays and is not changed until it is unloaded. Errors: of
  /// gguf, the tokenizer, the model and the NPU;
  ///   llm-bad-model-id      empty, too long, or not of [A-Za-z0-9._-]
  ///   llm-model-exists      one is loaded by this id
  ///   llm-too-many-models   how many there may be
  ///   llm-bad-vocabulary    the tokenizer has more tokens than the model
  kernel::Outcome load(const Caller& caller, std::string_view id, std::span<std::byte> file);
  /// Tells the audit log of a model that was refused before load() was asked for it.
  void audit_refused_load(const Caller& caller, std::string_view id, const kernel::NamedError& why);
  /// llm-no-model; llm-model-in-use: by how many requests and sessions.
  kernel::Outcome unload(const Caller& caller, std::string_view id);
  /// The models, as many as fit. Returns how many there are.
  std::size_t models(std::span<ModelStatus> out);

  // ---- Requests

  /// Takes a request, or refuses it. The calling thread looks at its text, unless `options.read_later`: tokenizer-...,
  /// llm-prompt-too-long, llm-empty-prompt and the errors of patterns and choices may then end it, as
  /// StopReason::Refused. Errors: sampler-bad-option, llm-bad-stop-word, tokenizer-..., llm-bad-pattern,
  /// llm-bad-choice, llm-constraint-too-large;
  ///   llm-bad-option          which, what was given, what is allowed
  ///   llm-no-model            there is none of this id
  ///   llm-prompt-too-large    bytes
  ///   llm-prompt-too-long     tokens, as they were counted, and how much room there is
  ///   llm-empty-prompt        no token at all
  ///   llm-no-session          none of this owner by this id: closed, evicted, or never made
  ///   llm-session-busy        a request of it has not finished
  ///   llm-bad-session         it is another model's
  ///   llm-too-many-sessions   all are in use; or llm-session-memory: there is no room for its sequence
  ///   llm-too-many-requests   of this owner
  ///   llm-queue-full          as many wait as may, or all places are taken by results that nobody has read
  ///   llm-over-budget         fits_at_ns says when it would fit
  ///   llm-never-fits          more tokens than a whole period has
  ///   llm-no-memory
  std::expected<RequestId, Refusal> submit(const Caller& caller, std::string_view prompt,
                                           const RequestOptions& options);

  // Of the owner's requests. Error of all: llm-no-request.

  /// A result whose end has been told here, and whose chunks have been read, may be forgotten when places are needed:
  /// the one that ended first before the others.
  std::expected<RequestStatus, kernel::NamedError> poll(OwnerId owner, RequestId id);
  /// Chunks from number `from` on, as many as there are and fit. Those before it have been read, and are forgotten.
  /// Returns how many. Error: llm-bad-chunk: it has been forgotten, or is beyond the next one.
  std::expected<std::size_t, kernel::NamedError> read(OwnerId owner, RequestId id, std::uint64_t from,
                                                      std::span<Chunk> out);
  /// Waits until there is a chunk `from`, or the request has finished, or until `until_ns` of the clock. Chunks before
  /// it have been read, as for read().
  std::expected<threads::WaitResult, kernel::NamedError> wait(OwnerId owner, RequestId id, std::uint64_t from,
                                                              std::uint64_t until_ns = threads::kForever);
  /// A queued one has finished when this returns, a running one does within a step. Of a finished one: nothing.
  kernel::Outcome cancel(const Caller& caller, RequestId id);
  /// It is forgotten; one that has not finished is cancelled.
  kernel::Outcome release(const Caller& caller, RequestId id);
  /// The owner's newest request that is not released; 0: it has none.
  RequestId latest(OwnerId owner);
  /// The owner's requests that are not released, or with 0 everybody's, as many as fit, the oldest first. Returns how
  /// many there are.
  std::size_t list(OwnerId owner, std::span<RequestStatus> out);

  /// llm-no-session, llm-session-busy.
  kernel::Outcome close_session(OwnerId owner, SessionId id);
  /// The owner is gone: its requests are cancelled and released, its sessions closed. Nobody submits for it any more.
  void close(const Caller& caller);

  // ---- What can be said of it

  /// As it was made with. Budgets may be others by now.
  [[nodiscard]] const ServiceOptions& options() const { return options_; }
  StatisticsSnapshot statistics();
  /// Readers anywhere, at any time.
  [[nodiscard]] const Timings& timings() const { return timings_; }
  /// Of the whole service.
  BudgetStatus budget();
  /// Below options().classes.size().
  BudgetStatus class_budget(std::uint32_t client_class);
  CycleStatus cycles();
  /// From now on; what requests were promised stays so. Error: llm-bad-option.
  kernel::Outcome set_budget(const NewBudget& budget);

 private:
  struct Submission;

  Service(npu::Npu& npu, const ServiceOptions& options, Audit& audit, kernel::WorkItem* changed);
  bool allocate();
  /// Twice as many as may be open: the others wait for the worker to free their memory.
  [[nodiscard]] std::uint32_t session_slots() const { return 2 * options_.sessions; }
  std::span<LoadedModel> all_models();
  std::span<RequestSlot> all_requests();
  [[nodiscard]] std::span<const RequestSlot> all_requests() const;
  std::span<SessionSlot> all_sessions();

  // Without the lock.
  [[nodiscard]] kernel::Outcome check_options(const Caller& caller, std::string_view prompt,
                                              const RequestOptions& options) const;
  kernel::Outcome prepare(Submission& submission, std::string_view prompt) const;

  // All that follows under the lock, but for what a turn does in between. Models:
  LoadedModel* find_model(std::string_view id);
  std::expected<LoadedModel*, kernel::NamedError> require_model(std::string_view id);
  std::expected<LoadedModel*, kernel::NamedError> take_model_place(std::string_view id);

  // Submissions (submit.cpp).
  std::expected<RequestId, Refusal> admit(Submission& submission);
  static kernel::Outcome check_prompt_fits(const LoadedModel& model, std::uint32_t tokens, const SessionSlot* session);
  kernel::Outcome check_room(const Submission& submission) const;
  std::optional<Refusal> check_budget(const Submission& submission, std::uint64_t now_ns);
  RequestSlot* take_slot();
  void place(RequestSlot& slot, Submission& submission, SessionSlot* session, std::uint64_t now_ns);
  static void take_prompt(RequestSlot& slot, ReadPrompt read);
  void audit_refusal(const Submission& submission, const Refusal& refusal);

  // Requests (requests.cpp).
  RequestSlot* find_request(OwnerId owner, RequestId id);
  std::expected<RequestSlot*, kernel::NamedError> require_request(OwnerId owner, RequestId id);
  void forget_chunks(RequestSlot& slot, std::uint64_t from);
  void cancel_slot(RequestSlot& slot);
  void release_slot(RequestSlot& slot);
  void end_request(RequestSlot& slot, StopReason reason);
  void free_request(RequestSlot& slot);
  void audit_request(const RequestSlot& slot, AuditOperation operation);
  [[nodiscard]] std::uint32_t count(RequestState state) const;

  // Sessions (sessions.cpp).
  SessionSlot* find_session(OwnerId owner, SessionId id);
  std::expected<SessionSlot*, kernel::NamedError> require_idle_session(OwnerId owner, SessionId id);
  std::expected<SessionSlot*, kernel::NamedError> require_session(const Submission& submission);
  std::expected<SessionSlot*, kernel::NamedError> make_session(const Submission& submission);
  std::uint32_t sessions_of(const LoadedModel& model);
  std::uint32_t open_sessions();
  std::uint64_t open_session_bytes();
  bool evict_session();
  void end_session(SessionSlot& session);
  void enter_session(RequestSlot& slot, SessionSlot& session);
  void leave_session(RequestSlot& slot);

  // The worker (worker.cpp).
  static void run_worker(void* service);
  void work();
  std::uint64_t expire(std::uint64_t now_ns);
  [[nodiscard]] std::uint64_t budget_end_ns(const RequestSlot& slot) const;
  std::uint64_t cycles_again_at(std::uint64_t now_ns);
  [[nodiscard]] std::uint32_t in_flight(std::optional<std::uint32_t> client_class) const;
  void promote();
  RequestSlot* choose();
  bool reap();
  void run_turn(RequestSlot& slot);
  void read_unread(RequestSlot& slot);
  kernel::Outcome make_sequence(RequestSlot& slot);
  kernel::Outcome run_step(RequestSlot& slot);
  std::optional<StopReason> reason_of(const RequestSlot& slot, const kernel::NamedError& error);
  void finish_turn(RequestSlot& slot, const kernel::Outcome& outcome);
  bool use_token(const RequestSlot& slot, std::uint64_t now_ns);
  void deliver(RequestSlot& slot, std::uint64_t now_ns);
  void note_time(RequestSlot& slot, std::uint64_t now_ns);
  void say_changed();

  npu::Npu& npu_;
  const ServiceOptions options_;
  Audit& audit_;
  kernel::WorkItem* changed_;

  threads::Mutex mutex_;         ///< of everything below
  threads::Condition work_;      ///< for the worker
  threads::Condition progress_;  ///< for who waits for chunks
  threads::ThreadRef worker_;
  std::unique_ptr<LoadedModel[]> models_;
  std::unique_ptr<RequestSlot[]> requests_;
  std::unique_ptr<SessionSlot[]> sessions_;
  RequestId last_request_ = 0;
  SessionId last_session_ = 0;
  std::uint64_t turns_ = 0;
  TokenBudget budget_;
  std::array<TokenBudget, ServiceOptions::kMaxClasses> class_budgets_;
  std::uint64_t cycle_limit_ = 0;
  std::uint64_t cycle_period_ = 0;
  std::uint64_t cycles_used_ = 0;  ///< beyond the limit: of the next periods
  StatisticsSnapshot totals_;
  Timings timings_;
};

}  // namespace guest::llm
