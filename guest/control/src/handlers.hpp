// Handlers of the command table (command_table.cpp).
#pragma once

#include <expected>

#include "guest/control/command.hpp"
#include "guest/control/services.hpp"
#include "guest/kernel/histogram.hpp"

namespace guest::control {

using HandlerResult = std::expected<Handled, Refusal>;

#define SIS_HANDLER(name) HandlerResult name(Services&, const Arguments&, Caller&, ResultMap&)
// talk.cpp: answers that need little of the kernel
SIS_HANDLER(handle_ping);
SIS_HANDLER(handle_echo);
SIS_HANDLER(handle_help);
SIS_HANDLER(handle_clear);
SIS_HANDLER(handle_shell);
SIS_HANDLER(handle_history);
SIS_HANDLER(handle_sleep);
// state.cpp: what the kernel is and does
SIS_HANDLER(handle_version);
SIS_HANDLER(handle_info);
SIS_HANDLER(handle_uptime);
SIS_HANDLER(handle_mem);
SIS_HANDLER(handle_irq);
SIS_HANDLER(handle_cpus);
SIS_HANDLER(handle_pmu);
SIS_HANDLER(handle_counters);
SIS_HANDLER(handle_locks);
SIS_HANDLER(handle_selftest);
// tasks.cpp: the scheduler
SIS_HANDLER(handle_det);
SIS_HANDLER(handle_sched);
// threads.cpp
SIS_HANDLER(handle_ps);
SIS_HANDLER(handle_top);
// graph_build.cpp, graph_feed.cpp, graph_run.cpp, graph_show.cpp, graph_export.cpp
SIS_HANDLER(handle_graph_add_channel);
SIS_HANDLER(handle_graph_add_operator);
SIS_HANDLER(handle_graph_create);
SIS_HANDLER(handle_graph_destroy);
SIS_HANDLER(handle_graph_drain);
SIS_HANDLER(handle_graph_export);
SIS_HANDLER(handle_graph_feed);
SIS_HANDLER(handle_graph_kinds);
SIS_HANDLER(handle_graph_list);
SIS_HANDLER(handle_graph_pause);
SIS_HANDLER(handle_graph_resume);
SIS_HANDLER(handle_graph_schema);
SIS_HANDLER(handle_graph_show);
SIS_HANDLER(handle_graph_start);
SIS_HANDLER(handle_graph_stats);
SIS_HANDLER(handle_graph_stop);
SIS_HANDLER(handle_graph_wait);
// histograms.cpp, metrics_command.cpp, watch_history.cpp, watch_metrics.cpp
SIS_HANDLER(handle_histograms);
SIS_HANDLER(handle_metrics);
SIS_HANDLER(handle_watch_history);
SIS_HANDLER(handle_watch_metrics);
// packages.cpp
SIS_HANDLER(handle_llmhash);
SIS_HANDLER(handle_llmverify);
// uploads.cpp
SIS_HANDLER(handle_llm_upload);
SIS_HANDLER(handle_llm_upload_data);
SIS_HANDLER(handle_llm_upload_end);
// llm_graph.cpp, llm_manage.cpp, llm_request.cpp, llm_poll.cpp, llm_show.cpp: the LLM service
SIS_HANDLER(handle_llmcancel);
SIS_HANDLER(handle_llmctl_budget);
SIS_HANDLER(handle_llmctl_list);
SIS_HANDLER(handle_llmctl_load);
SIS_HANDLER(handle_llmctl_status);
SIS_HANDLER(handle_llmctl_unload);
SIS_HANDLER(handle_llmgraph);
SIS_HANDLER(handle_llminfer);
SIS_HANDLER(handle_llmjson);
SIS_HANDLER(handle_llmpoll);
SIS_HANDLER(handle_llmrelease);
SIS_HANDLER(handle_llmstats);
SIS_HANDLER(handle_llmstream);
SIS_HANDLER(handle_llmsummary);
// ask.cpp
SIS_HANDLER(handle_ask);
// bench.cpp
SIS_HANDLER(handle_bench);
// npu_bench.cpp, npu_demo.cpp, npu_manage.cpp, npu_show.cpp
SIS_HANDLER(handle_npu_bench);
SIS_HANDLER(handle_npu_counters);
SIS_HANDLER(handle_npu_jobs);
SIS_HANDLER(handle_npu_power);
SIS_HANDLER(handle_npu_reset);
SIS_HANDLER(handle_npu_status);
SIS_HANDLER(handle_npudemo);
// ai_bench.cpp, inf_demo.cpp, ml_demo.cpp: the kernel's networks
SIS_HANDLER(handle_ai_bench);
SIS_HANDLER(handle_infdemo);
SIS_HANDLER(handle_mldemo);
// trace.cpp, trace_names.cpp
SIS_HANDLER(handle_trace);
SIS_HANDLER(handle_trace_names);
// watch_channel.cpp, watch_log.cpp, watch_trace.cpp
SIS_HANDLER(handle_watch_channel);
SIS_HANDLER(handle_watch_log);
SIS_HANDLER(handle_watch_trace);
// tokens.cpp, keys.cpp, hex_frames.cpp, audit_command.cpp: who may do what
SIS_HANDLER(handle_audit);
SIS_HANDLER(handle_llmctl_audit);
SIS_HANDLER(handle_watch_audit);
SIS_HANDLER(handle_token_list);
SIS_HANDLER(handle_token_new);
SIS_HANDLER(handle_token_revoke);
SIS_HANDLER(handle_ctladmin);
SIS_HANDLER(handle_ctlembed);
SIS_HANDLER(handle_ctlhex);
SIS_HANDLER(handle_ctlkey);
SIS_HANDLER(handle_ctlsubmit);
// machine.cpp: what changes the machine
SIS_HANDLER(handle_log);
SIS_HANDLER(handle_panic);
SIS_HANDLER(handle_shutdown);
SIS_HANDLER(handle_reboot);
#undef SIS_HANDLER

/// tasks.cpp: count, extremes, and the percentiles that the samples support, under `name`.
void add_histogram(ResultMap& into, std::string_view name, const kernel::Histogram& histogram);

/// trace.cpp: a map, time, CPU and name first.
void add_trace_event(CborWriter& writer, const kernel::TraceEvent& event);

void render_audit(kernel::TextOutput& output, const CborValue& result);
void render_bench(kernel::TextOutput& output, const CborValue& result);
void render_echo(kernel::TextOutput& output, const CborValue& result);
void render_graph_export(kernel::TextOutput& output, const CborValue& result);
void render_help(kernel::TextOutput& output, const CborValue& result);
void render_clear(kernel::TextOutput& output, const CborValue& result);
void render_history(kernel::TextOutput& output, const CborValue& result);
void render_infdemo(kernel::TextOutput& output, const CborValue& result);
void render_ask(kernel::TextOutput& output, const CborValue& result);
void render_llm_answer(kernel::TextOutput& output, const CborValue& result);
void render_llm_end(kernel::TextOutput& output, const CborValue& result);
void render_llmjson(kernel::TextOutput& output, const CborValue& result);
void render_npu_bench(kernel::TextOutput& output, const CborValue& result);
void render_nothing(kernel::TextOutput& output, const CborValue& result);
// Of events.
void render_audit_records(kernel::TextOutput& output, const CborValue& event);
void render_channel_event(kernel::TextOutput& output, const CborValue& event);
void render_llm_piece(kernel::TextOutput& output, const CborValue& event);
void render_log_line(kernel::TextOutput& output, const CborValue& event);
void render_trace_events(kernel::TextOutput& output, const CborValue& event);

}  // namespace guest::control
