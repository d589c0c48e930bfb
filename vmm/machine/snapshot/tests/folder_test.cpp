#include "vmm/machine/snapshot/folder.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/file.hpp"

namespace vmm::snapshot {
namespace {

namespace fs = std::filesystem;

class SnapshotFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "sis-folder-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string refusal(const fs::path& path) {
    const auto folder = NewFolder::create(path);
    return folder ? "none" : folder.error().message;
  }

  fs::path root_;
};

TEST_F(SnapshotFolder, files_are_new_and_private_and_an_empty_initrd_goes) {
  auto folder = NewFolder::create(root_ / "s");
  const auto files = folder->create_files();
  ASSERT_TRUE(files) << files.error().message;
  for (const auto* file : {&files->machine, &files->memory, &files->kernel, &files->initrd}) {
    struct stat status{};
    ASSERT_EQ(::fstat(file->get(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
  }
  const auto again = folder->create_files();
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message.find("File exists"), std::string::npos);
  ASSERT_TRUE(folder->commit());
  EXPECT_TRUE(fs::exists(root_ / "s" / "machine"));
  EXPECT_FALSE(fs::exists(root_ / "s" / "initrd"));
}

TEST_F(SnapshotFolder, initrd_with_something_in_it_stays) {
  auto folder = NewFolder::create(root_ / "s");
  const auto files = folder->create_files();
  ASSERT_TRUE(files);
  ASSERT_TRUE(write_all(files->initrd, std::as_bytes(std::span("x", 1)), "initrd"));
  ASSERT_TRUE(folder->commit());
  EXPECT_EQ(fs::file_size(root_ / "s" / "initrd"), 1U);
}

TEST_F(SnapshotFolder, gets_its_name_when_it_is_complete) {
  auto folder = NewFolder::create(root_ / "s");
  ASSERT_TRUE(folder) << folder.error().message;
  struct stat status{};
  ASSERT_EQ(::stat(folder->partial().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  ASSERT_TRUE(write_file(folder->partial() / "f", std::string("x")));
  EXPECT_FALSE(fs::exists(root_ / "s"));
  ASSERT_TRUE(folder->commit());
  EXPECT_EQ(read_file(root_ / "s" / "f", 10).value(), "x");
  EXPECT_FALSE(fs::exists(root_ / "s.partial"));
}

TEST_F(SnapshotFolder, is_removed_if_it_was_not_completed) {
  {
    auto folder = NewFolder::create(root_ / "s");
    ASSERT_TRUE(folder);
    ASSERT_TRUE(write_file(folder->partial() / "f", std::string("x")));
  }
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(SnapshotFolder, takes_the_place_of_an_empty_one) {
  fs::create_directory(root_ / "s");
  auto folder = NewFolder::create(root_ / "s");
  ASSERT_TRUE(folder) << folder.error().message;
  ASSERT_TRUE(folder->commit());
}

TEST_F(SnapshotFolder, does_not_replace_what_is_there) {
  fs::create_directories(root_ / "s" / "old");
  ASSERT_TRUE(write_file(root_ / "file", std::string("x")));
  fs::create_symlink("nowhere", root_ / "link");
  for (const char* name : {"s", "file", "link"}) {
    EXPECT_NE(refusal(root_ / name).find(std::string(name) + ": it is there already"), std::string::npos) << name;
  }
  EXPECT_TRUE(fs::exists(root_ / "s" / "old"));
  EXPECT_TRUE(fs::exists(root_ / "file"));
}

TEST_F(SnapshotFolder, one_is_written_at_a_time) {
  auto folder = NewFolder::create(root_ / "s");
  ASSERT_TRUE(folder);
  EXPECT_NE(refusal(root_ / "s").find("s.partial is there; another snapshot"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder->partial())) << "the second took the first one's away";
}

TEST_F(SnapshotFolder, impossible_names_are_refused) {
  EXPECT_NE(refusal(root_ / "no" / "s").find("No such file"), std::string::npos);
  EXPECT_NE(refusal(root_ / "").find("without a slash"), std::string::npos);
  EXPECT_NE(refusal("").find("without a slash"), std::string::npos);
}

}  // namespace
}  // namespace vmm::snapshot
