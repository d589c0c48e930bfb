// The reader of boot archives.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "archive_builder.hpp"
#include "guest/kernel/boot_config.hpp"

namespace guest::kernel {
namespace {

using testing::bytes_of;
using testing::describe;
using testing::entry;
using testing::kDirectory;
using testing::kFile;
using testing::trailer;

std::string archive_error(const std::string& bytes) {
  Archive archive;
  const Outcome outcome = archive.open(bytes_of(bytes));
  EXPECT_TRUE(outcome || archive.files().empty());
  return describe(outcome);
}

TEST(Archive, files_are_found_and_directories_skipped) {
  const std::string bytes =
      entry("models", "", kDirectory, 2) + entry("models/m.gguf", "weights") + entry("./a", "") + trailer();
  Archive archive;
  const Outcome outcome = archive.open(bytes_of(bytes));
  ASSERT_TRUE(outcome) << describe(outcome);
  ASSERT_EQ(archive.files().size(), 2U);
  const auto model = archive.find("models/m.gguf");
  ASSERT_TRUE(model);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(model->data.data()), model->data.size()), "weights");
  EXPECT_TRUE(archive.find("a"));
  EXPECT_TRUE(archive.find("a")->data.empty());
  EXPECT_FALSE(archive.find("models"));
  EXPECT_FALSE(archive.find("missing"));
}

TEST(Archive, zeros_after_the_trailer_are_padding) {
  EXPECT_EQ(archive_error(entry("a", "1") + trailer() + std::string(1000, '\0')), "no error");
}

TEST(Archive, opened_again_forgets_what_it_held) {
  const std::string first = entry("a", "1") + trailer();
  const std::string second = trailer();
  Archive archive;
  ASSERT_TRUE(archive.open(bytes_of(first)));
  ASSERT_TRUE(archive.open(bytes_of(second)));
  EXPECT_TRUE(archive.files().empty());
}

TEST(Archive, archive_of_the_cpio_tool_is_read) {
  if (std::system("command -v cpio >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "cpio is not installed";
  }
  FILE* const pipe = popen(
      "d=$(mktemp -d) && cd \"$d\" && mkdir -p models && printf hello >models/m && "
      "find . | cpio -o -H newc 2>/dev/null; rm -r \"$d\"",
      "r");
  ASSERT_NE(pipe, nullptr);
  std::string bytes;
  char buffer[512];
  for (std::size_t got = 0; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    bytes.append(buffer, got);
  }
  pclose(pipe);
  Archive archive;
  const Outcome outcome = archive.open(bytes_of(bytes));
  ASSERT_TRUE(outcome) << describe(outcome);
  ASSERT_EQ(archive.files().size(), 1U);
  EXPECT_EQ(archive.files()[0].name, "models/m");
}

TEST(Archive, as_many_entries_as_allowed_and_no_more) {
  std::string bytes;
  for (std::size_t i = 0; i < abi::boot_config::kMaxArchiveEntries; ++i) {
    bytes += entry("f" + std::to_string(i), "x");
  }
  EXPECT_EQ(archive_error(bytes + trailer()), "no error");
  EXPECT_EQ(archive_error(bytes + entry("one-more", "x") + trailer()), "archive-too-many: more than 256 entries");
}

TEST(ArchiveErrors, truncated_anywhere_is_said) {
  const std::string whole = entry("scenario.dtb", "some data") + trailer();
  const std::size_t needed = whole.size() - 3;  // padding of the trailer's name
  for (std::size_t size = 0; size < needed; ++size) {
    EXPECT_EQ(archive_error(whole.substr(0, size)).substr(0, 18), "archive-truncated:") << size;
  }
}

TEST(ArchiveErrors, messages_say_what_was_found) {
  EXPECT_EQ(archive_error(""), "archive-truncated: a header at byte 0 of 0 needs 110 bytes, 0 are left");
  EXPECT_EQ(
      archive_error(std::string("\x1f\x8b") + std::string(200, 'z')),
      "archive-bad-magic: entry at byte 0 starts with '\\x1f\\x8bzzzz', expected '070701' (newc, not compressed)");
  std::string field = entry("a", "") + trailer();
  field[6] = 'g';
  EXPECT_EQ(archive_error(field),
            "archive-bad-field: entry at byte 0: field 1 is 'g0000001', expected 8 hexadecimal digits");
  std::string checksum = entry("a", "") + trailer();
  checksum[109] = '1';
  EXPECT_EQ(archive_error(checksum), "archive-bad-field: entry at byte 0: checksum 0x1, expected 0 in this format");
  EXPECT_EQ(archive_error(entry("a", "1") + entry("./a", "2") + trailer()), "archive-duplicate: 'a' is in it twice");
  EXPECT_EQ(archive_error(entry("a", "1", kFile, 2) + trailer()),
            "archive-bad-field: 'a': hard links are not supported");
  EXPECT_EQ(archive_error(entry("d", "1", kDirectory, 2) + trailer()), "archive-bad-field: 'd': a directory with data");
  EXPECT_EQ(archive_error(entry("link", "/etc/passwd", 0120777) + trailer()),
            "archive-bad-type: 'link' has mode 0xa1ff: neither a regular file nor a directory");
  EXPECT_EQ(archive_error(trailer() + "x"),
            "archive-trailing-data: byte 0x78 at 124 after the trailer, expected nothing but zeros");
}

TEST(ArchiveErrors, names) {
  EXPECT_EQ(archive_error(entry("", "") + trailer()), "archive-bad-name: '': it is empty");
  EXPECT_EQ(archive_error(entry("/etc", "") + trailer()), "archive-bad-name: '/etc': it is absolute");
  EXPECT_EQ(archive_error(entry("a/../b", "") + trailer()), "archive-bad-name: 'a/../b': it leads out of the archive");
  EXPECT_EQ(archive_error(entry("a/..", "") + trailer()), "archive-bad-name: 'a/..': it leads out of the archive");
  EXPECT_EQ(archive_error(entry("..", "") + trailer()), "archive-bad-name: '..': it leads out of the archive");
  EXPECT_EQ(archive_error(entry("a\nb", "") + trailer()), "archive-bad-name: 'a\\nb': it has control bytes");
  EXPECT_EQ(archive_error(entry("..a/b..", "") + trailer()), "no error");
  EXPECT_EQ(archive_error(entry(std::string(255, 'n'), "") + trailer()), "no error");
  EXPECT_EQ(archive_error(entry(std::string(256, 'n'), "") + trailer()),
            "archive-bad-name: entry at byte 0: a name of 257 bytes with its NUL, expected 2 to 256");
  EXPECT_EQ(archive_error(entry(std::string("a\0b", 3), "") + trailer()),
            "archive-bad-name: entry at byte 0: 'a\\x00b\\x00' does not end with its only NUL");
}

TEST(ArchiveErrors, size_beyond_the_archive_is_refused) {
  std::string bytes = entry("a", "1") + trailer();
  std::memcpy(bytes.data() + 54, "FFFFFFFF", 8);  // the file's size
  EXPECT_EQ(archive_error(bytes),
            "archive-truncated: the data of a file at byte 112 of 240 needs 4294967295 bytes, 128 are left");
}

}  // namespace
}  // namespace guest::kernel
