// Which requests are taken.
#include <sodium/crypto_hash_sha256.h>

#include <algorithm>
#include <new>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/trace.hpp"
#include "guest/llm/service/service.hpp"
#include "submission.hpp"

namespace guest::llm {

using kernel::Outcome;
using threads::MutexGuard;

namespace {

std::array<std::uint8_t, 32> sha256(std::string_view text) {
  std::array<std::uint8_t, 32> hash{};
  static_assert(crypto_hash_sha256_BYTES == hash.size());
  // Bytes are bytes.
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  return hash;
}

/// Too long for who must not be kept.
bool is_long(const RequestOptions& options, std::string_view prompt) {
  // With too many choices it is refused at once.
  return options.choices.size() <= Automaton::kMaxChoices &&
         (prompt.size() > kReadAtOnce || !options.pattern.empty() || !options.choices.empty());
}

}  // namespace

Outcome Service::check_options(const Caller& caller, std::string_view prompt, const RequestOptions& options) const {
  const std::size_t classes = std::max<std::size_t>(options_.classes.size(), 1);
  if (caller.client_class >= classes) {
    return kernel::fail("llm-bad-option", "client class {}, expected one below {}", caller.client_class, classes);
  }
  if (options.max_tokens == 0) {
    return kernel::fail("llm-bad-option", "max-tokens 0, expected at least 1");
  }
  if (options.priority > RequestOptions::kMaxPriority) {
    return kernel::fail("llm-bad-option", "priority {}, expected at most {}", options.priority,
                        RequestOptions::kMaxPriority);
  }
  if (options.session != 0 && options.keep == KeepSession::New) {
    return kernel::fail("llm-bad-option", "session {} and a new one, expected one of them", options.session);
  }
  if (!options.pattern.empty() && !options.choices.empty()) {
    return kernel::fail("llm-bad-option", "a pattern and {} choices, expected one of them", options.choices.size());
  }
  if (prompt.size() > options_.prompt_bytes) {
    return kernel::fail("llm-prompt-too-large", "{} bytes, expected at most {}", prompt.size(), options_.prompt_bytes);
  }
  return Sampler::check(options.sampler);
}

/// The tokens of the prompt, unless they are for the worker to find, and all else that needs memory. Without the lock.
Outcome Service::prepare(Submission& submission, std::string_view prompt) const {
  const RequestOptions& options = submission.options;
  for (const std::string_view word : options.stop_words) {
    if (Outcome added = submission.stop_words.add(word); !added) {
      return added;
    }
  }
  const auto no_memory = [&] {
    return kernel::fail("llm-no-memory", "no memory for a request of {} bytes", prompt.size());
  };
  if (!submission.chunks.allocate(options_.stream_chunks)) {
    return no_memory();
  }
  // What goes on in a session is no beginning of a text.
  const PromptText text{
      .prompt = prompt, .pattern = options.pattern, .choices = options.choices, .begins = options.session == 0};
  if (options.read_later && is_long(options, prompt)) {
    submission.unread = KeptPromptText::copy(text);
    return submission.unread == nullptr ? no_memory() : Outcome();
  }
  auto read = read_prompt(*submission.model, text);
  if (!read) {
    return std::unexpected(read.error());
  }
  submission.read = std::move(*read);
  return {};
}

std::expected<RequestId, Refusal> Service::submit(const Caller& caller, std::string_view prompt,
                                                  const RequestOptions& options) {
  Submission submission{.caller = caller, .options = options, .read = {}, .unread = {}, .stop_words = {}, .chunks = {}};
  submission.prompt_bytes = static_cast<std::uint32_t>(std::min<std::size_t>(prompt.size(), UINT32_MAX));
  submission.prompt_sha256 = sha256(prompt);
  Outcome outcome = check_options(caller, prompt, options);
  if (outcome) {
    const MutexGuard guard(mutex_);
    if (const auto model = require_model(options.model); model) {
      submission.model = *model;
      ++submission.model->users;
    } else {
      outcome = std::unexpected(model.error());
    }
  }
  if (outcome) {
    outcome = prepare(submission, prompt);
  }
  const MutexGuard guard(mutex_);
  std::expected<RequestId, Refusal> taken =
      outcome ? admit(submission) : std::unexpected(Refusal{.error = outcome.error()});
  if (!taken) {
    ++totals_.rejects;
    if (submission.model != nullptr) {
      --submission.model->users;
    }
    audit_refusal(submission, taken.error());
  }
  return taken;
}

std::expected<RequestId, Refusal> Service::admit(Submission& submission) {
  const auto refuse = [](const kernel::NamedError& error) { return std::unexpected(Refusal{.error = error}); };
  const std::uint64_t now = service_now_ns();
  expire(now);
  SessionSlot* session = nullptr;
  if (submission.options.session != 0) {
    const auto found = require_session(submission);
    if (!found) {
      return refuse(found.error());
    }
    session = *found;
  }
  if (submission.unread == nullptr) {
    if (const Outcome fits = check_prompt_fits(*submission.model, submission.read.count, session); !fits) {
      return refuse(fits.error());
    }
  }
  if (const Outcome room = check_room(submission); !room) {
    return refuse(room.error());
  }
  if (const auto refused = check_budget(submission, now)) {
    return std::unexpected(*refused);
  }
  // Last, since it may end another one.
  if (submission.options.keep == KeepSession::New) {
    const auto made = make_session(submission);
    if (!made) {
      return refuse(made.error());
    }
    session = *made;
  }
  RequestSlot* const slot = take_slot();
  kernel::require(slot != nullptr, "a place for a request is gone");
  place(*slot, submission, session, now);
  return slot->status.id;
}

Outcome Service::check_prompt_fits(const LoadedModel& model, std::uint32_t tokens, const SessionSlot* session) {
  const std::uint32_t context = model.model->shape().context;
  const std::uint32_t taken = session == nullptr ? 0 : session->tokens();
  const std::uint32_t room = taken < context ? context - taken : 0;
  return tokens <= room ? Outcome() : prompt_too_long(tokens, room, context);
}

/// A result that may be forgotten for another request: all of it has been read, and its owner knows that that is all.
static bool is_evictable(const RequestSlot& slot) {
  return slot.status.id != 0 && slot.status.state == RequestState::Finished && slot.end_is_known &&
         slot.own_sequence == nullptr && slot.chunks.first() == slot.chunks.next();
}

Outcome Service::check_room(const Submission& submission) const {
  const auto own = std::ranges::count_if(all_requests(), [&](const RequestSlot& slot) {
    return slot.status.id != 0 && slot.status.caller.owner == submission.caller.owner && !is_evictable(slot);
  });
  if (static_cast<std::uint32_t>(own) >= options_.requests_per_owner) {
    return kernel::fail("llm-too-many-requests", "{} requests that have not ended or are not read, expected at most {}",
                        own, options_.requests_per_owner);
  }
  if (const std::uint32_t queued = count(RequestState::Queued); queued >= options_.queue) {
    return kernel::fail("llm-queue-full", "{} requests wait, which is as many as may", queued);
  }
  const auto has_place = [](const RequestSlot& slot) { return slot.is_free() || is_evictable(slot); };
  if (std::ranges::none_of(all_requests(), has_place)) {
    return kernel::fail("llm-queue-full", "all {} places have requests that have not ended or are not read",
                        options_.requests);
  }
  return {};
}

std::optional<Refusal> Service::check_budget(const Submission& submission, std::uint64_t now_ns) {
  const std::uint32_t tokens = submission.options.max_tokens;
  std::optional<Refusal> refusal;
  for (TokenBudget* budget : {&budget_, &class_budgets_[submission.caller.client_class]}) {
    const auto refused = budget->check(now_ns, tokens);
    if (!refused) {
      continue;
    }
    if (refused->fits_at_ns == 0) {
      return Refusal{
          .error = kernel::fail("llm-never-fits", "{} tokens, but a period has {}", tokens, budget->options().limit)
                       .error()};
    }
    if (!refusal || refused->fits_at_ns > refusal->fits_at_ns) {
      refusal = Refusal{.error = kernel::fail("llm-over-budget", "{} tokens, {} of {} are taken; they fit in {} us",
                                              tokens, budget->used() + budget->reserved(), budget->options().limit,
                                              (refused->fits_at_ns - now_ns + 999) / 1000)
                                     .error(),
                        .fits_at_ns = refused->fits_at_ns};
    }
  }
  return refusal;
}

/// A free place, or that of the oldest result that may be forgotten.
RequestSlot* Service::take_slot() {
  const auto free = std::ranges::find_if(all_requests(), [](const RequestSlot& slot) { return slot.is_free(); });
  if (free != all_requests().end()) {
    return &*free;
  }
  RequestSlot* oldest = nullptr;
  for (RequestSlot& slot : all_requests()) {
    if (is_evictable(slot) && (oldest == nullptr || slot.status.finished_ns < oldest->status.finished_ns)) {
      oldest = &slot;
    }
  }
  if (oldest != nullptr) {
    free_request(*oldest);
    ++totals_.evicted_results;
  }
  return oldest;
}

void Service::place(RequestSlot& slot, Submission& submission, SessionSlot* session, std::uint64_t now_ns) {
  const RequestOptions& options = submission.options;
  slot = RequestSlot{};
  slot.status = {.id = ++last_request_,
                 .caller = submission.caller,
                 .model = submission.model->id,
                 .priority = options.priority,
                 .prompt_bytes = submission.prompt_bytes,
                 .max_tokens = options.max_tokens,
                 .submitted_ns = now_ns,
                 .due_ns = options.deadline_ns == 0 || options.deadline_ns > UINT64_MAX - now_ns
                               ? 0
                               : now_ns + options.deadline_ns,
                 .error = {}};
  slot.prompt_sha256 = submission.prompt_sha256;
  slot.model = submission.model;  // which stays a user of it
  slot.chunks = std::move(submission.chunks);
  slot.stop_words = submission.stop_words;
  slot.sampler.emplace(options.sampler);
  slot.max_cycles = options.max_cycles;
  slot.budget_end = budget_.reserve(now_ns, options.max_tokens);
  static_cast<void>(class_budgets_[submission.caller.client_class].reserve(now_ns, options.max_tokens));
  slot.last_turn = turns_;
  if (session != nullptr) {
    enter_session(slot, *session);
  }
  if (submission.unread != nullptr) {
    slot.unread = std::move(submission.unread);
  } else {
    take_prompt(slot, std::move(submission.read));
  }
  ++totals_.requests;
  totals_.queue_depth_max = std::max(totals_.queue_depth_max, count(RequestState::Queued));
  audit_request(slot, AuditOperation::Submit);
  kernel::trace().record(kernel::TraceType::LlmSubmit, slot.status.priority, slot.status.id, slot.status.max_tokens);
  if (slot.status.due_ns != 0) {
    kernel::trace().record(kernel::TraceType::LlmDue, 0, slot.status.id, slot.status.due_ns);
  }
  work_.notify_one();
}

/// It has been read; what the session has said, and not read yet, comes before it.
void Service::take_prompt(RequestSlot& slot, ReadPrompt read) {
  slot.unread.reset();
  slot.prompt = std::move(read.tokens);
  slot.prompt_size = read.count;
  slot.constraint = std::move(read.constraint);
  slot.status.prompt_tokens = read.count;
  if (slot.session != nullptr && slot.session->tail) {
    Token* const first = slot.prompt.get();
    std::copy_backward(first, first + slot.prompt_size, first + slot.prompt_size + 1);
    *first = *slot.session->tail;
    ++slot.prompt_size;
  }
}

void Service::audit_refusal(const Submission& submission, const Refusal& refusal) {
  const std::uint64_t now = service_now_ns();
  audit_.record({.operation = AuditOperation::Refuse,
                 .caller = submission.caller,
                 .model = submission.options.model,
                 .prompt_bytes = submission.prompt_bytes,
                 .prompt_sha256 = submission.prompt_sha256,
                 .tokens = submission.options.max_tokens,
                 .decision = refusal.error.name,
                 .status = AuditEntry::kReject,
                 .at_ns = now,
                 .submitted_ns = now,
                 .fits_at_ns = refusal.fits_at_ns});
}

}  // namespace guest::llm
