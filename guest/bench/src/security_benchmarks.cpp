#include <new>

#include "guest/bench/benchmark.hpp"
#include "guest/kernel/timer.hpp"
#include "guest/security/audit_log.hpp"

namespace guest::bench {
namespace {

constexpr std::uint32_t kOperations = 16;

/// Not the machine's: what is measured is not to be read there.
constinit security::AuditLog* probe = nullptr;

Ready prepare_audit() {
  probe = new (std::nothrow) security::AuditLog(kernel::timers().clock());
  return probe != nullptr ? Ready() : std::unexpected(std::string_view("no memory"));
}

void finish_audit() {
  delete probe;
  probe = nullptr;
}

Sample take_audit(const Benchmark& self) {
  const security::AuditEntry entry = {.event = security::Event::CallDone,
                                      .who = {.rights = abi::control::Rights::All,
                                              .token = security::kFirstOwnId,
                                              .expires_unix_ns = 0,
                                              .connection = 1},
                                      .bytes = 100,
                                      .operation = "graph start"};
  return time_of(self.operations, [&] { probe->add(entry); });
}

constexpr Benchmark kBenchmarks[] = {
    {.name = "audit-record",
     .measures = "adding a record to the audit log, of which two blocks of SHA-256 are most",
     .operations = kOperations,
     .take = take_audit,
     .prepare = prepare_audit,
     .finish = finish_audit},
};

}  // namespace

std::span<const Benchmark> security_benchmarks() { return kBenchmarks; }

}  // namespace guest::bench
