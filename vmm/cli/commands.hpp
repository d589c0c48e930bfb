// The commands of sisvmm. Each returns the exit code of the program.
#pragma once

#include <filesystem>
#include <span>

#include "vmm/base/result.hpp"
#include "vmm/cli/options.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::cli {

/// Of the monitor, "0.1.0".
const char* version();

int run(const RunOptions& options);
/// `run --repeat`.
int run_many(const RunOptions& options);
int test(const TestOptions& options);
int restore(const RestoreOptions& options);
int boot(const BootOptions& options);
int dumpdtb(const DumpDtbOptions& options);
int check(const CheckOptions& options);
int doctor(const DoctorOptions& options);
int list(const ListOptions& options);
int stop(const StopOptions& options);
int console(const ConsoleOptions& options);
int schema(const SchemaOptions& options);
int report_page(const ReportOptions& options);

/// Applies what the command line says of the machine. Errors: as scenario::set_option().
Result<> apply(const std::vector<Override>& overrides, scenario::Scenario& scenario);

/// "sisvmm: message" on the standard error; returns the error's exit code.
int report(const Error& error);

/// Writes the page of one run folder, or of two that are compared. Errors: as report::read_run(); the file cannot be
/// written.
Result<> write_report(std::span<const std::filesystem::path> folders, const std::filesystem::path& file);

/// Of this program; empty if that cannot be found out.
std::filesystem::path executable_path();

/// The guest image to boot: `given` (--kernel), the scenario's, $SIS_KERNEL, the one built with this program, or the
/// one installed with it. Errors: a named one that is no readable file (ExitCode::Usage), none at all (HostLacks).
Result<std::filesystem::path> find_kernel(const std::optional<std::string>& given, const scenario::Scenario& scenario);

}  // namespace vmm::cli
