// report: the page of a run that has ended, or of two.
#include <cstdio>

#include "commands.hpp"
#include "vmm/base/file.hpp"
#include "vmm/machine/registry.hpp"
#include "vmm/report/page.hpp"

namespace vmm::cli {

Result<> write_report(std::span<const std::filesystem::path> folders, const std::filesystem::path& file) {
  std::vector<report::RunData> runs;
  for (const auto& folder : folders) {
    auto run = report::read_run(folder);
    if (!run) return std::unexpected(std::move(run.error()));
    runs.push_back(std::move(*run));
  }
  return write_file(file, report::page(report::data_json(runs, false), false));
}

int report_page(const ReportOptions& options) {
  const std::vector<std::filesystem::path> folders(options.folders.begin(), options.folders.end());
  const std::filesystem::path file =
      options.output ? std::filesystem::path(*options.output) : folders.front() / machine::file::kReport;
  if (auto written = write_report(folders, file); !written) return report(written.error());
  std::printf("%s\n", file.c_str());
  return 0;
}

}  // namespace vmm::cli
