#include "guest/kernel/trace.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <span>

#include "guest/control/metric_history.hpp"
#include "handlers.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

constexpr std::uint64_t kDefaultEvents = 64;

void add_fill(kernel::Trace& trace, ResultMap& result) {
  CborWriter& writer = result.key_for("cpus");
  const std::size_t token = writer.begin_array();
  std::size_t count = 0;
  for (std::uint32_t cpu = 0; trace.has_ring(cpu); ++cpu, ++count) {
    const kernel::Trace::Fill fill = trace.fill(cpu);
    ResultMap entry(writer);
    entry.add("cpu", cpu);
    entry.add("kept", fill.kept);
    entry.add("overwritten", fill.overwritten);
    entry.finish();
  }
  writer.end(token, count);
}

HandlerResult show_status(kernel::Trace& trace, ResultMap& result) {
  result.add_bool("on", trace.on());
  result.add("events_per_cpu", trace.events_per_cpu());
  if (trace.frozen()) {
    result.add_bool("frozen", true);
  }
  add_fill(trace, result);
  return Handled::Now;
}

}  // namespace

void add_trace_event(CborWriter& writer, const kernel::TraceEvent& event) {
  const kernel::TraceDescription& description = kernel::describe(event.type);
  ResultMap entry(writer);
  entry.add("time_ns", event.time_ns);
  entry.add("cpu", event.cpu);
  entry.add("event", description.name);
  for (std::size_t i = 0; i < kernel::kTraceArguments; ++i) {
    const kernel::TraceArgument& argument = description.arguments[i];
    if (argument.hex) {
      // A text: kernel addresses are beyond what many readers of JSON take for an integer.
      kernel::FixedText<20> text;
      kernel::format_to(text, "{:#x}", event.arguments[i]);
      entry.add(argument.name, text.view());
    } else if (!argument.name.empty()) {
      entry.add(argument.name, event.arguments[i]);
    }
  }
  entry.finish();
}

namespace {

/// The newest `count` events but the newest `skip`, oldest first.
HandlerResult dump(kernel::Trace& trace, std::uint64_t count, std::uint64_t skip, ResultMap& result) {
  const std::unique_ptr<kernel::TraceEvent[]> events(new (std::nothrow) kernel::TraceEvent[count]);
  if (events == nullptr) {
    return refuse(error::kBusy, "", "no memory for {} events", count);
  }
  kernel::TraceReader reader(trace);
  bool more = true;
  for (kernel::TraceEvent skipped; skip > 0 && more; --skip) {
    more = reader.next(skipped);
  }
  std::size_t found = 0;
  while (found < count && more) {
    more = reader.next(events[found]);
    found += more ? 1 : 0;
  }
  CborWriter& writer = result.key_for("events");
  writer.array(found);
  for (std::size_t i = found; i > 0; --i) {
    add_trace_event(writer, events[i - 1]);
  }
  result.add("left_off", reader.size() - found);
  std::uint64_t overwritten = 0;
  for (std::uint32_t cpu = 0; trace.has_ring(cpu); ++cpu) {
    overwritten += trace.fill(cpu).overwritten;
  }
  result.add("overwritten", overwritten);
  return Handled::Now;
}

}  // namespace

HandlerResult handle_trace(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  kernel::Trace& trace = services.trace;
  const std::string_view action = arguments.text("action", "status");
  if (action == "dump") {
    return dump(trace, arguments.number("count", kDefaultEvents), arguments.number("skip", 0), result);
  }
  for (const std::string_view name : {"count", "skip"}) {
    if (arguments.has(name)) {
      return refuse(error::kBadArgument, name, "{}: only for 'trace dump', found with 'trace {}'", name, action);
    }
  }
  if (action == "on") {
    if (!trace.reserve(services.pages, services.clock, services.cpus.count())) {
      return refuse(error::kBusy, "", "no memory for the trace: {} KiB a CPU",
                    trace.events_per_cpu() * sizeof(abi::trace::Record) / 1024);
    }
    trace.set_on(true);
  } else if (action == "off") {
    trace.set_on(false);
  } else if (action == "clear") {
    trace.clear();
  } else if (action == "freeze") {
    if (services.history != nullptr) {
      services.history->freeze();
    }
    trace.freeze();
  }
  return show_status(trace, result);
}

}  // namespace guest::control
