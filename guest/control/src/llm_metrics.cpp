#include "llm_metrics.hpp"

namespace guest::control {

void gather_llm(Llm& llm, MetricSink& sink) {
  const llm::StatisticsSnapshot now = llm.service.statistics();
  const llm::BudgetStatus budget = llm.service.budget();
  sink.count("llm_requests", now.requests);
  sink.count("llm_rejects", now.rejects);
  sink.count("llm_finished", now.finished);
  sink.count("llm_cancelled", now.cancelled);
  sink.count("llm_failed", now.failed);
  sink.count("llm_deadline_miss_count", now.deadline_misses);
  sink.count("llm_prompt_tokens", now.prompt_tokens);
  sink.count("llm_tokens_out", now.tokens_out);
  sink.count("llm_stream_chunks", now.stream_chunks);
  sink.count("llm_steps", now.steps);
  sink.count("llm_cycles", now.cycles);
  sink.count("llm_evicted_results", now.evicted_results);
  sink.count("llm_evicted_sessions", now.evicted_sessions);
  sink.level("llm_models", llm.service.models({}));
  sink.level("llm_queue_depth", now.queue_depth);
  sink.level("llm_queue_depth_max", now.queue_depth_max);
  sink.level("llm_running", now.running);
  sink.level("llm_sessions", now.sessions);
  sink.level("llm_session_bytes", now.session_bytes);
  sink.level("llm_period_tokens", budget.used);
  sink.level("llm_period_tokens_reserved", budget.reserved);
  const llm::Timings& timings = llm.service.timings();
  // These need counts, for which all buckets are walked.
  if (sink.wants_all() && timings.infer.count() != 0) {
    sink.level("llm_infer_us", timings.infer.sum() / timings.infer.count() / 1000);
  }
  // Of all requests so far: tokens that followed another one, by the time that they took.
  if (sink.wants_all() && timings.gap.sum() != 0) {
    sink.level("llm_milli_tokens_per_second",
               timings.gap.count() * std::uint64_t{1'000'000'000'000} / timings.gap.sum());
  }
  sink.times("llm_infer", timings.infer);
  sink.times("llm_first_token", timings.first_token);
  sink.times("llm_token_gap", timings.gap);
  sink.times("llm_step", timings.step);
}

}  // namespace guest::control
