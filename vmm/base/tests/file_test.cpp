#include "vmm/base/file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "vmm/base/unix_socket.hpp"

namespace vmm {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "sis-file-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(FileTest, file_in_pieces_is_there_when_it_is_whole) {
  {
    auto writer = FileWriter::create(folder_ / "f");
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->write("ab"));
    ASSERT_TRUE(writer->write("c"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "f"));
    ASSERT_TRUE(writer->commit());
    EXPECT_EQ(read_file(folder_ / "f", 10), "abc");
  }
  {
    auto given_up = FileWriter::create(folder_ / "g");
    ASSERT_TRUE(given_up);
    ASSERT_TRUE(given_up->write("ab"));
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1) << "what was given up is gone";
}

TEST_F(FileTest, write_file_sets_mode_and_read_file_returns_all_bytes) {
  const std::string text("a\0b\n", 4);
  ASSERT_TRUE(write_file(folder_ / "f", text, 0600));
  struct stat status{};
  ASSERT_EQ(::stat((folder_ / "f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(read_file(folder_ / "f", 4).value(), text);
}

TEST_F(FileTest, write_new_file_has_its_mode_and_replaces_nothing) {
  ASSERT_TRUE(write_new_file(folder_ / "f", "first", 0600));
  struct stat status{};
  ASSERT_EQ(::stat((folder_ / "f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  std::filesystem::create_symlink(folder_ / "not there", folder_ / "link");
  for (const char* const name : {"f", "link"}) {
    const auto written = write_new_file(folder_ / name, "second");
    ASSERT_FALSE(written) << name;
    EXPECT_EQ(written.error().message, "cannot create " + (folder_ / name).string() + ": File exists");
  }
  EXPECT_EQ(read_file(folder_ / "f", 10).value(), "first");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "not there"));
}

TEST_F(FileTest, read_file_longer_than_allowed_is_an_error_that_says_so) {
  ASSERT_TRUE(write_file(folder_ / "f", std::string(5, 'x')));
  const auto text = read_file(folder_ / "f", 4);
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().message.find("more than the 4 bytes"), std::string::npos) << text.error().message;
}

TEST_F(FileTest, read_file_of_a_fifo_does_not_block) {
  ASSERT_EQ(::mkfifo((folder_ / "p").c_str(), 0600), 0);
  const auto text = read_file(folder_ / "p", 4);
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().message.find("not a regular file"), std::string::npos);
}

TEST_F(FileTest, write_file_into_missing_folder_names_the_file) {
  const auto written = write_file(folder_ / "no" / "f", std::string_view("x"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message,
            "cannot create " + (folder_ / "no" / "f").string() + ": No such file or directory");
}

TEST_F(FileTest, private_folder_is_closed_to_others_and_refuses_links) {
  std::filesystem::create_directory(folder_ / "d");
  std::filesystem::permissions(folder_ / "d", std::filesystem::perms::all);
  ASSERT_TRUE(make_private_folder(folder_ / "d"));
  struct stat status{};
  ASSERT_EQ(::stat((folder_ / "d").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  std::filesystem::create_symlink(folder_ / "d", folder_ / "link");
  EXPECT_FALSE(make_private_folder(folder_ / "link"));
}

TEST_F(FileTest, unix_socket_with_a_long_path_can_be_reached) {
  const auto deep = folder_ / std::string(90, 'a') / std::string(90, 'b');
  std::filesystem::create_directories(deep);
  const auto listener = listen_unix(deep / "s.sock");
  ASSERT_TRUE(listener) << std::strerror(listener.error());
  EXPECT_TRUE(connect_unix(deep / "s.sock"));
  EXPECT_TRUE(std::filesystem::is_socket(deep / "s.sock"));
}

TEST_F(FileTest, connect_unix_tells_missing_from_refused) {
  EXPECT_EQ(connect_unix(folder_ / "s").error(), ENOENT);
  {
    const auto listener = listen_unix(folder_ / "s");
  }
  EXPECT_EQ(connect_unix(folder_ / "s").error(), ECONNREFUSED);
  EXPECT_EQ(listen_unix(folder_ / "s").error(), EADDRINUSE);
}

TEST_F(FileTest, client_that_sees_the_socket_is_never_refused) {
  const auto path = folder_ / "s";
  std::atomic<bool> stop = false;
  std::atomic<unsigned> refused = 0, connected = 0, absent = 0;
  std::thread client([&] {
    while (!stop) {
      const auto fd = connect_unix(path, Blocking::No);
      if (fd) ++connected;
      if (!fd && fd.error() == ECONNREFUSED) ++refused;
      if (!fd && fd.error() == ENOENT) ++absent;
    }
  });
  for (unsigned round = 0; round < 5000; ++round) {
    const auto listener = listen_unix(path, 4096);
    ASSERT_TRUE(listener) << listener.error();
    for (const unsigned before = connected; connected == before;) std::this_thread::yield();
    ASSERT_EQ(::unlink(path.c_str()), 0);
    // It listens on until no attempt is under way that began while the name was there.
    for (const unsigned before = absent; absent < before + 2;) std::this_thread::yield();
  }
  stop = true;
  client.join();
  EXPECT_EQ(refused, 0U);
}

TEST_F(FileTest, listening_twice_is_refused_and_leaves_nothing_behind) {
  const auto first = listen_unix(folder_ / "s");
  ASSERT_TRUE(first);
  EXPECT_EQ(listen_unix(folder_ / "s").error(), EADDRINUSE);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

}  // namespace
}  // namespace vmm
