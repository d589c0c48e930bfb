// The thread that runs the models: one turn after the other.
#include <algorithm>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/kernel/trace.hpp"
#include "guest/llm/service/service.hpp"
#include "state.hpp"

namespace guest::llm {

using kernel::Outcome;
using threads::MutexGuard;

namespace {

/// Lets go of a mutex that is held, while it lives.
class Unlocked {
 public:
  explicit Unlocked(threads::Mutex& mutex) : mutex_(mutex) { mutex_.unlock(); }
  ~Unlocked() { mutex_.lock(); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  threads::Mutex& mutex_;
};

/// Step::run(): the job ran, and ended otherwise than well.
constexpr std::string_view kStepFailed = "llm-step-failed";

bool is_stopped() { return threads::current_thread().stop_requested(); }

}  // namespace

kernel::Status Service::start(const threads::ThreadOptions& options) {
  kernel::require(!worker_, "the LLM service's worker is started twice");
  const auto thread = threads::spawn(options, &Service::run_worker, this);
  if (!thread) {
    return thread.error();
  }
  worker_ = *thread;
  return kernel::Status::Ok;
}

void Service::stop() {
  if (worker_) {
    worker_->request_stop();
    worker_->join();
    worker_ = {};
  }
}

void Service::run_worker(void* service) { static_cast<Service*>(service)->work(); }

void Service::work() {
  const MutexGuard guard(mutex_);
  while (!is_stopped()) {
    const std::uint64_t now = service_now_ns();
    std::uint64_t until = expire(now);
    // Behind expire(): nobody wakes this thread for the memory of what it has ended itself.
    if (reap()) {
      continue;
    }
    promote();
    const std::uint64_t paused_until = cycles_again_at(now);
    RequestSlot* const slot = paused_until > now ? nullptr : choose();
    if (slot != nullptr) {
      run_turn(*slot);
    } else {
      until = paused_until > now ? std::min(until, paused_until) : until;
      static_cast<void>(work_.wait(mutex_, until));
    }
  }
}

/// Ends what must not go on. Returns when that may be so of another one.
std::uint64_t Service::expire(std::uint64_t now_ns) {
  std::uint64_t next = threads::kForever;
  for (RequestSlot& slot : all_requests()) {
    if (!slot.is_unfinished() || slot.in_turn) {
      continue;
    }
    const std::uint64_t budget_ns = budget_end_ns(slot);
    const std::uint64_t due_ns = slot.status.due_ns == 0 ? threads::kForever : slot.status.due_ns;
    if (slot.cancelled) {
      end_request(slot, StopReason::Cancelled);
    } else if (now_ns >= due_ns) {
      end_request(slot, StopReason::Deadline);
    } else if (now_ns >= budget_ns || (slot.max_cycles != 0 && slot.status.cycles >= slot.max_cycles)) {
      end_request(slot, StopReason::Budget);
    } else {
      next = std::min({next, due_ns, budget_ns});
    }
  }
  return next;
}

/// When its tokens are no longer reserved.
std::uint64_t Service::budget_end_ns(const RequestSlot& slot) const {
  const bool limited =
      budget_.options().limit != 0 || class_budgets_[slot.status.caller.client_class].options().limit != 0;
  return limited ? slot.budget_end * options_.period_ns : threads::kForever;
}

/// When a step may run again: now, or the beginning of a period.
std::uint64_t Service::cycles_again_at(std::uint64_t now_ns) {
  if (cycle_limit_ == 0) {
    return now_ns;
  }
  const std::uint64_t period = now_ns / options_.period_ns;
  const std::uint64_t passed = period - cycle_period_;
  cycle_period_ = period;
  // What was too much is of the periods that follow.
  const bool all = passed > cycles_used_ / cycle_limit_;
  cycles_used_ = all ? 0 : cycles_used_ - passed * cycle_limit_;
  if (cycles_used_ < cycle_limit_) {
    return now_ns;
  }
  return (period + cycles_used_ / cycle_limit_) * options_.period_ns;
}

/// Requests that run, of a class or of all. Those that nobody reads are not counted, or they would keep others waiting.
std::uint32_t Service::in_flight(std::optional<std::uint32_t> client_class) const {
  return static_cast<std::uint32_t>(std::ranges::count_if(all_requests(), [=](const RequestSlot& slot) {
    return slot.status.id != 0 && slot.status.state == RequestState::Running && slot.chunks.room() >= kTurnRoom &&
           (!client_class || slot.status.caller.client_class == *client_class);
  }));
}

/// Queued requests run, the highest priority and then the oldest first, where there is room for them.
void Service::promote() {
  while (in_flight({}) < options_.in_flight) {
    RequestSlot* best = nullptr;
    for (RequestSlot& slot : all_requests()) {
      if (slot.status.id == 0 || slot.status.state != RequestState::Queued) {
        continue;
      }
      const std::uint32_t client_class = slot.status.caller.client_class;
      const std::uint32_t limit = client_class < options_.classes.size() ? options_.classes[client_class].in_flight : 0;
      if (limit != 0 && in_flight(client_class) >= limit) {
        continue;
      }
      if (best == nullptr || slot.status.priority > best->status.priority ||
          (slot.status.priority == best->status.priority && slot.status.id < best->status.id)) {
        best = &slot;
      }
    }
    if (best == nullptr) {
      return;
    }
    best->status.state = RequestState::Running;
  }
}

RequestSlot* Service::choose() {
  RequestSlot* best = nullptr;
  for (RequestSlot& slot : all_requests()) {
    if (slot.status.id == 0 || slot.status.state != RequestState::Running || slot.chunks.room() < kTurnRoom) {
      continue;
    }
    if (best == nullptr || slot.status.priority > best->status.priority ||
        (slot.status.priority == best->status.priority && slot.last_turn < best->last_turn)) {
      best = &slot;
    }
  }
  return best;
}

/// Frees memory of requests and sessions that have ended. False: there was none.
bool Service::reap() {
  for (RequestSlot& slot : all_requests()) {
    if (!slot.is_unfinished() && slot.own_sequence != nullptr) {
      const std::unique_ptr<Sequence> ended = std::move(slot.own_sequence);
      const Unlocked unlocked(mutex_);
      return true;
    }
  }
  for (SessionSlot& session : all_sessions()) {
    if (session.state == SessionSlot::State::Closing) {
      const std::unique_ptr<Sequence> ended = std::move(session.sequence);
      session.state = SessionSlot::State::Free;
      const Unlocked unlocked(mutex_);
      return true;
    }
  }
  return false;
}

// ---- A turn

void Service::run_turn(RequestSlot& slot) {
  slot.last_turn = ++turns_;
  if (slot.status.started_ns == 0) {
    slot.status.started_ns = service_now_ns();
  }
  slot.chosen.reset();
  if (slot.unread != nullptr) {
    return read_unread(slot);
  }
  slot.in_turn = true;
  slot.turn_cycles = 0;
  slot.turn_prompt = 0;
  Outcome outcome;
  std::uint64_t took_ns = 0;
  {
    const Unlocked unlocked(mutex_);
    outcome = make_sequence(slot);
    if (outcome) {
      const std::uint64_t began = service_now_ns();
      outcome = run_step(slot);
      took_ns = service_now_ns() - began;
    }
  }
  slot.in_turn = false;
  slot.status.cycles += slot.turn_cycles;
  cycles_used_ += slot.turn_cycles;
  totals_.cycles += slot.turn_cycles;
  totals_.prompt_tokens += slot.turn_prompt;
  if (slot.turn_cycles > 0) {
    ++totals_.steps;
    timings_.step.record(took_ns);
  }
  finish_turn(slot, outcome);
}

/// The first turn of a request whose submitter had no time for its text.
void Service::read_unread(RequestSlot& slot) {
  slot.in_turn = true;
  std::expected<ReadPrompt, kernel::NamedError> read;
  {
    const Unlocked unlocked(mutex_);
    read = read_prompt(*slot.model, slot.unread->text());
  }
  slot.in_turn = false;
  const Outcome fits =
      read ? check_prompt_fits(*slot.model, read->count, slot.session) : Outcome(std::unexpected(read.error()));
  if (fits) {
    take_prompt(slot, std::move(*read));
  }
  finish_turn(slot, fits);
}

/// Without the lock.
Outcome Service::make_sequence(RequestSlot& slot) {
  std::unique_ptr<Sequence>& sequence = slot.sequence();
  if (sequence != nullptr) {
    return {};
  }
  const Shape& shape = slot.model->model->shape();
  // A session's may be needed as a whole one day; another one has what it can reach.
  const std::uint64_t reach = std::uint64_t{slot.prompt_size} + slot.status.max_tokens;
  const std::uint64_t context = slot.session != nullptr ? shape.context : std::min<std::uint64_t>(shape.context, reach);
  auto made = Sequence::make(npu_, shape, {.context = static_cast<std::uint32_t>(context)});
  if (!made) {
    return std::unexpected(made.error());
  }
  sequence = std::move(*made);
  return {};
}

/// A part of the prompt, or the last token; the token that follows is chosen where the prompt has ended. Without the
/// lock.
Outcome Service::run_step(RequestSlot& slot) {
  LoadedModel& model = *slot.model;
  Step& step = *model.step;
  npu::JobOptions& job = step.job().options;
  const std::uint64_t now = service_now_ns();
  job.deadline_ns = slot.status.due_ns == 0    ? npu::JobOptions::kNoDeadline
                    : slot.status.due_ns > now ? slot.status.due_ns - now
                                               : 1;
  job.cycle_limit = slot.max_cycles == 0 ? 0 : slot.max_cycles - slot.status.cycles;
  const std::uint32_t batch = std::min(options_.step_tokens, model.model->shape().context);
  const std::uint32_t part = std::min(slot.prompt_size - slot.fed, batch);
  const std::span<const Token> tokens =
      part > 0 ? std::span<const Token>(slot.prompt.get() + slot.fed, part) : std::span<const Token>(&*slot.last, 1);
  Outcome ran = step.run(*slot.sequence(), tokens);
  if (ran || ran.error().name == kStepFailed) {
    slot.turn_cycles = step.job().end().cycles;
    // Names the job, so that what the NPU did for it can be found.
    kernel::trace().record(kernel::TraceType::LlmStep, static_cast<std::uint32_t>(tokens.size()), slot.status.id,
                           step.job().end().id);
  }
  if (!ran) {
    return ran;
  }
  for (std::uint32_t i = 0; i < part; ++i) {
    slot.sampler->see(slot.prompt[slot.fed + i]);
  }
  slot.fed += part;
  slot.turn_prompt = part;
  slot.last.reset();
  if (slot.fed < slot.prompt_size) {
    return {};
  }
  const std::span<const std::uint64_t> allowed =
      slot.constraint == nullptr ? std::span<const std::uint64_t>() : slot.constraint->allowed();
  // The NPU knows the best of all tokens, but not the best of some.
  slot.chosen =
      allowed.empty() && slot.sampler->is_greedy()
          ? step.best()
          : slot.sampler->next(step.logits(), {model.candidates.get(), model.model->shape().vocabulary}, allowed);
  return slot.chosen ? Outcome()
                     : kernel::fail("llm-no-token", "no logit{} is a number above -infinity",
                                    allowed.empty() ? "" : " of a token that may come");
}

/// Why a request ends whose step did not go well. Nothing: it goes on.
std::optional<StopReason> Service::reason_of(const RequestSlot& slot, const kernel::NamedError& error) {
  if (slot.unread != nullptr) {
    return StopReason::Refused;
  }
  if (error.name == kStepFailed) {
    const npu::JobEnd& end = slot.model->step->job().end();
    if (end.status == abi::npu::Status::Deadline && slot.status.due_ns != 0) {
      return StopReason::Deadline;
    }
    if (end.status == abi::npu::Status::Budget && slot.max_cycles != 0) {
      return StopReason::Budget;
    }
  } else if (error.name == "ml-no-memory" && !slot.has_sequence() && evict_session()) {
    return {};  // what that one had is free before the next turn
  }
  return StopReason::Failed;
}

void Service::finish_turn(RequestSlot& slot, const Outcome& outcome) {
  const std::uint64_t now = service_now_ns();
  if (slot.cancelled) {
    end_request(slot, StopReason::Cancelled);
    return;
  }
  if (!outcome) {
    if (is_stopped()) {
      return;  // its job was aborted; the sequence is as it was
    }
    if (const auto reason = reason_of(slot, outcome.error())) {
      slot.status.error = has_error(*reason) ? outcome.error() : kernel::NamedError{};
      end_request(slot, *reason);
    }
    return;
  }
  if (slot.status.due_ns != 0 && now >= slot.status.due_ns) {
    end_request(slot, StopReason::Deadline);
  } else if (slot.chosen) {
    deliver(slot, now);
  }
}

bool Service::use_token(const RequestSlot& slot, std::uint64_t now_ns) {
  // Both end at the same moment, so it is both or none.
  return budget_.use(now_ns, slot.budget_end) &&
         class_budgets_[slot.status.caller.client_class].use(now_ns, slot.budget_end);
}

/// The token that was chosen becomes the answer's next one, or its end.
void Service::deliver(RequestSlot& slot, std::uint64_t now_ns) {
  RequestStatus& status = slot.status;
  const Token token = *slot.chosen;
  const Tokenizer& tokenizer = *slot.model->tokenizer;
  slot.sampler->see(token);
  if (!tokenizer.is_end(token) && !use_token(slot, now_ns)) {
    end_request(slot, StopReason::Budget);
    return;
  }
  slot.last = token;
  slot.said_something = true;
  if (tokenizer.is_end(token)) {
    end_request(slot, StopReason::End);
    return;
  }
  std::array<char, Vocabulary::kMaxTokenBytes> text;
  // A constraint says itself which space is not of the answer.
  const bool at_begin =
      slot.constraint == nullptr && status.prompt_bytes == 0 && status.session_tokens == 0 && status.tokens == 0;
  const std::size_t size = tokenizer.decode({&token, 1}, text, at_begin);
  kernel::require(size <= text.size(), "a token's text is longer than it may be");
  const std::string_view all(text.data(), size);
  const std::size_t skipped = slot.constraint == nullptr ? 0 : slot.constraint->take(all);
  kernel::FixedText<kMaxTokenText + 4> passed;
  const bool stops = slot.stop_words.pass(all.substr(skipped), passed);
  totals_.stream_chunks += slot.chunks.add(token, passed.view());
  ++totals_.tokens_out;
  ++status.tokens;
  note_time(slot, now_ns);
  if (stops) {
    end_request(slot, StopReason::StopWord);
  } else if (slot.constraint != nullptr && slot.constraint->is_complete()) {
    end_request(slot, StopReason::End);  // which is all that the model could still say
  } else if (status.tokens == status.max_tokens || slot.sequence()->size() == slot.sequence()->capacity()) {
    end_request(slot, StopReason::Length);
  } else {
    progress_.notify_all();
    say_changed();
  }
}

void Service::note_time(RequestSlot& slot, std::uint64_t now_ns) {
  RequestStatus& status = slot.status;
  if (status.tokens == 1) {
    status.first_token_ns = now_ns;
    timings_.first_token.record(now_ns - status.submitted_ns);
  } else {
    const std::uint64_t gap = now_ns - status.last_token_ns;
    status.worst_gap_ns = std::max(status.worst_gap_ns, gap);
    timings_.gap.record(gap);
  }
  status.last_token_ns = now_ns;
  // The time that the budgets went by: that of the event may already be of the next period.
  kernel::trace().record(kernel::TraceType::LlmToken, status.tokens, status.id, now_ns);
}

void Service::say_changed() {
  if (changed_ != nullptr) {
    kernel::work_queue().raise(*changed_);
  }
}

}  // namespace guest::llm
