// llmctl: models, and what the service may do.
#include <algorithm>
#include <new>

#include "background.hpp"
#include "guest/llm/package/hex.hpp"
#include "llm_commands.hpp"
#include "llm_common.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

/// Looks at every byte of a model, or waits for the NPU: in a thread, and to the end, whoever still waits for it.
class ModelChange final : public Background {
 public:
  enum class What : std::uint8_t { Load, Unload };
  ModelChange(Services& services, std::string_view id, What what)
      : Background(OnCancel::Flag), catalog_(services.llm->catalog), caller_(llm_caller(services)), what_(what) {
    id_.write(id);
  }

 private:
  Done work() override {
    const kernel::Outcome outcome =
        what_ == What::Load ? catalog_.load(caller_, id_.view()) : catalog_.unload(caller_, id_.view());
    return outcome ? Done() : refuse_llm(outcome.error());
  }
  void answer(ResultMap& result) const override {
    result.add("model", id_.view());
    result.add("state", what_ == What::Load ? "loaded" : "unloaded");
  }

  llm::Catalog& catalog_;
  const llm::Caller caller_;
  const What what_;
  kernel::FixedText<llm::kMaxModelId> id_;
};

HandlerResult change(Services& services, const Arguments& arguments, Caller& caller, ModelChange::What what) {
  if (const auto there = require_llm(services); !there) {
    return std::unexpected(there.error());
  }
  std::unique_ptr<Background> work(new (std::nothrow) ModelChange(services, arguments.text("model"), what));
  return Background::start(std::move(work), what == ModelChange::What::Load ? "llmctl load" : "llmctl unload", caller);
}

void add_entry(CborWriter& writer, const llm::CatalogEntry& entry) {
  ResultMap result(writer);
  result.add("id", entry.id.view());
  result.add("state", to_string(entry.state));
  if (entry.bytes != 0) {
    result.add("bytes", entry.bytes);
  }
  if (entry.state == llm::ModelState::Refused) {
    result.add("error", entry.refused.name);
    result.add("message", entry.refused.detail.view());
  } else if (entry.state == llm::ModelState::Loaded) {
    result.add_bool("signed", entry.manifest.has_value());
    if (entry.manifest) {
      result.add("name", entry.manifest->name.view());
      result.add("revision", entry.manifest->revision);
      result.add("wcet_cycles", entry.manifest->wcet_cycles);
    }
    result.add("context", entry.facts.context);
    result.add("vocabulary", entry.facts.vocabulary);
    result.add("quantisation", to_string(entry.facts.quantisation));
  }
  result.finish();
}

void add_tokens(ResultMap& into, const llm::BudgetStatus& budget) {
  into.add("tokens_per_period", budget.limit);
  into.add("used", budget.used);
  into.add("reserved", budget.reserved);
}

/// The class that the argument names; nothing: none is named.
std::expected<std::optional<std::uint32_t>, Refusal> find_class(const llm::ServiceOptions& options,
                                                                const Arguments& arguments) {
  if (!arguments.has("class")) {
    return std::nullopt;
  }
  const std::string_view name = arguments.text("class");
  for (std::uint32_t i = 0; i < options.classes.size(); ++i) {
    if (options.classes[i].name.view() == name) {
      return i;
    }
  }
  return refuse(error::kNotFound, "class", "there is no class '{}' of clients", kernel::escaped(name));
}

std::expected<void, Refusal> change_budget(Services& services, const Arguments& arguments) {
  if (!abi::control::allows(services.caller.rights, abi::control::Rights::Admin)) {
    return refuse(error::kForbidden, "", "changing a budget needs rights of ADMIN");
  }
  llm::Service& service = services.llm->service;
  const auto client_class = find_class(service.options(), arguments);
  if (!client_class) {
    return std::unexpected(client_class.error());
  }
  if (*client_class && arguments.has("cycles_per_period")) {
    return refuse(error::kBadArgument, "class", "cycles are of the whole service, and a class has none of its own");
  }
  llm::NewBudget budget{.client_class = *client_class};
  if (arguments.has("tokens_per_period")) {
    budget.tokens_per_period = arguments.number("tokens_per_period");
  }
  if (arguments.has("cycles_per_period")) {
    budget.cycles_per_period = arguments.number("cycles_per_period");
  }
  const kernel::Outcome changed = service.set_budget(budget);
  return changed ? std::expected<void, Refusal>() : refuse_llm(changed.error());
}

}  // namespace

HandlerResult handle_llmctl_load(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  return change(services, arguments, caller, ModelChange::What::Load);
}
HandlerResult handle_llmctl_unload(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  return change(services, arguments, caller, ModelChange::What::Unload);
}

HandlerResult handle_llmctl_list(Services& services, const Arguments&, Caller&, ResultMap& result) {
  const auto llm = require_llm(services);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  CborWriter& writer = result.key_for("models");
  const std::size_t list = writer.begin_array();
  std::size_t count = 0;
  for (auto entry = (*llm)->catalog.at(0); entry; entry = (*llm)->catalog.at(count)) {
    add_entry(writer, *entry);
    ++count;
  }
  writer.end(list, count);
  return Handled::Now;
}

HandlerResult handle_llmctl_budget(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto llm = require_llm(services);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  if (arguments.has("tokens_per_period") || arguments.has("cycles_per_period")) {
    if (const auto changed = change_budget(services, arguments); !changed) {
      return std::unexpected(changed.error());
    }
  } else if (arguments.has("class")) {
    return refuse(error::kMissingArgument, "tokens_per_period", "class: of which the tokens are to change");
  }
  llm::Service& service = (*llm)->service;
  const llm::CycleStatus cycles = service.cycles();
  result.add("period_ns", service.options().period_ns);
  add_tokens(result, service.budget());
  result.add("cycles_per_period", cycles.limit);
  result.add("cycles_used", cycles.used);
  CborWriter& writer = result.key_for("classes");
  const auto& classes = service.options().classes;
  writer.array(classes.size());
  for (std::uint32_t i = 0; i < classes.size(); ++i) {
    ResultMap one(writer);
    one.add("name", classes[i].name.view());
    add_tokens(one, service.class_budget(i));
    one.add("in_flight", classes[i].in_flight);
    one.finish();
  }
  return Handled::Now;
}

namespace {

void add_limits(ResultMap& into, const llm::ServiceOptions& options) {
  ResultMap limits(into.key_for("limits"));
  limits.add("in_flight", options.in_flight);
  limits.add("queue", options.queue);
  limits.add("requests", options.requests);
  limits.add("requests_per_owner", options.requests_per_owner);
  limits.add("prompt_bytes", options.prompt_bytes);
  limits.add("stream_chunks", options.stream_chunks);
  limits.add("step_tokens", options.step_tokens);
  limits.add("sessions", options.sessions);
  limits.add("session_bytes", options.session_bytes);
  limits.finish();
}

void add_models(ResultMap& into, llm::Service& service) {
  llm::ModelStatus models[llm::Catalog::kMaxModels];
  const std::size_t count = std::min(service.models(models), std::size(models));
  CborWriter& writer = into.key_for("models");
  writer.array(count);
  for (const llm::ModelStatus& model : std::span(models).first(count)) {
    ResultMap one(writer);
    one.add("id", model.id.view());
    one.add("file_bytes", model.file_bytes);
    one.add("step_bytes", model.step_bytes);
    one.add("requests", model.requests);
    one.add("sessions", model.sessions);
    one.finish();
  }
}

}  // namespace

HandlerResult handle_llmctl_status(Services& services, const Arguments&, Caller&, ResultMap& result) {
  const auto llm = require_llm(services);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  llm::Service& service = (*llm)->service;
  const llm::StatisticsSnapshot now = service.statistics();
  result.add("queued", now.queue_depth);
  result.add("running", now.running);
  result.add("kept", now.kept);
  result.add("sessions", now.sessions);
  result.add("session_bytes", now.session_bytes);
  add_limits(result, service.options());
  add_models(result, service);
  return Handled::Now;
}

}  // namespace guest::control
