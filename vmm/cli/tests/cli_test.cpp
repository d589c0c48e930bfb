#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/cli/backend_choice.hpp"
#include "vmm/cli/format.hpp"
#include "vmm/cli/options.hpp"

namespace vmm::cli {
namespace {

using std::chrono::nanoseconds;
using testing::HasSubstr;

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "sisvmm");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), "9.8.7");
}

TEST(CommandLine, run_with_everything) {
  const auto parsed = parse({"run", "f.yaml", "--name", "n", "--run-dir", "d", "--cpus", "4", "--memory", "1GiB",
                             "--timeout", "2.5", "--json", "--kernel", "k"});
  ASSERT_TRUE(parsed.command) << parsed.text;
  const auto& run = std::get<RunOptions>(*parsed.command);
  EXPECT_EQ(run.file, "f.yaml");
  EXPECT_EQ(run.name, "n");
  EXPECT_EQ(run.run_dir, "d");
  EXPECT_EQ(run.kernel, "k");
  EXPECT_EQ(run.timeout_s, 2.5);
  EXPECT_TRUE(run.json);
  ASSERT_EQ(run.overrides.size(), 2U);
  EXPECT_EQ(run.overrides[0].key, "machine.cpus");
  EXPECT_EQ(run.overrides[0].value, "4");
  EXPECT_EQ(run.overrides[1].option, "--memory");
}

TEST(CommandLine, run_takes_how_often_and_until_when) {
  const auto parsed = parse({"run", "f.yaml", "--repeat", "20", "--until-failure"});
  ASSERT_TRUE(parsed.command) << parsed.text;
  const auto& run = std::get<RunOptions>(*parsed.command);
  EXPECT_EQ(run.repeat, 20U);
  EXPECT_TRUE(run.until_failure);
  for (const char* wrong : {"0", "10001", "x"})
    EXPECT_THAT(parse({"run", "f", "--repeat", wrong}).text, HasSubstr("--repeat"));
  EXPECT_FALSE(parse({"run", "f", "--until-failure"}).command);
  EXPECT_FALSE(parse({"run", "f", "-i", "--repeat", "2"}).command);
  EXPECT_FALSE(parse({"run", "f", "--web", "127.0.0.1:0", "--repeat", "2"}).command);
}

TEST(CommandLine, test_takes_paths_and_how_to_run_them) {
  const auto parsed = parse({"test", "a", "b", "--filter", "x*", "--jobs", "3", "--junit", "j", "--run-dir", "d"});
  ASSERT_TRUE(parsed.command) << parsed.text;
  const auto& test = std::get<TestOptions>(*parsed.command);
  EXPECT_EQ(test.paths, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(test.filter, "x*");
  EXPECT_EQ(test.jobs, 3U);
  EXPECT_EQ(test.junit, "j");
  EXPECT_EQ(test.run_dir, "d");
  EXPECT_FALSE(parse({"test"}).command);
  EXPECT_THAT(parse({"test", "a", "--jobs", "0"}).text, HasSubstr("1 to 256"));
}

TEST(CommandLine, report_takes_one_run_or_two) {
  const auto parsed = parse({"report", "a", "b", "-o", "f"});
  ASSERT_TRUE(parsed.command) << parsed.text;
  const auto& report = std::get<ReportOptions>(*parsed.command);
  EXPECT_EQ(report.folders, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(report.output, "f");
  EXPECT_FALSE(parse({"report"}).command);
  EXPECT_FALSE(parse({"report", "a", "b", "c"}).command);
}

TEST(CommandLine, run_and_restore_take_web) {
  EXPECT_EQ(std::get<RunOptions>(*parse({"run", "f", "--web", "127.0.0.1:0"}).command).web, "127.0.0.1:0");
  EXPECT_EQ(std::get<RestoreOptions>(*parse({"restore", "s", "--web", "127.0.0.1:1"}).command).web, "127.0.0.1:1");
}

TEST(CommandLine, restore_takes_a_folder_and_what_run_takes_of_a_session) {
  const auto parsed = parse({"restore", "s", "--name", "n", "--run-dir", "d", "--timeout", "3", "-i", "--audit"});
  ASSERT_TRUE(parsed.command) << parsed.text;
  const auto& restore = std::get<RestoreOptions>(*parsed.command);
  EXPECT_EQ(restore.folder, "s");
  EXPECT_EQ(restore.name, "n");
  EXPECT_EQ(restore.run_dir, "d");
  EXPECT_EQ(restore.timeout_s, 3.0);
  EXPECT_TRUE(restore.interactive);
  EXPECT_TRUE(restore.audit);
  EXPECT_FALSE(std::get<RestoreOptions>(*parse({"restore", "s"}).command).audit);
  EXPECT_FALSE(parse({"restore"}).command);
  EXPECT_FALSE(parse({"restore", "s", "--cpus", "2"}).command) << "a saved machine has the CPUs that it has";
}

TEST(CommandLine, boot_takes_a_kernel_and_a_machine) {
  const auto parsed = parse({"boot", "vmlinuz", "--initrd", "i", "--append", "console=ttyAMA0 quiet", "--format", "elf",
                             "--vsock", "v", "--gic-version", "2", "--timeout", "3"});
  ASSERT_TRUE(parsed.command) << parsed.text;
  const auto& boot = std::get<BootOptions>(*parsed.command);
  EXPECT_EQ(boot.kernel, "vmlinuz");
  EXPECT_EQ(boot.initrd, "i");
  EXPECT_EQ(boot.arguments, "console=ttyAMA0 quiet");
  EXPECT_EQ(boot.format, "elf");
  EXPECT_EQ(boot.vsock, "v");
  EXPECT_EQ(boot.timeout_s, 3.0);
  ASSERT_EQ(boot.overrides.size(), 1U);
  EXPECT_EQ(boot.overrides[0].key, "machine.gic_version");
}

TEST(CommandLine, dumpdtb_takes_a_machine) {
  const auto parsed = parse({"dumpdtb", "-o", "f", "--cpus", "4", "--pmu"});
  ASSERT_TRUE(parsed.command) << parsed.text;
  const auto& dump = std::get<DumpDtbOptions>(*parsed.command);
  EXPECT_EQ(dump.output, "f");
  EXPECT_TRUE(dump.pmu);
  ASSERT_EQ(dump.overrides.size(), 1U);
  EXPECT_EQ(dump.overrides[0].value, "4");
}

TEST(CommandLine, unknown_kernel_format_is_refused) {
  EXPECT_THAT(parse({"boot", "k", "--format", "raw"}).text, HasSubstr("--format"));
}

TEST(CommandLine, nothing_replaces_the_scenario_unless_given) {
  const auto parsed = parse({"run", "f.yaml"});
  ASSERT_TRUE(parsed.command);
  EXPECT_TRUE(std::get<RunOptions>(*parsed.command).overrides.empty());
}

TEST(CommandLine, every_command_is_known) {
  EXPECT_TRUE(std::holds_alternative<CheckOptions>(*parse({"check", "a", "b"}).command));
  EXPECT_TRUE(std::holds_alternative<DoctorOptions>(*parse({"doctor", "--json"}).command));
  EXPECT_TRUE(std::holds_alternative<ListOptions>(*parse({"ls"}).command));
  EXPECT_EQ(std::get<StopOptions>(*parse({"stop", "m", "--timeout", "0"}).command).timeout_s, 0.0);
  EXPECT_EQ(std::get<ConsoleOptions>(*parse({"console", "m"}).command).name, "m");
  EXPECT_EQ(std::get<SchemaOptions>(*parse({"schema"}).command).format, "scenario");
  EXPECT_EQ(std::get<SchemaOptions>(*parse({"schema", "trace"}).command).format, "trace");
  EXPECT_FALSE(parse({"schema", "audit"}).command);
}

TEST(CommandLine, wrong_usage_gives_2_and_says_what) {
  for (const std::vector<const char*>& wrong :
       std::vector<std::vector<const char*>>{{},
                                             {"run"},
                                             {"frobnicate"},
                                             {"run", "f", "--bogus"},
                                             {"run", "f", "--timeout", "x"},
                                             {"run", "f", "--timeout", "0"},
                                             {"run", "f", "-i", "--json"},
                                             {"run", "f", "-i", "--until-ready"},
                                             {"stop"},
                                             {"check"},
                                             {"run", "f", "g"}}) {
    const auto parsed = parse(wrong);
    EXPECT_FALSE(parsed.command);
    EXPECT_EQ(parsed.exit_code, 2);
    EXPECT_FALSE(parsed.text.empty());
  }
}

TEST(CommandLine, help_and_version_are_no_errors) {
  EXPECT_EQ(parse({"--help"}).exit_code, 0);
  EXPECT_THAT(parse({"run", "--help"}).text, HasSubstr("--memory"));
  EXPECT_EQ(parse({"--version"}).text, "sisvmm 9.8.7\n");
}

class BackendChoice : public testing::Test {
 protected:
  using Backend = scenario::Backend;

  Result<Backend> choose() {
    return choose_backend(machine_, [this] {
      ++asked_;
      return missing_;
    });
  }
  std::string refusal(abi::ExitCode code) {
    const auto chosen = choose();
    if (chosen) return "accepted";
    EXPECT_EQ(chosen.error().exit_code, code);
    return chosen.error().message;
  }

  scenario::Machine machine_;
  std::vector<std::string> missing_;
  unsigned asked_ = 0;
};

TEST_F(BackendChoice, auto_is_kvm_where_nothing_is_missing) {
  EXPECT_EQ(choose(), Backend::Kvm);
  missing_ = {"there is no /dev/kvm"};
  EXPECT_EQ(choose(), Backend::Qemu);
}

TEST_F(BackendChoice, auto_is_qemu_for_what_only_qemu_has) {
  machine_.cpu = "cortex-a57";
  EXPECT_EQ(choose(), Backend::Qemu);
  machine_.cpu = "host";
  EXPECT_EQ(choose(), Backend::Kvm);
  machine_.icount_shift = 0;
  EXPECT_EQ(choose(), Backend::Qemu);
  machine_.icount_shift.reset();
  machine_.accel = scenario::Accel::Tcg;
  EXPECT_EQ(choose(), Backend::Qemu);
  machine_.accel = scenario::Accel::Kvm;
  EXPECT_EQ(choose(), Backend::Kvm);
}

TEST_F(BackendChoice, qemu_by_name_does_not_look_for_kvm) {
  machine_.backend = Backend::Qemu;
  EXPECT_EQ(choose(), Backend::Qemu);
  EXPECT_EQ(asked_, 0U);
}

TEST_F(BackendChoice, kvm_by_name_says_why_not) {
  machine_.backend = Backend::Kvm;
  EXPECT_EQ(choose(), Backend::Kvm);
  machine_.cpu = "cortex-a57";
  EXPECT_THAT(refusal(abi::ExitCode::Usage), HasSubstr("machine.cpu is cortex-a57"));
  machine_.cpu.clear();
  missing_ = {"there is no /dev/kvm"};
  EXPECT_THAT(refusal(abi::ExitCode::HostLacks), HasSubstr("there is no /dev/kvm; `--backend qemu`"));
}

TEST(Format, durations_and_sizes) {
  EXPECT_EQ(format_duration(nanoseconds(999)), "999 ns");
  EXPECT_EQ(format_duration(nanoseconds(1500)), "1.50 us");
  EXPECT_EQ(format_duration(nanoseconds(12345678)), "12.3 ms");
  EXPECT_EQ(format_duration(nanoseconds(999999999)), "1.00 s");
  EXPECT_EQ(format_bytes(100), "100 B");
  EXPECT_EQ(format_bytes(512ull << 20), "512 MiB");
  EXPECT_EQ(format_bytes(1536ull << 20), "1.50 GiB");
}

TEST(Format, machine_names_are_made_of_any_text) {
  EXPECT_EQ(machine_name_from("hello"), "hello");
  EXPECT_EQ(machine_name_from("My first  scenario!"), "My-first-scenario");
  EXPECT_EQ(machine_name_from("../.."), "machine");
  EXPECT_EQ(machine_name_from(""), "machine");
  EXPECT_EQ(machine_name_from(std::string(100, 'a')).size(), 64U);
}

}  // namespace
}  // namespace vmm::cli
