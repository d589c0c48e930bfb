// The service itself, and its models.
#include "guest/llm/service/service.hpp"

#include <algorithm>
#include <new>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/ml/memory.hpp"
#include "state.hpp"

namespace guest::llm {

using kernel::Outcome;
using threads::MutexGuard;

namespace {

bool is_model_id(std::string_view id) {
  return !id.empty() && id.size() <= kMaxModelId && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

/// Everything of a model but its place in the table. Without the lock.
Outcome read_model(npu::Npu& npu, const ServiceOptions& options, LoadedModel& model) {
  auto file = gguf::File::open(model.file);
  if (!file) {
    return std::unexpected(file.error());
  }
  model.gguf.emplace(std::move(*file));
  auto read = Model::read(*model.gguf);
  if (!read) {
    return std::unexpected(read.error());
  }
  model.model.emplace(std::move(*read));
  auto tokenizer = Tokenizer::make(*model.gguf);
  if (!tokenizer) {
    return std::unexpected(tokenizer.error());
  }
  model.tokenizer.emplace(std::move(*tokenizer));
  auto texts = TokenTexts::make(*model.tokenizer);
  if (!texts) {
    return std::unexpected(texts.error());
  }
  model.texts.emplace(std::move(*texts));
  const std::uint32_t vocabulary = model.model->shape().vocabulary;
  if (model.tokenizer->vocabulary().size() > vocabulary) {
    return kernel::fail("llm-bad-vocabulary", "a tokenizer of {} tokens, but the model knows {}",
                        model.tokenizer->vocabulary().size(), vocabulary);
  }
  model.candidates.reset(new (std::nothrow) numeric::Candidate[vocabulary]);
  if (model.candidates == nullptr) {
    return kernel::fail("llm-no-memory", "no memory to choose among {} tokens", vocabulary);
  }
  const auto region = npu.register_region(model.file, ml::Memory::kConstant);
  if (!region) {
    return std::unexpected(region.error());
  }
  model.region = *region;
  auto step = Step::make(npu, *model.model, *region, std::min(options.step_tokens, model.model->shape().context));
  if (!step) {
    return std::unexpected(step.error());
  }
  model.step = std::move(*step);
  return {};
}

/// What read_model() has made, or a part of it. Without the lock.
void drop_model(npu::Npu& npu, LoadedModel& model) {
  model.step.reset();
  if (model.region != abi::npu::kNoRegion) {
    // Nothing names it any more. A device that does not answer keeps it, and has then ended all jobs.
    static_cast<void>(npu.release_region(model.region));
    model.region = abi::npu::kNoRegion;
  }
  model.candidates.reset();
  model.texts.reset();
  model.tokenizer.reset();
  model.model.reset();
  model.gguf.reset();
  model.file = {};
}

AuditEntry model_entry(AuditOperation operation, const Caller& caller, std::string_view id, const Outcome& outcome) {
  return {.operation = operation,
          .caller = caller,
          .model = id,
          .decision = outcome ? std::string_view("ok") : outcome.error().name,
          .status = outcome ? AuditEntry::kOk : AuditEntry::kReject,
          .at_ns = service_now_ns()};
}

}  // namespace

std::uint64_t service_now_ns() { return threads::dispatcher().timers().clock().now_ns(); }

Service::Service(npu::Npu& npu, const ServiceOptions& options, Audit& audit, kernel::WorkItem* changed)
    : npu_(npu), options_(options), audit_(audit), changed_(changed), cycle_limit_(options.cycles_per_period) {
  const TokenBudget::Options budget = {
      .limit = options.tokens_per_period, .period_ns = options.period_ns, .hold_periods = options.hold_periods};
  budget_ = TokenBudget(budget);
  for (std::size_t i = 0; i < class_budgets_.size(); ++i) {
    TokenBudget::Options own = budget;
    own.limit = i < options.classes.size() ? options.classes[i].tokens_per_period : 0;
    class_budgets_[i] = TokenBudget(own);
  }
}

std::expected<std::unique_ptr<Service>, kernel::NamedError> Service::make(npu::Npu& npu, const ServiceOptions& options,
                                                                          Audit& audit, kernel::WorkItem* changed) {
  if (const Outcome checked = check(options); !checked) {
    return std::unexpected(checked.error());
  }
  std::unique_ptr<Service> service(new (std::nothrow) Service(npu, options, audit, changed));
  if (service == nullptr || !service->allocate()) {
    return kernel::fail("llm-no-memory", "no memory for a service of {} requests", options.requests);
  }
  return service;
}

bool Service::allocate() {
  models_.reset(new (std::nothrow) LoadedModel[options_.models]);
  requests_.reset(new (std::nothrow) RequestSlot[options_.requests]);
  sessions_.reset(new (std::nothrow) SessionSlot[session_slots()]);
  return models_ != nullptr && requests_ != nullptr && sessions_ != nullptr;
}

Service::~Service() {
  kernel::require(!worker_, "the LLM service ends while its worker runs");
  for (LoadedModel& model : all_models()) {
    drop_model(npu_, model);
  }
}

std::span<LoadedModel> Service::all_models() { return {models_.get(), options_.models}; }
std::span<RequestSlot> Service::all_requests() { return {requests_.get(), options_.requests}; }
std::span<const RequestSlot> Service::all_requests() const { return {requests_.get(), options_.requests}; }
std::span<SessionSlot> Service::all_sessions() { return {sessions_.get(), session_slots()}; }

// ---- Models

LoadedModel* Service::find_model(std::string_view id) {
  const auto found = std::ranges::find_if(all_models(), [id](const LoadedModel& model) {
    return model.state != LoadedModel::State::Free && model.id.view() == id;
  });
  return found == all_models().end() ? nullptr : &*found;
}

std::expected<LoadedModel*, kernel::NamedError> Service::require_model(std::string_view id) {
  LoadedModel* const model = find_model(id);
  if (model == nullptr || model->state != LoadedModel::State::Ready) {
    return kernel::fail("llm-no-model", "no model \"{}\" is loaded", kernel::escaped(id));
  }
  return model;
}

std::expected<LoadedModel*, kernel::NamedError> Service::take_model_place(std::string_view id) {
  if (!is_model_id(id)) {
    return kernel::fail("llm-bad-model-id", "\"{}\", expected 1 to {} of A-Z a-z 0-9 . _ -", kernel::escaped(id),
                        kMaxModelId);
  }
  if (find_model(id) != nullptr) {
    return kernel::fail("llm-model-exists", "a model \"{}\" is loaded", id);
  }
  const auto place = std::ranges::find(all_models(), LoadedModel::State::Free, &LoadedModel::state);
  if (place == all_models().end()) {
    return kernel::fail("llm-too-many-models", "{} models are loaded, which is as many as there may be",
                        options_.models);
  }
  place->state = LoadedModel::State::Changing;
  place->id.clear();
  place->id.write(id);
  return &*place;
}

Outcome Service::load(const Caller& caller, std::string_view id, std::span<std::byte> file) {
  std::expected<LoadedModel*, kernel::NamedError> place = nullptr;
  {
    const MutexGuard guard(mutex_);
    place = take_model_place(id);
    if (!place) {
      const Outcome refused = std::unexpected(place.error());
      audit_.record(model_entry(AuditOperation::Load, caller, id, refused));
      return refused;
    }
  }
  LoadedModel& model = **place;
  model.file = file;
  const Outcome outcome = read_model(npu_, options_, model);
  if (!outcome) {
    drop_model(npu_, model);
  }
  const MutexGuard guard(mutex_);
  model.state = outcome ? LoadedModel::State::Ready : LoadedModel::State::Free;
  audit_.record(model_entry(AuditOperation::Load, caller, id, outcome));
  return outcome;
}

void Service::audit_refused_load(const Caller& caller, std::string_view id, const kernel::NamedError& why) {
  const MutexGuard guard(mutex_);
  audit_.record(model_entry(AuditOperation::Load, caller, id, std::unexpected(why)));
}

Outcome Service::unload(const Caller& caller, std::string_view id) {
  LoadedModel* model = nullptr;
  {
    const MutexGuard guard(mutex_);
    const auto found = require_model(id);
    Outcome outcome;
    if (!found) {
      outcome = std::unexpected(found.error());
    } else if (const std::uint32_t sessions = sessions_of(**found); (*found)->users > 0 || sessions > 0) {
      outcome =
          kernel::fail("llm-model-in-use", "{} requests and {} sessions use \"{}\"", (*found)->users, sessions, id);
    }
    audit_.record(model_entry(AuditOperation::Unload, caller, id, outcome));
    if (!outcome) {
      return outcome;
    }
    model = *found;
    model->state = LoadedModel::State::Changing;
  }
  drop_model(npu_, *model);
  const MutexGuard guard(mutex_);
  model->state = LoadedModel::State::Free;
  return {};
}

std::size_t Service::models(std::span<ModelStatus> out) {
  const MutexGuard guard(mutex_);
  std::size_t count = 0;
  for (const LoadedModel& model : all_models()) {
    if (model.state != LoadedModel::State::Ready) {
      continue;
    }
    if (count < out.size()) {
      out[count] = {.id = model.id,
                    .number = static_cast<std::uint32_t>(&model - models_.get()),
                    .file_bytes = model.file.size(),
                    .step_bytes = model.step->bytes(),
                    .context = model.model->shape().context,
                    .vocabulary = model.model->shape().vocabulary,
                    .requests = model.users,
                    .sessions = sessions_of(model)};
    }
    ++count;
  }
  return count;
}

// ---- What can be said of it

std::uint32_t Service::count(RequestState state) const {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      all_requests(), [state](const RequestSlot& slot) { return slot.status.id != 0 && slot.status.state == state; }));
}

StatisticsSnapshot Service::statistics() {
  const MutexGuard guard(mutex_);
  StatisticsSnapshot snapshot = totals_;
  snapshot.queue_depth = count(RequestState::Queued);
  snapshot.running = count(RequestState::Running);
  snapshot.kept = count(RequestState::Finished);
  for (const SessionSlot& session : all_sessions()) {
    if (session.state == SessionSlot::State::Open) {
      ++snapshot.sessions;
      snapshot.session_bytes += session.bytes;
    }
  }
  return snapshot;
}

namespace {

BudgetStatus status_of(TokenBudget& budget) {
  static_cast<void>(budget.check(service_now_ns(), 0));  // the period of now
  return {.limit = budget.options().limit, .used = budget.used(), .reserved = budget.reserved()};
}

}  // namespace

BudgetStatus Service::budget() {
  const MutexGuard guard(mutex_);
  return status_of(budget_);
}

BudgetStatus Service::class_budget(std::uint32_t client_class) {
  kernel::require(client_class < options_.classes.size(), "the budget of a class that does not exist");
  const MutexGuard guard(mutex_);
  return status_of(class_budgets_[client_class]);
}

CycleStatus Service::cycles() {
  const MutexGuard guard(mutex_);
  static_cast<void>(cycles_again_at(service_now_ns()));  // the period of now
  return {.limit = cycle_limit_, .used = cycle_limit_ == 0 ? 0 : cycles_used_};
}

Outcome Service::set_budget(const NewBudget& budget) {
  if (budget.client_class && (*budget.client_class >= options_.classes.size() || budget.cycles_per_period)) {
    return kernel::fail("llm-bad-option", "class {}, expected one below {}, and no cycles of it", *budget.client_class,
                        options_.classes.size());
  }
  ServiceOptions wanted = options_;
  wanted.tokens_per_period = budget.tokens_per_period.value_or(0);
  if (Outcome checked = check(wanted); !checked) {
    return checked;
  }
  const MutexGuard guard(mutex_);
  if (budget.tokens_per_period) {
    TokenBudget& changed = budget.client_class ? class_budgets_[*budget.client_class] : budget_;
    changed.set_limit(*budget.tokens_per_period);
  }
  if (budget.cycles_per_period) {
    const std::uint64_t now = service_now_ns();
    static_cast<void>(cycles_again_at(now));
    if (cycle_limit_ == 0) {  // nothing was counted off period by period
      cycle_period_ = now / options_.period_ns;
      cycles_used_ = 0;
    }
    cycle_limit_ = *budget.cycles_per_period;
  }
  work_.notify_one();
  return {};
}

}  // namespace guest::llm
