#include "vmm/scenario/boot_archive.hpp"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>

#include "abi/boot_config.hpp"
#include "cpio_writer.hpp"
#include "guest/kernel/archive.hpp"
#include "guest/kernel/boot_config.hpp"
#include "vmm/base/file.hpp"
#include "vmm/scenario/files.hpp"

namespace vmm::scenario {
namespace {

using testing::HasSubstr;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

RunValues run_values() {
  RunValues run{.control_key = {}, .unix_time_ns = 0x0123456789ABCDEF, .control_seed = ControlSeed{1, 2, 3}};
  for (std::size_t i = 0; i < run.control_key.size(); ++i) run.control_key[i] = static_cast<std::uint8_t>(0xA0 + i);
  return run;
}

Scenario scenario() {
  Scenario scenario;
  scenario.name = "hello";
  scenario.verbosity = Verbosity::Info;
  scenario.test_services = true;
  scenario.legacy_socket = LegacySocket{.tcp = "127.0.0.1:4000"};
  return scenario;
}

/// What `command` prints, run in a folder that holds `file` as "input".
std::string output_of(const std::string& command, std::span<const std::byte> file) {
  std::string folder = testing::TempDir() + "sis-archive-XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  EXPECT_TRUE(write_file(folder + "/input", file));
  std::FILE* pipe = popen(("cd " + folder + " && " + command + " 2>&1").c_str(), "r");
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output += static_cast<char>(c);
  EXPECT_EQ(pclose(pipe), 0) << output;
  std::filesystem::remove_all(folder);
  return output;
}

bool has_program(const char* name) {
  return std::system((std::string("command -v ") + name + " >/dev/null").c_str()) == 0;
}

TEST(BootArchiveTest, guest_reads_servers_and_tasks_as_the_scenario_says_them) {
  using namespace std::chrono_literals;
  Scenario with = scenario();
  with.scheduler.bound_ppm = 500'000;
  with.scheduler.start = Start::Manual;
  with.scheduler.servers = {
      {.name = "a", .budget = 2ms, .period = 10ms, .deadline = 8ms, .cpu = 1},
      {.name = "b", .budget = 1us, .period = 10us, .reservation = Reservation::Soft, .reclaim = true}};
  with.tasks = {{.name = "jobs", .server = "b", .periodic = PeriodicLoad{.period = 20us, .work = 3us, .jobs = 7}},
                {.name = "hog", .cpu = 1, .greedy = GreedyLoad{.start = 5ns, .length = 60s}},
                {.name = "forever", .greedy = GreedyLoad{}}};
  const auto tree = make_tree(with, run_values());
  ASSERT_TRUE(tree) << tree.error().message;
  guest::kernel::BootConfig config;
  const auto outcome = guest::kernel::read_scenario_tree(*tree, config);
  ASSERT_TRUE(outcome) << outcome.error().detail.view();
  EXPECT_EQ(config.bound_ppm, 500'000U);
  EXPECT_TRUE(config.manual_start);
  ASSERT_EQ(config.servers.size(), 2U);
  EXPECT_EQ(config.servers[0].deadline_ns, 8'000'000U);
  EXPECT_EQ(config.servers[0].cpu, 1U);
  EXPECT_EQ(config.servers[1].deadline_ns, 10'000U);  // the period
  EXPECT_TRUE(config.servers[1].soft);
  EXPECT_TRUE(config.servers[1].reclaim && !config.servers[0].reclaim);
  ASSERT_EQ(config.tasks.size(), 3U);
  EXPECT_EQ(config.tasks[0].server, 1U);
  EXPECT_EQ(config.tasks[0].work_ns, 3'000U);
  EXPECT_EQ(config.tasks[0].deadline_ns, 20'000U);
  EXPECT_EQ(config.tasks[0].jobs, 7U);
  EXPECT_EQ(config.tasks[1].kind, guest::kernel::TaskConfig::Kind::Greedy);
  EXPECT_EQ(config.tasks[1].cpu, 1U);
  EXPECT_EQ(config.tasks[1].length_ns, 60'000'000'000U);
  EXPECT_EQ(config.tasks[2].length_ns, 0U);
}

/// The first bytes of an executable for AArch64, with what `change` does to them.
std::string elf(const std::function<void(Elf64_Ehdr&)>& change = [](Elf64_Ehdr&) {}) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_EXEC;
  header.e_machine = EM_AARCH64;
  change(header);
  std::string bytes(sizeof(header), 0);
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

/// A folder with files, for one test.
class ProgramsTest : public testing::Test {
 protected:
  ProgramsTest() { EXPECT_NE(mkdtemp(folder.data()), nullptr); }
  ~ProgramsTest() override { std::filesystem::remove_all(folder); }

  std::string file(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(folder + "/" + name).parent_path());
    EXPECT_TRUE(write_file(folder + "/" + name, bytes));
    return folder + "/" + name;
  }
  static Scenario with(const std::vector<std::string>& files) {
    Scenario result = scenario();
    for (const std::string& path : files) {
      result.tasks.push_back({.name = "t" + std::to_string(result.tasks.size()), .program = UserProgram{.file = path}});
    }
    return result;
  }
  static std::string error_of(const std::vector<std::string>& files, const FileLimits& limits = {}) {
    const auto programs = read_files(with(files), limits);
    if (programs) return "no error";
    EXPECT_EQ(programs.error().exit_code, abi::ExitCode::Usage);
    return programs.error().message;
  }

  std::string folder = testing::TempDir() + "sis-programs-XXXXXX";
};

TEST_F(ProgramsTest, each_file_is_in_the_archive_once_and_the_guest_finds_it) {
  const std::string hello = file("hello.elf", elf() + "hello");
  Scenario scenario = with({hello, file("other", elf() + "other"), hello});
  scenario.tasks[0].program->arguments = {"one", "two words"};
  scenario.tasks[0].program->memory_bytes = 1 << 20;
  scenario.tasks[0].program->llm = TaskLlm{.model = "stories", .max_tokens = 40, .rights = TaskRights::Submit};
  const auto archive = make_archive(scenario, run_values());
  ASSERT_TRUE(archive) << archive.error().message;
  guest::kernel::Archive reader;
  ASSERT_TRUE(reader.open(*archive));
  EXPECT_EQ(reader.files().size(), 3U);
  guest::kernel::BootConfig config;
  const auto tree = make_tree(scenario, run_values());
  ASSERT_TRUE(guest::kernel::read_scenario_tree(*tree, config));
  const guest::kernel::TaskConfig& task = config.tasks[0];
  EXPECT_EQ(task.kind, guest::kernel::TaskConfig::Kind::Program);
  EXPECT_EQ(task.program.view(), "programs/hello");
  EXPECT_EQ(task.arguments.view(), std::string_view("one\0two words\0", 14));
  EXPECT_EQ(task.memory_bytes, 1U << 20);
  EXPECT_EQ(task.llm_model.view(), "stories");
  EXPECT_EQ(std::pair(task.llm_max_tokens, task.llm_rights), std::pair(40U, 2U));
  EXPECT_TRUE(config.tasks[1].llm_model.view().empty());
  EXPECT_EQ(config.tasks[1].memory_bytes, 4U << 20);
  EXPECT_TRUE(config.tasks[1].arguments.view().empty());
  const auto found = reader.find(task.program.view());
  ASSERT_TRUE(found);
  EXPECT_TRUE(std::ranges::equal(found->data, bytes_of(elf() + "hello")));
  EXPECT_TRUE(reader.find(config.tasks[1].program.view()));
}

TEST_F(ProgramsTest, what_is_no_program_is_refused_with_the_reason) {
  const auto refusal = [](const std::string& why) {
    return "tasks[0].program.file: found no program (" + why +
           "), allowed: an ELF executable for AArch64 of at most 64MiB";
  };
  EXPECT_EQ(error_of({folder + "/absent"}), refusal("cannot open " + folder + "/absent: No such file or directory"));
  EXPECT_EQ(error_of({folder}), refusal("cannot read " + folder + ": it is not a regular file"));
  const auto why = [&](const std::string& name, const std::string& bytes, const std::string& reason) {
    const std::string path = file(name, bytes);
    EXPECT_EQ(error_of({path}), refusal(path + ": " + reason));
  };
  why("short", "x", "1 bytes: no ELF file is that short");
  why("text", std::string(100, 'x'), "it is no ELF file");
  why("x86", elf([](Elf64_Ehdr& header) { header.e_machine = EM_X86_64; }),
      "it is not for 64-bit little-endian AArch64 (class 2, byte order 1, machine 62)");
  why("arm32", elf([](Elf64_Ehdr& header) { header.e_ident[EI_CLASS] = ELFCLASS32; }),
      "it is not for 64-bit little-endian AArch64 (class 1, byte order 1, machine 183)");
  why("big-endian", elf([](Elf64_Ehdr& header) { header.e_ident[EI_DATA] = ELFDATA2MSB; }),
      "it is not for 64-bit little-endian AArch64 (class 2, byte order 2, machine 183)");
  why("pie", elf([](Elf64_Ehdr& header) { header.e_type = ET_DYN; }),
      "it has type 3, expected 2, an executable at fixed addresses (-static -no-pie)");
}

TEST_F(ProgramsTest, every_bad_file_is_named_with_its_place) {
  Scenario scenario = with({file("good.elf", elf()), file("text", std::string(100, 'x')), folder + "/absent"});
  scenario.tasks[1].program->place = "a.yaml:7:20: tasks[1].program.file";
  const auto archive = make_archive(scenario, run_values());
  ASSERT_FALSE(archive);
  EXPECT_EQ(archive.error().exit_code, abi::ExitCode::Usage);
  EXPECT_THAT(archive.error().message, testing::MatchesRegex("a.yaml:7:20: tasks.1..program.file: found no program .*\n"
                                                             "tasks.2..program.file: found no program .*"));
}

TEST_F(ProgramsTest, files_have_as_many_bytes_as_is_allowed) {
  const std::string one = file("one", elf());
  const std::string two = file("two", elf());
  EXPECT_EQ(error_of({one}, {.program_bytes = sizeof(Elf64_Ehdr)}), "no error");
  EXPECT_THAT(error_of({one}, {.program_bytes = sizeof(Elf64_Ehdr) - 1}),
              HasSubstr("it has more than the 63 bytes that are allowed), allowed: an ELF executable for AArch64 of at "
                        "most 63B"));
  EXPECT_EQ(error_of({one, two, one}, {.total_bytes = 2 * sizeof(Elf64_Ehdr)}), "no error");
  EXPECT_EQ(error_of({one, two}, {.total_bytes = 2 * sizeof(Elf64_Ehdr) - 1}),
            "tasks[1].program.file: found 128 bytes with the files before it, allowed: at most 127B of all files "
            "together");
}

TEST_F(ProgramsTest, names_that_the_archive_cannot_have_are_refused) {
  const auto refusal = [](const std::string& path) {
    return "tasks[0].program.file: found " + path +
           ", allowed: a file with a name of at most 55 of A-Z a-z 0-9 . _ -, without its .elf";
  };
  for (const std::string& name :
       {std::string("a b"), std::string("caf\xC3\xA9.elf"), std::string("..elf"), std::string(56, 'n')}) {
    const std::string path = file(name, elf());
    EXPECT_EQ(error_of({path}), refusal(path));
  }
  EXPECT_EQ(error_of({file(std::string(55, 'n') + ".elf", elf())}), "no error");
}

TEST_F(ProgramsTest, two_files_of_one_name_are_refused) {
  EXPECT_EQ(error_of({file("a/same.elf", elf()), file("b/same", elf())}),
            "tasks[1].program.file: found " + folder + "/b/same, allowed: a file with a name of its own (" + folder +
                "/a/same.elf has this one)");
}

TEST(BootArchiveTest, guest_reads_what_the_scenario_says) {
  const auto archive = make_archive(scenario(), run_values());
  ASSERT_TRUE(archive) << archive.error().message;
  guest::kernel::Archive reader;
  ASSERT_TRUE(reader.open(*archive));
  ASSERT_EQ(reader.files().size(), 1u);
  const auto tree = reader.find(abi::boot_config::kScenarioFile);
  ASSERT_TRUE(tree);
  const std::vector<std::byte> aligned(tree->data.begin(), tree->data.end());
  guest::kernel::BootConfig config;
  const auto outcome = guest::kernel::read_scenario_tree(aligned, config);
  ASSERT_TRUE(outcome) << outcome.error().name << ": " << outcome.error().detail.view();
  EXPECT_EQ(config.name.view(), "hello");
  EXPECT_EQ(config.unix_time_ns, 0x0123456789ABCDEFu);
  EXPECT_EQ(config.verbosity, guest::kernel::Verbosity::Info);
  EXPECT_EQ(config.control_key, run_values().control_key);
  EXPECT_EQ(config.control_seed, run_values().control_seed);
  EXPECT_TRUE(config.test_services);
  EXPECT_TRUE(config.legacy_socket);
}

TEST(BootArchiveTest, guest_reads_every_verbosity_and_absent_services) {
  using Guest = guest::kernel::Verbosity;
  for (const auto& [ours, theirs] : {std::pair(Verbosity::Quiet, Guest::Quiet), std::pair(Verbosity::Info, Guest::Info),
                                     std::pair(Verbosity::Debug, Guest::Debug)}) {
    Scenario quiet;
    quiet.name = "q";
    quiet.verbosity = ours;
    const auto tree = make_tree(quiet, {.control_key = {}, .unix_time_ns = 0});
    ASSERT_TRUE(tree);
    guest::kernel::BootConfig config;
    ASSERT_TRUE(guest::kernel::read_scenario_tree(*tree, config));
    EXPECT_EQ(config.verbosity, theirs);
    EXPECT_EQ(config.unix_time_ns, 0u);
    EXPECT_FALSE(config.control_seed);
    EXPECT_FALSE(config.test_services);
    EXPECT_FALSE(config.legacy_socket);
  }
}

TEST(BootArchiveTest, one_scenario_gives_one_archive) {
  EXPECT_EQ(*make_archive(scenario(), run_values()), *make_archive(scenario(), run_values()));
}

TEST(BootArchiveTest, tree_grows_with_the_scenario_and_is_bounded) {
  Scenario big = scenario();
  big.name = std::string(100'000, 'n');
  const auto tree = make_tree(big, run_values());
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_GT(tree->size(), big.name.size());
  big.name = std::string(abi::boot_config::kMaxTreeBytes, 'n');
  EXPECT_FALSE(make_archive(big, run_values()));
}

TEST(BootArchiveTest, cpio_lists_the_archive) {
  if (!has_program("cpio")) GTEST_SKIP() << "cpio is not installed";
  EXPECT_THAT(output_of("cpio -it --quiet <input", *make_archive(scenario(), run_values())), "scenario.dtb\n");
}

TEST(BootArchiveTest, dtc_shows_the_tree) {
  if (!has_program("dtc")) GTEST_SKIP() << "dtc is not installed";
  const std::string source = output_of("dtc -q -I dtb -O dts input", *make_tree(scenario(), run_values()));
  EXPECT_THAT(source, HasSubstr("compatible = \"sis,scenario-v1\";"));
  EXPECT_THAT(source, HasSubstr("sis,name = \"hello\";"));
  EXPECT_THAT(source, HasSubstr("sis,unix-time-ns = <0x1234567 0x89abcdef>;"));
  EXPECT_THAT(source, HasSubstr("verbosity = \"info\";"));
  EXPECT_THAT(source, HasSubstr("key = <0xa0a1a2a3 0xa4a5a6a7"));
  EXPECT_THAT(source, HasSubstr("test-services;"));
}

// Sizes around the alignment, and an empty file.
TEST(CpioWriterTest, guest_and_cpio_read_every_alignment) {
  CpioWriter writer;
  for (std::size_t i = 0; i < 9; ++i) {
    ASSERT_TRUE(writer.add("f/" + std::string(i + 1, 'n'), bytes_of(std::string(i, 'd'))));
  }
  const std::vector<std::byte> archive = std::move(writer).finish();
  EXPECT_EQ(archive.size() % 4, 0u);
  guest::kernel::Archive reader;
  ASSERT_TRUE(reader.open(archive));
  ASSERT_EQ(reader.files().size(), 9u);
  for (std::size_t i = 0; i < 9; ++i) {
    const auto file = reader.find("f/" + std::string(i + 1, 'n'));
    ASSERT_TRUE(file);
    EXPECT_EQ(file->data.size(), i);
    EXPECT_TRUE(std::ranges::all_of(file->data, [](std::byte b) { return b == std::byte{'d'}; }));
  }
  if (!has_program("cpio")) GTEST_SKIP() << "cpio is not installed";
  EXPECT_EQ(output_of("cpio -it --quiet <input | wc -l", archive), "9\n");
  EXPECT_EQ(output_of("cpio -id --quiet <input && cat f/nnnn && wc -c <f/n", archive), "ddd0\n");
}

TEST(CpioWriterTest, names_that_the_guest_refuses_are_refused) {
  CpioWriter writer;
  const std::string too_long(abi::boot_config::kMaxNameBytes + 1, 'n');
  for (const std::string& name : {std::string(), std::string("/etc"), std::string("a/../b"), std::string(".."),
                                  std::string("."), std::string("a//b"), std::string("a/"), std::string("a\nb"),
                                  std::string("a\0b", 3), std::string("TRAILER!!!"), too_long}) {
    EXPECT_FALSE(writer.add(name, {})) << name;
  }
  EXPECT_TRUE(writer.add(std::string(abi::boot_config::kMaxNameBytes, 'n'), {}));
  EXPECT_TRUE(writer.add("..a/b..c", {}));
  EXPECT_EQ(writer.add("..a/b..c", {}).error().message, "boot archive: two files called ..a/b..c");
  guest::kernel::Archive reader;
  EXPECT_TRUE(reader.open(std::move(writer).finish()));
}

TEST(CpioWriterTest, number_of_files_is_bounded_as_in_the_guest) {
  CpioWriter writer;
  for (std::size_t i = 0; i < abi::boot_config::kMaxArchiveEntries; ++i) {
    ASSERT_TRUE(writer.add("f" + std::to_string(i), {}));
  }
  EXPECT_EQ(writer.add("one-more", {}).error().message, "boot archive: more than 256 files");
  const std::vector<std::byte> archive = std::move(writer).finish();
  guest::kernel::Archive reader;
  const auto outcome = reader.open(archive);
  EXPECT_TRUE(outcome) << outcome.error().detail.view();
}

}  // namespace
}  // namespace vmm::scenario
