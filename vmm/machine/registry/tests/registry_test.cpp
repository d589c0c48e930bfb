#include "vmm/machine/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "vmm/base/file.hpp"

namespace vmm::machine {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class RegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "sis-registry-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = fs::canonical(name);
    ::setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A machine whose monitor was killed: the entry and the files are there, the lock is not.
  void leave_dead_machine(const std::string& name, const fs::path& run_dir) {
    fs::create_directories(run_dir);
    ASSERT_TRUE(write_file(run_dir / file::kLock, std::string_view("sisvmm 1\n")));
    fs::create_symlink(run_dir, machines_folder().value() / name);
  }

  fs::path folder_;
};

TEST_F(RegistryTest, open_machine_is_found_alive_with_its_pid) {
  const auto run = RunDirectory::open(folder_ / "runs" / "a", "a");
  ASSERT_TRUE(run) << run.error().message;
  const auto entry = find_machine("a");
  ASSERT_TRUE(entry) << entry.error().message;
  EXPECT_TRUE(entry->alive);
  EXPECT_EQ(entry->pid, ::getpid());
  EXPECT_EQ(entry->run_dir, folder_ / "runs" / "a");
  struct stat status{};
  ASSERT_EQ(::stat(run->path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
}

TEST_F(RegistryTest, closed_machine_is_gone_and_its_files_stay) {
  {
    auto run = RunDirectory::open(folder_ / "a", "a");
    ASSERT_TRUE(run);
    ASSERT_TRUE(write_file(run->path_of(file::kSummary), std::string_view("{}")));
    ASSERT_TRUE(write_file(run->path_of(file::kVsockSocket), std::string_view("")));
  }
  EXPECT_FALSE(find_machine("a"));
  EXPECT_TRUE(fs::exists(folder_ / "a" / file::kSummary));
  EXPECT_FALSE(fs::exists(folder_ / "a" / file::kVsockSocket));
}

TEST_F(RegistryTest, name_in_use_is_refused_with_where_it_runs) {
  const auto first = RunDirectory::open(folder_ / "a", "same");
  ASSERT_TRUE(first);
  const auto second = RunDirectory::open(folder_ / "b", "same");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().exit_code, abi::ExitCode::Usage);
  EXPECT_THAT(second.error().message, HasSubstr("'same' runs already, in " + (folder_ / "a").string()));
}

TEST_F(RegistryTest, run_directory_in_use_is_refused) {
  const auto first = RunDirectory::open(folder_ / "a", "one");
  ASSERT_TRUE(first);
  const auto second = RunDirectory::open(folder_ / "a", "two");
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("is in use by a machine that runs"));
  EXPECT_TRUE(find_machine("one")->alive);
}

TEST_F(RegistryTest, dead_machine_is_listed_as_dead_and_can_be_reused) {
  leave_dead_machine("dead", folder_ / "old");
  ASSERT_TRUE(write_file(folder_ / "old" / file::kSummary, std::string_view("{}")));
  const auto machines = list_machines();
  ASSERT_TRUE(machines);
  ASSERT_EQ(machines->size(), 1U);
  EXPECT_FALSE(machines->front().alive);
  EXPECT_EQ(machines->front().pid, 0);
  const auto run = RunDirectory::open(folder_ / "old", "dead");
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_TRUE(find_machine("dead")->alive);
  EXPECT_FALSE(fs::exists(folder_ / "old" / file::kSummary)) << "a summary of the run before must not pass for ours";
}

TEST_F(RegistryTest, forget_removes_dead_and_leaves_living) {
  leave_dead_machine("dead", folder_ / "old");
  const auto run = RunDirectory::open(folder_ / "a", "alive");
  ASSERT_TRUE(run);
  EXPECT_TRUE(forget_dead_machine("dead"));
  EXPECT_TRUE(forget_dead_machine("alive"));
  EXPECT_FALSE(find_machine("dead"));
  EXPECT_TRUE(find_machine("alive"));
}

TEST_F(RegistryTest, folder_with_files_of_the_user_is_refused_and_untouched) {
  fs::create_directory(folder_ / "work");
  ASSERT_TRUE(write_file(folder_ / "work" / file::kScenario, std::string_view("mine")));
  const auto run = RunDirectory::open(folder_ / "work", "w");
  ASSERT_FALSE(run);
  EXPECT_THAT(run.error().message, HasSubstr("not of an earlier run"));
  EXPECT_EQ(read_file(folder_ / "work" / file::kScenario, 10).value(), "mine");
  EXPECT_FALSE(find_machine("w"));
}

TEST_F(RegistryTest, missing_machine_error_names_those_that_run) {
  const auto run = RunDirectory::open(folder_ / "a", "one");
  ASSERT_TRUE(run);
  EXPECT_EQ(find_machine("two").error().message, "no machine named 'two'; these run: one");
}

TEST_F(RegistryTest, names_are_checked) {
  for (const char* good : {"a", "hello-1.2_x", "0"}) EXPECT_TRUE(is_machine_name(good)) << good;
  for (const char* bad : {"", ".", "..", "-a", "a/b", "a b", "../x"}) EXPECT_FALSE(is_machine_name(bad)) << bad;
  EXPECT_FALSE(is_machine_name(std::string(65, 'a')));
  EXPECT_FALSE(RunDirectory::open(folder_ / "a", "../evil"));
  EXPECT_FALSE(find_machine("../evil"));
}

TEST_F(RegistryTest, control_key_of_wrong_size_is_refused) {
  ASSERT_TRUE(write_file(folder_ / "k", std::string(31, 'k'), 0600));
  EXPECT_FALSE(read_control_key(folder_ / "k"));
  ASSERT_TRUE(write_file(folder_ / "k", std::string(32, 'k'), 0600));
  EXPECT_EQ(read_control_key(folder_ / "k").value()[31], 'k');
}

}  // namespace
}  // namespace vmm::machine
